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
import type { Ctx } from '../../src/clock/index.ts';
import { admissionOf } from '../../src/engine/admit.ts';
import { CALM_SIGNALS, calmOf } from '../../src/engine/calm.ts';
import {
  actorStepper,
  CHECKPOINT_STRUCTS,
  type Dispatched,
  type HostOptions,
  type Phase,
  ROUTES,
  type World,
  worldOfHeader,
} from '../../src/engine/index.ts';
import { BUNDLED, recordingOf } from '../conformance/bundled.ts';
import { bytesOf as bytesOfLog, type Log, logOf } from '../log/logs.ts';
import { histories, runs } from './arbitraries.ts';
import { PLAIN_HOST, Teller, type Told } from './directed.ts';
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

describe('of many exits the last is enough', () => {
  it('as EXIT notes the guest’s TSC and does no more, but where the TSC is always pushed forward', () => {
    const { states } = vcpuMachine.config;
    const { run, catchup } = states as unknown as Record<'run' | 'catchup', { states: object }>;
    const exits = transitionsOf(vcpuMachine.config, 'EXIT');
    expect(transitionsOf(run, 'EXIT')).toEqual([{ target: 'loaded', actions: 'noteGuestTsc' }]);
    expect(transitionsOf(catchup.states, 'EXIT')).toEqual([{ actions: 'requestClockUpdate' }]);
    expect(catchup.states).toMatchObject({ always: { on: { EXIT: {} } } });
    expect(exits).toHaveLength(2);
  });

  it('as nothing is left of what the exit before noted', () => {
    let checked = 0;
    fc.assert(
      fc.property(histories(60), fc.bigInt({ min: 0n, max: 1n << 40n }), (spec, later) => {
        const log = logOf(spec, 1e6);
        const [both, one] = [worldOf(log)(), worldOf(log)()];
        for (const entry of log.entries) {
          if (entry.kind !== 'input') continue;
          both.dispatch(entry.input);
          one.dispatch(entry.input);
        }
        for (const [vm, { vcpus }] of both.vms) {
          for (const [vcpu, { state }] of vcpus) {
            if (state.run !== 'guest' || state.requests !== 0) continue;
            if (state.catchup === 'always') continue;
            const [early, late] = [both.lastTsc, both.lastTsc + later];
            both.dispatch({ type: 'kvm_exit', tsc: early, vm, vcpu });
            both.dispatch({ type: 'kvm_entry', tsc: early, vm, vcpu });
            both.dispatch({ type: 'kvm_exit', tsc: late, vm, vcpu });
            one.dispatch({ type: 'kvm_exit', tsc: late, vm, vcpu });
            checked += 1;
          }
        }
        expect(bytesOf(both)).toEqual(bytesOf(one));
      }),
      runs(120),
    );
    expect(checked).toBeGreaterThan(20);
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
): { readonly rows: number; readonly calls: number; readonly world: World } {
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
        expect(isQuiet(quiet) && stops[batch.codeOf(row)] === 0).toBe(true);
      }
      expect(attempt(() => single.dispatch(batch.at(row)))).toEqual(came);
      expect(bytesOf(inRows)).toEqual(bytesOf(single));
      expect([inRows.lastTsc, inRows.count]).toEqual([single.lastTsc, single.count]);
      row += 1;
      calls += 1;
    }
  }
  expect(inRows.derived).toEqual(single.derived);
  return { rows: batch.length, calls, world: inRows };
}

