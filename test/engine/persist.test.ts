import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type HostOptions,
  InputError,
  makeHost,
  persist,
  RestoreError,
  restore,
  type World,
} from '../../src/engine/index.ts';
import { histories, runs } from './arbitraries.ts';
import { futureOf } from './future.ts';
import { type HistorySpec, newWorld, play } from './history.ts';
import { bytesOf } from './snapshot.ts';

const throughText = (world: Parameters<typeof persist>[0]): unknown =>
  JSON.parse(JSON.stringify(persist(world)));

describe('a persisted world', () => {
  it('comes back as the same bytes and has the same future', () => {
    fc.assert(
      fc.property(histories(60), fc.nat(60), (spec, at) => {
        const whole = play(spec);
        const cut = Math.min(at, whole.length);
        const one = newWorld(spec);
        futureOf(one, whole.slice(0, cut));
        const other = restore(throughText(one));
        expect(bytesOf(other)).toEqual(bytesOf(one));
        expect([other.count, other.lastTsc]).toEqual([one.count, one.lastTsc]);
        expect(futureOf(other, whole.slice(cut))).toEqual(futureOf(one, whole.slice(cut)));
      }),
      runs(100),
    );
  });

  it('is the same text when persisted again', () => {
    fc.assert(
      fc.property(histories(40), (spec) => {
        const world = newWorld(spec);
        play(spec, {}, world);
        const text = JSON.stringify(persist(world));
        expect(JSON.stringify(persist(restore(JSON.parse(text))))).toBe(text);
      }),
      runs(40),
    );
  });
});

type Json = Record<string, never> & { [name: string]: Json };

const SAMPLE: HistorySpec = {
  profile: 'v6.1',
  host: { tscKhz: 2e6, vendor: 'vmx', hasTscControl: true, constantTsc: true, staleKhz: 0 },
  steps: Array.from({ length: 40 }, (_, i) => i * 7919),
};

const sample = (): Json => {
  const world = newWorld(SAMPLE);
  play(SAMPLE, {}, world);
  return throughText(world) as Json;
};

/** The error of a sample that was damaged. */
function errorOf(damage: (json: Json) => unknown): RestoreError {
  const json = sample();
  const damaged = damage(json) ?? json;
  try {
    restore(damaged);
  } catch (error) {
    expect(error).toBeInstanceOf(RestoreError);
    return error as RestoreError;
  }
  throw new Error('it was restored');
}

const set = (target: Json, name: string, value: unknown): undefined => {
  (target as Record<string, unknown>)[name] = value;
};

describe('JSON that is no world', () => {
  it.each<[string, (json: Json) => unknown, string, string, string]>([
    ['something else', () => ({ a: 1 }), 'form', '"masterclock/world"', 'nothing'],
    ['a list', () => [], 'form', '"masterclock/world"', 'nothing'],
    ['text', () => 'x', 'form', '"masterclock/world"', 'nothing'],
    ['a newer one', (j) => set(j, 'version', 2), 'version', '1', '2'],
    ['one with more', (j) => set(j, 'more', 1), '', 'only its own members', '"more"'],
    ['no host', (j) => set(j, 'host', undefined), 'host', 'an object', 'nothing'],
    ['a count of none', (j) => set(j, 'count', -1), 'count', 'an integer', '-1'],
    ['a TSC in hex', (j) => set(j, 'lastTsc', '0x1'), 'lastTsc', 'a u64', '"0x1"'],
    [
      'a switch of another project',
      (j) => set(j['switches']!, 'masterBase', 'tai'),
      'switches.masterBase',
      'boottime, raw',
      '"tai"',
    ],
    [
      'a switch too many',
      (j) => set(j['switches']!, 'turbo', true),
      'switches',
      'only its own members',
      '"turbo"',
    ],
    ['VMs by name', (j) => set(j, 'vms', {}), 'vms', 'an array', 'an object'],
    [
      'a state that is none',
      (j) => set(j['vms']![0]!['state']!, 'masterclock', 'maybe'),
      'vms[0].state.masterclock',
      'one of off.unmatched',
      '"maybe"',
    ],
    [
      'a host as a VM',
      (j) => set(j['vms']![0]!, 'state', j['host']),
      'vms[0].state.$struct',
      '"Vm"',
      '"Host"',
    ],
    [
      'one VM twice',
      (j) => set(j, 'vms', [j['vms']![0], j['vms']![0]]),
      'vms[1].id',
      'an id of its own',
      '0',
    ],
    [
      'a ratio that leaves nothing',
      (j) => set(j['vms']![0]!['state']!, 'lastTscScalingRatio', '1'),
      'vms[0].state.lastTscScalingRatio',
      '0 or a ratio that leaves at least 1 Hz',
      '1',
    ],
    [
      'a vCPU of another id',
      (j) => set(j['vms']![0]!['vcpus']![0]!, 'id', 9),
      'vms[0].vcpus[0].state.vcpuId',
      '9',
      '0',
    ],
    [
      'a vCPU on no CPU',
      (j) => set(j['vms']![0]!['vcpus']![0]!['state']!, 'cpu', 512),
      'vms[0].vcpus[0].state.cpu',
      '−1 … 511',
      '512',
    ],
    [
      'a clock mode that belies the machine',
      (j) => Object.assign(j['host']!, { clocksource: 'tsc', vclockMode: 2 }) && undefined,
      'host.vclockMode',
      'that of the clocksource',
      '2',
    ],
    [
      'a shift too far',
      (j) => set(j['host']!, 'monoShift', 64),
      'host.monoShift',
      'below 64',
      '64',
    ],
    ['a text that steers', (j) => set(j, 'version', '\u001b[2J'), 'version', '1', '"\\u001b[2J"'],
  ])('%s', (_what, damage, path, expected, found) => {
    const error = errorOf(damage);
    expect(error.path).toBe(path);
    expect(error.expected).toContain(expected);
    expect(error.found).toBe(found);
    expect(error.message).toContain(`expected ${error.expected}, found ${found}`);
  });

  it('never ends in anything but its error, and pollutes nothing', () => {
    const json = fc.jsonValue({ maxDepth: 3 });
    const paths = pathsOf(sample());
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.oneof(json, hostileJson), (path, value) => {
        const world = sample();
        put(world, path, value);
        try {
          exercise(restore(world));
        } catch (error) {
          if (!(error instanceof RestoreError)) throw error;
        }
        expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
      }),
      runs(300),
    );
  });
});

