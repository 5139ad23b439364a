/** A synthetic timer that its count enables, restored by a VMM: one that has expired expires again. */
import { MSRS } from '../../../events/index.ts';
import { formatNs } from '../../../replay/quantity.ts';
import { booted, tscKhz, uptime } from '../common.ts';
import { resultOf } from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration } from '../params.ts';
import { type Cell, type Stage, scenario } from '../scenario.ts';
import { setClock } from '../set-clock.ts';
import type { Simulation } from '../simulation.ts';
import { startHvGuest, TICK_NS } from './guest.ts';
import { Stimer } from './timer.ts';

const { HV_X64_MSR_STIMER0_CONFIG: CONFIG, HV_X64_MSR_STIMER0_COUNT: COUNT } = MSRS;

/** STIMER0_CONFIG: a single shot that its count enables, messages to SINT 2. */
const AUTO_ENABLE = 8n | (2n << 16n);
const ENABLED = 1n;

/** In which order a VMM writes the timer's two MSRs. */
const ORDERS = { 'CONFIG, COUNT': [CONFIG, COUNT], 'COUNT, CONFIG': [COUNT, CONFIG] } as const;

/** What a VMM saves of a guest. */
interface Saved {
  readonly clock: bigint;
  readonly msrs: ReadonlyMap<number, bigint>;
}

/** A guest sets its timer so far ahead and runs for so long. */
function runWithTimer(sim: Simulation, aheadNs: bigint, ranNs: bigint) {
  const vm = startHvGuest(sim, 1);
  const timer = new Stimer(sim, vm);
  vm.writeMsr(0, 'HV_X64_MSR_STIMER0_CONFIG', AUTO_ENABLE);
  const count = vm.readMsr(0, 'HV_X64_MSR_TIME_REF_COUNT') + aheadNs / TICK_NS;
  vm.exit(0);
  vm.on(0, { type: 'wrmsr', index: COUNT, data: count });
  timer.enter();
  timer.pass(ranNs);
  return { vm, hadExpired: timer.expiredNs.length > 0 };
}

/** The VMM stops the guest and reads what it keeps. */
function save(vm: SimulatedVm): Saved {
  vm.exit(0);
  const read = (index: number): bigint => {
    const { observations } = vm.on(0, { type: 'KVM_GET_MSRS', index });
    const result = observations.find((seen) => seen.type === 'msr_result');
    return (result?.type === 'msr_result' ? result.data : undefined) ?? 0n;
  };
  const msrs = new Map([CONFIG, COUNT].map((index) => [index, read(index)]));
  vm.leave(0);
  const { clock = 0n } = resultOf(vm.ioctl({ type: 'KVM_GET_CLOCK' }));
  return { clock, msrs };
}

/** A new VM that goes on where the guest was stopped, its timer's MSRs written in some order. */
function restore(stage: Stage, sim: Simulation, saved: Saved, order: readonly number[]) {
  const vm = sim.vm();
  vm.perform({ type: 'launch' });
  vm.perform({ type: 'hotplug', vcpu: 0, cpu: 1 });
  setClock(stage.profile, sim, vm, saved.clock, 0n);
  vm.on(0, { type: 'vcpu_load', cpu: 1 });
  for (const index of order) {
    vm.on(0, { type: 'KVM_SET_MSRS', index, data: saved.msrs.get(index) ?? 0n });
  }
  vm.perform({ type: 'resume' });
  const isEnabled = (vm.kvm(0).stimerConfig.get(0) & ENABLED) !== 0n;
  const timer = new Stimer(sim, vm);
  timer.enter();
  return { timer, isEnabled };
}

/** What is left of the timer when the guest is stopped, ns; negative: it was due so long before. */
const leftOf = ({ clock, msrs }: Saved): bigint => (msrs.get(COUNT) ?? 0n) * TICK_NS - clock;

/** How a guest's timer went on. */
interface Outcome {
  readonly order: string;
  readonly saved: Saved;
  /** Before the guest was stopped. A due timer whose hrtimer came a unit too soon has not. */
  readonly hadExpired: boolean;
  readonly isEnabled: boolean;
  /** When it expired, from the restore on, ns. */
  readonly after: readonly bigint[];
}

