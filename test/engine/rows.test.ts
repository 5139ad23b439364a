/**
 * Inputs dispatched in rows come to what they come to one by one, wherever rows begin and end: the
 * same bytes, the same seen, the same errors.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  INPUT_TYPES,
  type Input,
  InputBatch,
  type InputOf,
  inputCode,
} from '../../events/index.ts';
import { MclogDecoder } from '../../events/log/index.ts';
import { vcpuMachine } from '../../machines/index.ts';
import { logOfRecording } from '../../replay/conformance/index.ts';
import { admissionOf } from '../../src/engine/admit.ts';
import {
  CHECKPOINT_STRUCTS,
  type Dispatched,
  type Phase,
  ROUTES,
  type World,
  worldOfHeader,
} from '../../src/engine/index.ts';
import { CALM_SIGNALS, calmOf } from '../../src/engine/plan.ts';
import { BUNDLED, recordingOf } from '../conformance/bundled.ts';
import { bytesOf as bytesOfLog, type Log, logOf } from '../log/logs.ts';
import { histories, runs } from './arbitraries.ts';
import { PLAIN_HOST, Teller } from './directed.ts';
import { bytesOf } from './snapshot.ts';

/** Conditions that are known while nothing is requested of a vCPU. */
const UNREQUESTED: Readonly<Record<string, boolean>> = {
  anyRequested: false,
  pageIsUpToDate: true,
};

/** What is left of a route then. */
const leftOf = (route: readonly Phase[]): readonly Phase[] =>
  route.flatMap((phase) => {
    if (!('when' in phase)) return [phase];
    const known = UNREQUESTED[phase.when];
    if (known === undefined) return [phase];
    return known === phase.holds ? leftOf(phase.phases) : [];
  });

/** What a machine does at a signal, wherever it does something. */
const transitionsOf = (config: unknown, signal: string): unknown[] =>
  typeof config !== 'object' || config === null
    ? []
    : Object.entries(config).flatMap(([name, value]) =>
        name === signal ? [value] : transitionsOf(value, signal),
      );

describe('types of which one signal is left', () => {
  it.each(Object.entries(CALM_SIGNALS))('%s: %s, by its route', (type, signal) => {
    expect(leftOf(ROUTES[type as keyof typeof CALM_SIGNALS])).toEqual([{ level: 'vcpu', signal }]);
  });

  it.each(Object.keys(CALM_SIGNALS))('%s is refused by nothing but the vCPU’s states', (type) => {
    const { names, vcpu, answer } = admissionOf(type as keyof typeof CALM_SIGNALS);
    expect({ names, answer }).toEqual({ names: [], answer: undefined });
    expect(calmOf(type as keyof typeof CALM_SIGNALS).needs).toEqual(vcpu);
  });

  it('ENTER runs no recipe and asks no guard, so that what else is known does not matter', () => {
    const entered = transitionsOf(vcpuMachine.config, 'ENTER');
    expect(entered).toEqual(['guest']);
  });
});

/** What becomes of an input: what is seen, or the error. */
type Came = { readonly dispatched: Dispatched } | { readonly error: string };

function attempt(body: () => Dispatched): Came {
  try {
    return { dispatched: { ...body() } };
  } catch (error) {
    return { error: String(error) };
  }
}

/** Whether rows go on after an input. */
const isQuiet = ({ observations, masterclock, refused }: Dispatched): boolean =>
  observations.length === 0 && masterclock.by === 'nothing on this route asks for it' && !refused;

/** Dispatches rows, `sizes` of them at a time, in one world, and the same one by one in another. */
function compare(
  newWorld: () => World,
  batch: InputBatch,
  sizes: readonly number[],
  stops: Uint8Array,
): { readonly rows: number; readonly calls: number } {
  const [inRows, single] = [newWorld(), newWorld()];
  let calls = 0;
  for (let row = 0, turn = 0; row < batch.length; turn++) {
    const to = Math.min(batch.length, row + sizes[turn % sizes.length]!);
    while (row < to) {
      const before = inRows.count;
      const came = attempt(() => inRows.dispatchRows(batch, row, to, stops));
      const happened = inRows.count - before;
      const last = 'error' in came ? row + happened : row + happened - 1;
      for (; row < last; row++) {
        const quiet = single.dispatch(batch.at(row));
        expect(isQuiet(quiet) && stops[batch.codes[row]!] === 0).toBe(true);
      }
      expect(attempt(() => single.dispatch(batch.at(row)))).toEqual(came);
      expect(bytesOf(inRows)).toEqual(bytesOf(single));
      expect([inRows.lastTsc, inRows.count]).toEqual([single.lastTsc, single.count]);
      row += 1;
      calls += 1;
    }
  }
  expect(inRows.derived).toEqual(single.derived);
  return { rows: batch.length, calls };
}

