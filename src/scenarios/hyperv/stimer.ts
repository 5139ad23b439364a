/** A periodic synthetic timer while the VMM sets the clock: when it next expires. */
import { MSRS } from '../../../events/index.ts';
import { formatNs, formatSignedNs } from '../../../replay/quantity.ts';
import { booted, tscKhz, uptime } from '../common.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration, durationText } from '../params.ts';
import { scenario } from '../scenario.ts';
import { setClock } from '../set-clock.ts';
import type { Simulation } from '../simulation.ts';
import { startHvGuest, TICK_NS } from './guest.ts';
import { Stimer } from './timer.ts';

/** STIMER0_CONFIG: enabled, periodic, messages to SINT 2. */
const CONFIG = 1n | 2n | (2n << 16n);
/** How often it expires before the clock is set, and after. */
const BEFORE = 2;
const AFTER = 3;

/** The guest sets a periodic timer. */
function setPeriodic(sim: Simulation, vm: SimulatedVm, periodNs: bigint): Stimer {
  const timer = new Stimer(sim, vm);
  vm.writeMsr(0, 'HV_X64_MSR_STIMER0_COUNT', periodNs / TICK_NS);
  vm.exit(0);
  vm.on(0, { type: 'wrmsr', index: MSRS.HV_X64_MSR_STIMER0_CONFIG, data: CONFIG });
  timer.enter();
  return timer;
}

const COLUMNS = [
  'clock set',
  'expires after (ns)',
  'against its period (ns)',
  'reference time (100 ns)',
];

export const hvStimer = scenario({
  name: 'hv-stimer',
  title: 'a periodic synthetic timer waits as long as the clock was set back',
  source:
    'Hyper-V’s synthetic timers (arch/x86/kvm/hyperv.c), which count by the clock that KVM_SET_CLOCK sets',
  profile: 'v7.3',
  compare: ['v4.4', 'v4.9', 'v5.10', 'v7.3'],
  switches: ['setClockOrder', 'hvPage'],
  about: [
    'A synthetic timer is due by reference time, and a timer of the host’s CLOCK_MONOTONIC is set by how far that is. Setting the clock does not touch the timer that runs; when it fires, KVM looks at reference time again.',
    'Set back, the clock has not come to where the timer is due: it is started once more and expires late by as much as the clock was set back. Set ahead, it is past one or several periods: it expires at once when its host timer fires, and goes on in its old grid, so that the next period is cut short.',
    'Set to 0 under v4.13 to v5.11, the page is 584 years ahead (`hv-set-clock`): periods are skipped, no timer waits.',
  ],
  params: {
    tscKhz: tscKhz(),
    uptime: uptime('1min'),
    period: duration('10ms', 'of the timer', { least: '100us', most: '1min' }),
    step: duration('-1s', 'by how much the clock is set ahead, mid-period; not below 0', {
      least: '-1h',
      most: '1h',
    }),
    delay: duration('1us', 'time between the ioctl’s two readings of the TSC', {
      least: '0',
      most: '10us',
    }),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz));
    const { host } = sim;
    const vm = startHvGuest(sim, 1);
    host.pass(params.uptime);
    const time = (): bigint => vm.readMsr(0, 'HV_X64_MSR_TIME_REF_COUNT');
    let last = host.timeNs;
    const timer = setPeriodic(sim, vm, params.period);
    const expiries = (times: number, when: string) =>
      Array.from({ length: times }, () => {
        const at = timer.expire();
        const row = { when, after: at - last, reference: time() };
        last = at;
        return row;
      });
    stage.tell(sim, `the guest sets a timer of ${params.period} ns`);
    if (!timer.isRunning) {
      return () => ({ columns: COLUMNS, rows: [], verdict: 'this kernel has no synthetic timers' });
    }
    const before = expiries(BEFORE, 'before');
    host.pass(params.period / 2n);
    const now = vm.kvmclock(0);
    const to = now + params.step;
    if (to < 0n) {
      const least = `at least ${durationText(-now)}, as the clock reads ${durationText(now)} by then`;
      throw stage.refusal('step', least);
    }
    stage.tell(sim, `KVM_SET_CLOCK from ${now} to ${to} ns`);
    setClock(stage.profile, sim, vm, to, params.delay);
    vm.kick();
    const rows = [...before, ...expiries(AFTER, 'after')];
    const late = rows[BEFORE]!.after - params.period;
    return () => ({
      columns: COLUMNS,
      rows: rows.map(({ when, after, reference }) => [
        when,
        after,
        after - params.period,
        reference,
      ]),
      verdict: `a timer of ${formatNs(params.period)} expires ${formatSignedNs(late)} from its time after the clock was set by ${formatSignedNs(to - now)}`,
    });
  },
});