/** False where the kernel keeps nothing of what is written to the timer's MSRs. */
const hasTimers = ({ saved }: Outcome): boolean => saved.msrs.get(CONFIG) !== 0n;

function verdictOf(outcome: Outcome): string {
  const { order, saved, hadExpired, after } = outcome;
  if (!hasTimers(outcome)) return 'this kernel has no synthetic timers';
  const left = leftOf(saved);
  const timer =
    left > 0n
      ? `a timer with ${formatNs(left)} left`
      : `a timer due ${formatNs(-left)} before the guest was stopped, which had ${hadExpired ? '' : 'not '}expired`;
  const [first] = after;
  const expires = hadExpired ? 'expires again' : 'expires';
  const does = first === undefined ? 'does not expire' : `${expires} after ${formatNs(first)}`;
  return `${timer}, restored ${order}, ${does}`;
}

export const hvStimerRestore = scenario({
  name: 'hv-stimer-restore',
  title: 'a synthetic timer that has expired expires again after a restore',
  source:
    '“KVM: x86: hyper-v: Don’t auto-enable stimer on write from user-space” (d6800af51c76), Nicolas Saenz Julienne, 2023',
  profile: 'v6.1',
  compare: ['v4.4', 'v5.10', 'v6.1', 'v6.8', 'v7.3'],
  switches: ['hvStimerByHost'],
  about: [
    'A guest can have writes of STIMERn_COUNT enable its timer (auto-enable). Once a single shot has expired it is off, and its count stays. A VMM that moves the guest writes both MSRs; until d6800af51c76 (v6.7) its write of COUNT enables the timer as the guest’s does. What it is set for has passed: it expires at the first entry, an interrupt that the guest did not ask for.',
    'Written the other way round, COUNT finds no auto-enable yet, and CONFIG says that the timer is off. A timer that has not expired is right in either order and under every kernel: it waits for what is left, by the reference time that the VMM restores. While the guest was away that stood still.',
    'Reference time is cut to units of 100 ns, so that the hrtimer can fire one unit before the timer is due by it; KVM then sets it once more. A guest that is stopped in between (`--ahead 10ms --ran 10ms`) has a timer that is due and has not expired: it is still on, and expires once after the restore, as it should.',
  ],
  params: {
    tscKhz: tscKhz(),
    uptime: uptime('1min'),
    ahead: duration('10ms', 'for how far ahead the guest sets its timer', {
      least: '1us',
      most: '1h',
    }),
    ran: duration('15ms', 'how long it runs from then on', { least: '0', most: '1h' }),
    away: duration('1s', 'how long it is away', { least: '0', most: '1d' }),
  },
  run(stage, params) {
    const { ahead, ran, away } = params;
    const outcomes = Object.entries(ORDERS).map(([order, indices], i): Outcome => {
      const sim = stage.host(booted(params.tscKhz), i === 0 ? 'config-first' : 'count-first');
      sim.host.pass(params.uptime);
      stage.tell(sim, `the guest sets its timer ${ahead} ns ahead and runs for ${ran} ns`);
      const { vm, hadExpired } = runWithTimer(sim, ahead, ran);
      const saved = save(vm);
      sim.host.pass(away);
      const { timer, isEnabled } = restore(stage, sim, saved, indices);
      const resumed = sim.host.timeNs;
      stage.tell(sim, `it is restored, ${order}; its timer is ${isEnabled ? 'on' : 'off'}`);
      timer.pass(2n * ahead);
      const after = timer.expiredNs.map((at) => at - resumed);
      return { order, saved, hadExpired, isEnabled, after };
    });
    return () => ({
      columns: ['order', 'left (ns)', 'had expired', 'on', 'expires', 'after (ns)'],
      rows: outcomes
        .filter(hasTimers)
        .map(({ order, saved, hadExpired, isEnabled, after }): Cell[] => [
          order,
          leftOf(saved),
          hadExpired,
          isEnabled,
          after.length,
          after[0] ?? '',
        ]),
      verdict: verdictOf(outcomes[0]!),
    });
  },
});
