/** What can happen to the host of a generated history. */
import type { Input } from '../../events/index.ts';
import { isTscMode, monotonicAt, monotonicRawAt } from '../../src/clock/index.ts';
import { asS64 } from '../../src/num/index.ts';
import type { Here } from './here.ts';

/** A kind of input: how likely, and the input itself where it is possible. */
export interface Move {
  readonly weight: number;
  readonly make: (here: Here) => Input | undefined;
}

const HOUR_NS = 3_600_000_000_000n;

/** A tick: the references move along their own lines to this instant. */
function tick({ world: { host }, tsc }: Here, vclockMode: number): Input {
  const mono = host.monoXtimeNsec + since(tsc, host.monoCycleLast) * BigInt(host.monoMult);
  const raw = host.rawXtimeNsec + since(tsc, host.rawCycleLast) * BigInt(host.rawMult);
  const [monoXtimeNsec, monoBase] = split(mono, host.monoShift, host.monoBase);
  const [rawXtimeNsec, rawBase] = split(raw, host.rawShift, host.rawBase);
  return {
    type: 'timekeeping_update',
    tsc,
    vclockMode,
    monoCycleLast: tsc,
    monoMult: host.monoMult,
    monoShift: host.monoShift,
    monoXtimeNsec,
    monoBase,
    rawCycleLast: tsc,
    rawMult: host.rawMult,
    rawShift: host.rawShift,
    rawXtimeNsec,
    rawBase,
  };
}

const since = (tsc: bigint, cycleLast: bigint): bigint => (tsc > cycleLast ? tsc - cycleLast : 0n);

function split(shifted: bigint, shift: number, base: bigint): [xtimeNsec: bigint, base: bigint] {
  const second = 1_000_000_000n << BigInt(shift);
  return [shifted % second, base + (shifted / second) * 1_000_000_000n];
}

const CPUS = 4;

const onlineCpus = (here: Here): number[] =>
  Array.from({ length: CPUS }, (_, cpu) => cpu).filter(
    (cpu) => here.world.host.cpuTscKhz.get(cpu) !== 0,
  );

const running = (here: Here): boolean => here.world.host.power === 'running';
const when = (condition: boolean, input: Input): Input | undefined =>
  condition ? input : undefined;

export const HOST_MOVES: readonly Move[] = [
  { weight: 4, make: (h) => tick(h, h.world.host.vclockMode) },
  {
    weight: 1,
    make: (h) => tick(h, isTscMode(h.world.host.vclockMode) ? h.dice.of([0, 2]) : 1),
  },
  {
    weight: 2,
    make: (h) => {
      const { rawMult } = h.world.host;
      // Within the 500 ppm that NTP may steer by.
      const most = Math.floor(rawMult / 2000);
      const monoMult = rawMult - most + h.dice.below(2 * most + 1);
      return { type: 'adjtimex', tsc: h.tsc, monoMult };
    },
  },
  {
    weight: 1,
    make: (h) => ({
      type: 'clock_settime',
      tsc: h.tsc,
      offsReal: 1_700_000_000_000_000_000n + h.dice.wide(HOUR_NS),
    }),
  },
  {
    weight: 2,
    make: (h) => ({
      type: 'change_clocksource',
      tsc: h.tsc,
      vclockMode: isTscMode(h.world.host.vclockMode)
        ? h.dice.of([0, 2, 3])
        : h.dice.of([1, 1, 1, 3, 0]),
    }),
  },
  {
    weight: 1,
    make: (h) => when(h.dice.oneIn(3), { type: 'mark_tsc_unstable', tsc: h.tsc }),
  },
  {
    weight: 12,
    make: (h) => when(h.world.host.gtodWorkQueued, { type: 'pvclock_gtod_work', tsc: h.tsc }),
  },
  {
    weight: 2,
    make: (h) => {
      const { constantTsc, tscKhz } = h.world.host;
      const khz = h.dice.of([tscKhz, Math.floor(tscKhz / 2), tscKhz - 1000]);
      return when(!constantTsc, { type: 'cpufreq', tsc: h.tsc, cpu: h.dice.below(CPUS), khz });
    },
  },
  {
    weight: 1,
    make: (h) => {
      const cpus = onlineCpus(h);
      return when(cpus.length > 1, { type: 'cpu_offline', tsc: h.tsc, cpu: h.dice.of(cpus) });
    },
  },
  {
    weight: 3,
    make: (h) => {
      const offline = Array.from({ length: CPUS }, (_, cpu) => cpu).filter(
        (cpu) => !onlineCpus(h).includes(cpu),
      );
      return offline.length === 0
        ? undefined
        : { type: 'cpu_online', tsc: h.tsc, cpu: h.dice.of(offline) };
    },
  },
  {
    weight: 6,
    // Tasks are frozen before a host sleeps: no vCPU is loaded.
    make: (h) =>
      when(running(h) && h.vcpus.every(({ cell }) => cell.state.run === 'unloaded'), {
        type: 'suspend',
        tsc: h.tsc,
      }),
  },
];

/** On its way to sleep, asleep or on its way back; its TSC perhaps starts again. */
export function sleepOn(here: Here): Input {
  const { dice, tsc } = here;
  const { host } = here.world;
  if (host.power === 'suspending') {
    return { type: dice.oneIn(2) ? 'timekeeping_suspend' : 'suspend_end', tsc };
  }
  const offsBoot = host.offsBoot + 1n + dice.wide(HOUR_NS);
  return { type: 'resume', tsc: dice.oneIn(2) ? dice.wide(1_000_000_000n) : tsc, cpu: 0, offsBoot };
}

/** Nanoseconds since the host booted; for values that are meant to be near a clock's own. */
export const baseNow = (here: Here): bigint =>
  asS64(monotonicRawAt(here.world.host, here.tsc) + here.world.host.offsBoot);

export const realtimeNow = (here: Here): bigint =>
  asS64(monotonicAt(here.world.host, here.tsc) + here.world.host.offsReal);