const hostileJson: fc.Arbitrary<unknown> = fc.constantFrom<unknown>(
  JSON.parse('{"__proto__":{"polluted":true}}'),
  JSON.parse('{"constructor":{"prototype":{"polluted":true}}}'),
  '18446744073709551615',
  '-9223372036854775808',
  4_294_967_295,
  -128,
  127,
  512,
  '__proto__',
);

/** Where the members of a document are, arrays of 512 CPUs by their first. */
function pathsOf(json: unknown, path: readonly string[] = []): string[][] {
  if (typeof json !== 'object' || json === null) return [[...path]];
  const inner = Object.entries(json)
    .filter(([name]) => path.at(-1) !== 'cpuTscKhz' || name === '0')
    .flatMap(([name, value]) => pathsOf(value, [...path, name]));
  return path.length === 0 ? inner : [[...path], ...inner];
}

function put(json: unknown, path: readonly string[], value: unknown): void {
  let at = json as Record<string, unknown>;
  for (const name of path.slice(0, -1)) at = at[name] as Record<string, unknown>;
  at[path.at(-1)!] = value;
}

/** Lets something happen in a world: whatever was accepted must run. */
function exercise(world: World): void {
  const steps = Array.from({ length: 24 }, (_, i) => i * 104_729);
  try {
    play({ ...SAMPLE, steps }, {}, world);
  } catch (error) {
    // The history is made for clocks as hosts have them; these may say anything.
    expect(error).toBeInstanceOf(InputError);
  }
}

describe('a host', () => {
  it.each<[Partial<Record<keyof HostOptions, unknown>>, RegExp]>([
    [{ vclockMode: 77 }, /^vclockMode: expected 0 … 3, found 77$/],
    [{ vendor: 'arm' }, /^vendor: expected vmx or svm, found "arm"$/],
    [{ maxTscKhz: -1 }, /^maxTscKhz: expected 0 … 4294967295, found -1$/],
    [{ cpuTscKhz: 0.5 }, /^cpuTscKhz: expected 0 … 4294967295, found 0.5$/],
    [{ tsc: -1n }, /^tsc: expected 0 … 18446744073709551615, found -1$/],
    [{ tsc: 5 }, /^tsc: expected 0 … 18446744073709551615, found 5$/],
    [{ monotonicNs: 2n ** 64n }, /^monotonicNs: expected 0 …/],
    [{ offsReal: 2n ** 63n }, /^offsReal: expected -9223372036854775808 … 9223372036854775807/],
    [{ timerAdvanceNs: 2 ** 32 }, /^timerAdvanceNs: expected 0 …/],
    [{ tscTolerancePpm: 2_000_000 }, /^tscTolerancePpm: expected at most 1000000, found 2000000$/],
    [{ cpus: 513 }, /^cpus: expected 1 … 512, found 513$/],
    [{ preemptionTimerRate: 32 }, /^preemptionTimerRate: expected 0 … 31, found 32$/],
    [{ tscKhz: 0 }, /tscKhz/],
  ])('with %o cannot be', (options, message) => {
    const make = () => makeHost({ tscKhz: 2e6, ...options } as HostOptions);
    expect(make).toThrow(RangeError);
    expect(make).toThrow(message);
  });
});