/** Adds an input of which there are only the columns. */
function addBare(batch: InputBatch, { type, tsc, vm, vcpu }: InputOf<'kvm_exit'>): void {
  batch.reserve(1);
  const row = batch.length;
  batch.codes[row] = inputCode(type);
  batch.tscs[row] = tsc;
  batch.vms[row] = vm;
  batch.vcpus[row] = vcpu;
  batch.addBare(1);
}

const worldOf =
  ({ header }: Log): (() => World) =>
  () =>
    worldOfHeader(header, { switches: header.switches });

/** The inputs of a log as they are read from its bytes; `change` may change some. */
function batchOf(log: Log, change: (input: Input, row: number) => Input = (input) => input) {
  const decoder = new MclogDecoder('rows', { structs: CHECKPOINT_STRUCTS });
  const inputs = log.entries.flatMap((entry) => (entry.kind === 'input' ? [entry.input] : []));
  const entries = inputs.map(
    (input, row) => ({ kind: 'input', input: change(input, row) }) as const,
  );
  const stretches = [...decoder.push(bytesOfLog('mclog', { ...log, entries }, [1000]))];
  const batch = new InputBatch();
  for (const { inputs: read, from, to } of [...stretches, ...decoder.finish()]) {
    for (let row = from; row < to; row++) {
      const whole = read.whole(row);
      if (whole !== undefined) {
        batch.add(whole);
        continue;
      }
      addBare(batch, read.at(row) as InputOf<'kvm_exit'>);
    }
  }
  return batch;
}

const NO_STOPS = new Uint8Array(256);
const AT_ENTRIES = Uint8Array.from(INPUT_TYPES, (type) => (type === 'kvm_entry' ? 1 : 0));

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
const stops = fc.constantFrom(NO_STOPS, AT_ENTRIES);

describe('rows come to what their inputs come to', () => {
  it('of generated histories', () => {
    fc.assert(
      fc.property(histories(120), sizes, stops, (spec, some, at) => {
        const log = logOf(spec, 1e6);
        compare(worldOf(log), batchOf(log), some, at);
      }),
      runs(120),
    );
  });

  it('of histories in which an instant, a VM, a vCPU or a type is another', () => {
    const changes = fc.array(
      fc.record({
        at: fc.nat(119),
        ahead: fc.constantFrom(-(1n << 40n), -(1n << 32n), -1n, 1n << 32n, (1n << 32n) - 1n),
        what: fc.constantFrom('tsc', 'vm', 'vcpu', 'type'),
      }),
      { minLength: 1, maxLength: 3 },
    );
    fc.assert(
      fc.property(histories(120), changes, sizes, (spec, wrong, some) => {
        const log = logOf(spec, 1e6);
        const batch = batchOf(log, (input, row) => {
          const change = wrong.find(({ at }) => at === row);
          if (change === undefined) return input;
          if (change.what === 'tsc') {
            return { ...input, tsc: BigInt.asUintN(64, input.tsc + change.ahead) };
          }
          if (change.what === 'type') {
            if (input.type === 'kvm_entry') return { ...input, type: 'kvm_exit' };
            return input.type === 'kvm_exit' ? { ...input, type: 'kvm_entry' } : input;
          }
          return change.what in input ? { ...input, [change.what]: 7 } : input;
        });
        compare(worldOf(log), batch, some, NO_STOPS);
      }),
      runs(120),
    );
  });

  it('of vCPUs that are pushed forward at each exit', () => {
    const host = { ...PLAIN_HOST, hasTscControl: false };
    const told: Input[] = [];
    const t = new Teller('v6.8', host);
    t.heard = (input) => told.push(input);
    t.boot(2);
    for (const vcpu of [0, 1]) t.run(vcpu, { type: 'KVM_SET_TSC_KHZ', khz: 3_000_000 });
    t.tell(
      ...[0, 1].map((vcpu) => ({ type: 'vcpu_load', vcpu, cpu: vcpu }) as const),
      ...[0, 1].map((vcpu) => ({ type: 'kvm_entry', vcpu }) as const),
      ...[0, 1].map((vcpu) => ({ type: 'kvm_exit', vcpu }) as const),
    );
    const batch = new InputBatch();
    for (const input of told) {
      if (input.type === 'kvm_exit') addBare(batch, input);
      else batch.add(input);
    }
    compare(() => new Teller('v6.8', host).world, batch, [1000], NO_STOPS);
  });

  it.each(BUNDLED.filter((_, i) => i % 6 === 0))('of the recording %s', async (name) => {
    const log = logOfRecording(await recordingOf(name));
    const { rows, calls } = compare(worldOf(log), batchOf(log), [1000, 3, 70], NO_STOPS);
    expect(rows).toBeGreaterThan(calls);
  });
});