/** Adds an input of which there is only the row. */
function addBare(
  batch: InputBatch,
  { type, tsc, vm, vcpu }: InputOf<'kvm_exit' | 'kvm_entry'>,
): void {
  batch.addBare(inputCode(type), tsc, vm, vcpu);
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

const AT_EXITS = Uint8Array.from(INPUT_TYPES, (type) => (type === 'kvm_exit' ? 1 : 0));

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
const stops = fc.constantFrom(NO_STOPS, AT_ENTRIES, AT_EXITS);

/** What is told on a host. */
function told(host: HostOptions, tell: (teller: Teller) => void): Input[] {
  const inputs: Input[] = [];
  const teller = new Teller('v6.8', host);
  teller.heard = (input) => inputs.push(input);
  tell(teller);
  return inputs;
}

const worldOn = (host: HostOptions) => (): World => new Teller('v6.8', host).world;

/** An input for each of two vCPUs. */
const both = (type: Input['type']): Told[] =>
  [0, 1].map((vcpu) => ({ type, vcpu, ...cpuOf(type, vcpu) }));
const cpuOf = (type: Input['type'], cpu: number) => (type === 'vcpu_load' ? { cpu } : {});

/** Inputs of which entries and exits without readings are bare, as in a log. */
function bareBatch(inputs: readonly Input[]): InputBatch {
  const batch = new InputBatch();
  for (const input of inputs) {
    const { type, readings } = input;
    if ((type === 'kvm_exit' || type === 'kvm_entry') && readings === undefined) {
      addBare(batch, input);
    } else batch.add(input);
  }
  return batch;
}

/** A world of actors, and what their inspector sees: signals, and of which input and vCPU. */
function inspected(): { readonly world: World; readonly seen: string[] } {
  const seen: string[] = [];
  const stepper = actorStepper((inspection) => {
    if (inspection.type !== '@xstate.event' || !('ctx' in inspection.event)) return;
    const { type, ctx } = inspection.event as unknown as { type: string; ctx: Ctx };
    seen.push(`${type} ${ctx.input.type} ${ctx.input.tsc} ${ctx.vcpu.vcpuId}`);
  });
  return { world: new Teller('v6.8', PLAIN_HOST, stepper).world, seen };
}

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

  it('of vCPUs that are pushed forward at each exit, also after an input of the host', () => {
    const host = { ...PLAIN_HOST, hasTscControl: false };
    const inputs = told(host, (t) => {
      t.boot(2);
      for (const vcpu of [0, 1]) t.run(vcpu, { type: 'KVM_SET_TSC_KHZ', khz: 3_000_000 });
      t.tell(...both('vcpu_load'), ...both('kvm_entry'), ...both('kvm_exit'));
      t.tell(...both('vcpu_requests'), ...both('kvm_entry'));
      t.tell({ type: 'clock_settime', offsReal: 1n }, ...both('kvm_exit'));
    });
    const { calls } = compare(worldOn(host), bareBatch(inputs), [1000], NO_STOPS);
    expect(calls).toBeLessThan(inputs.length);
  });

  it.each([
    [0x8000_0010n, 0x7fff_fff0n],
    [0x1_8000_0010n, 0x1_7fff_fff0n],
    [0x9000_0000n, 0x8fff_ffffn],
    [0x1_0000_0000n, 0xffff_ffffn],
  ])('of an exit whose TSC is less than the entry’s: %s, then %s', (entry, exit) => {
    const inputs = told(PLAIN_HOST, (t) => {
      t.boot(1).run(0);
      t.tell(...both('vcpu_load').slice(0, 1));
      t.resetTsc(entry - 2000n).tell({ type: 'kvm_entry' });
      t.world.host.tsc = 'unstable';
      t.resetTsc(exit - 2000n).tell({ type: 'kvm_exit' });
    });
    expect(inputs.slice(-2).map(({ tsc }) => tsc)).toEqual([entry, exit]);
    compare(worldOn(PLAIN_HOST), bareBatch(inputs), [1000], NO_STOPS);
  });

  it('of exits after one whose reading was told', () => {
    const inputs = told(PLAIN_HOST, (t) => {
      t.boot(1).tell(...both('vcpu_load').slice(0, 1));
      t.tell({ type: 'kvm_entry' }, { type: 'kvm_exit', readings: { 'exit.tsc': 7n } });
      t.tell({ type: 'kvm_entry' }, { type: 'kvm_exit' });
    });
    compare(worldOn(PLAIN_HOST), bareBatch(inputs), [1000], NO_STOPS);
  });

  it('of each read that is derived', () => {
    const inputs = told(PLAIN_HOST, (t) => {
      t.boot(2).tell(...both('vcpu_load'));
      for (let i = 0; i < 5; i++) t.tell(...both('kvm_entry'), ...both('kvm_exit'));
      t.tell(...both('vcpu_put'));
      t.run(0);
    });
    const { world } = compare(worldOn(PLAIN_HOST), bareBatch(inputs), [1000], NO_STOPS);
    expect(world.derived.get('exit.tsc')).toBe(11);
  });

  it.each([
    [0xffff_fff0, 4095],
    [0x8000_0000, 4096],
    [0x7fff_ffff, 0xffff_ffff],
  ])('of VM %i and vCPU %i, in worlds that take turns', (vm, second) => {
    const inputs = told(PLAIN_HOST, (t) => {
      t.boot(2).tell(...both('vcpu_load'));
      for (let i = 0; i < 9; i++) t.tell(...both('kvm_entry'), ...both('kvm_exit'));
    }).map((input) => {
      const named = 'vm' in input ? { ...input, vm } : input;
      return 'vcpu' in named && named.vcpu === 1 ? { ...named, vcpu: second } : named;
    });
    const batch = bareBatch(inputs);
    const [a, b] = [worldOn(PLAIN_HOST)(), worldOn(PLAIN_HOST)()];
    for (let turn = 0; a.count + b.count < 2 * batch.length; turn++) {
      const world = turn % 2 === 0 ? a : b;
      const to = Math.min(batch.length, world.count + 3 + (turn % 3));
      if (to > world.count) world.dispatchRows(batch, world.count, to, NO_STOPS);
    }
    const { world } = compare(worldOn(PLAIN_HOST), batch, [7], NO_STOPS);
    for (const other of [a, b]) {
      expect(bytesOf(other)).toEqual(bytesOf(world));
      expect(other.derived).toEqual(world.derived);
    }
  });

  it('for who inspects actors', () => {
    const inputs = told(PLAIN_HOST, (t) => {
      t.boot(2).tell(...both('vcpu_load'));
      for (let i = 0; i < 3; i++) t.tell(...both('kvm_entry'), ...both('kvm_exit'));
    });
    const [inRows, single] = [inspected(), inspected()];
    const batch = bareBatch(inputs);
    for (let row = 0; row < batch.length; row = inRows.world.count) {
      inRows.world.dispatchRows(batch, row, batch.length, NO_STOPS);
    }
    for (const input of inputs) single.world.dispatch(input);
    expect(inRows.seen).toEqual(single.seen);
    const { tsc } = inputs.findLast(({ type }) => type === 'kvm_entry')!;
    expect(inRows.seen).toContain(`ENTER kvm_entry ${tsc} 1`);
  });

  it.each(BUNDLED.filter((_, i) => i % 6 === 0))('of the recording %s', async (name) => {
    const log = logOfRecording(await recordingOf(name));
    const { rows, calls } = compare(worldOf(log), batchOf(log), [1000, 3, 70], NO_STOPS);
    expect(rows).toBeGreaterThan(calls);
  });
});
