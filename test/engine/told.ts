/** What generated histories seldom do, told: kernels too old for them, and rare meetings. */
import { MSRS } from '../../events/index.ts';
import type { HostOptions } from '../../src/engine/index.ts';
import { PLAIN_HOST, type Teller, type Told } from './directed.ts';

const SYSTEM_TIME: Told = { type: 'wrmsr', index: MSRS.MSR_KVM_SYSTEM_TIME, data: 0x2001n };
const DEADLINE = MSRS.IA32_TSC_DEADLINE;
const HV_PAGE = { index: MSRS.HV_X64_MSR_REFERENCE_TSC, data: 0x7001n } as const;
const HV_EMULATION = { index: MSRS.HV_X64_MSR_TSC_EMULATION_CONTROL, data: 1n } as const;

/** A host on which a guest cannot be scaled, and whose preemption timer runs deadlines. */
export const STORY_HOST = {
  ...PLAIN_HOST,
  hasTscControl: false,
  preemptionTimerRate: 5,
} satisfies HostOptions;

/** What generated histories may miss when they change: of a VM with one vCPU. */
export const STORIES: Readonly<Record<string, (t: Teller) => void>> = {
  'vCPU 0 with the old MSR': (t) => {
    t.run(0, SYSTEM_TIME);
  },
  'Hyper-V’s page without masterclock': (t) => {
    t.run(0, SYSTEM_TIME);
    t.run(0, { type: 'wrmsr', ...HV_PAGE });
  },
  'a TSC that started again': (t) => {
    t.run(0);
    t.tell({ type: 'suspend' }, { type: 'timekeeping_suspend' });
    t.resetTsc(5n).tell({ type: 'resume', cpu: 0, offsBoot: 1n }, { type: 'suspend_end' });
    t.run(0);
  },
  'a TSC found unstable': (t) => {
    t.tell({ type: 'mark_tsc_unstable' });
    t.run(0);
  },
  'another clocksource': (t) => {
    t.run(0);
    t.tell({ type: 'change_clocksource', vclockMode: 0 }, { type: 'pvclock_gtod_work' });
    t.run(0);
  },
  'a guest faster than its host': (t) => {
    t.run(0, { type: 'KVM_SET_TSC_KHZ', khz: 3_000_000 });
    t.run(0);
  },
  'a guest that was stopped': (t) => {
    t.run(0, SYSTEM_TIME, { type: 'KVM_KVMCLOCK_CTRL' });
  },
  'a guest that was stopped and gave its page up': (t) => {
    t.run(0, SYSTEM_TIME, { type: 'KVM_KVMCLOCK_CTRL' }, { ...SYSTEM_TIME, data: 0n });
  },
  'a deadline': (t) => {
    t.run(0, { type: 'wrmsr', index: DEADLINE, data: 4_000_000_000n });
  },
  'a VM that is gone': (t) => {
    t.tell({ type: 'destroy_vm', cpu: 0 });
  },
};

/** Makes a teller for a kernel; the host is a plain one by default. */
export type NewTeller = (profile: string, host?: HostOptions) => Teller;

/** Deadlines run by VMX's preemption timer, and loads that find them near, far and past. */
function tellDeadlines(teller: NewTeller): void {
  const t = teller('v6.8', { ...PLAIN_HOST, preemptionTimerRate: 0 }).boot(1);
  const tscTo = (data: bigint): Told => ({ type: 'KVM_SET_MSRS', index: MSRS.IA32_TSC, data });
  const START = 1n << 41n;
  const soon: Told = { type: 'wrmsr', index: DEADLINE, data: START + 3_000_000_000n };
  const load = (cpu: number): Told => ({ type: 'vcpu_load', cpu });
  const PUT: Told = { type: 'vcpu_put' };
  t.run(0, tscTo(START), soon);
  t.tell(load(1), PUT, load(1));
  // Its TSC put back, the deadline is too far for the register.
  t.tell(tscTo(START >> 1n), PUT, load(2), PUT, { type: 'tsc_deadline' });
  // Its TSC put forward, the deadline has passed.
  t.run(0, tscTo(START), soon);
  t.tell(load(0), tscTo(START << 1n), PUT, load(3), PUT);
  t.run(0, tscTo(START), soon);
  t.tell({ type: 'tsc_deadline' });
}

/** A synthetic timer that fires, and one whose message waits. */
function tellStimers(teller: NewTeller): void {
  const t = teller('v6.8').boot(1);
  const config: Told = { type: 'wrmsr', index: MSRS.HV_X64_MSR_STIMER0_CONFIG, data: 0x20001n };
  const count: Told = { type: 'wrmsr', index: MSRS.HV_X64_MSR_STIMER0_COUNT, data: 1n << 30n };
  t.run(0, count, config);
  t.tell({ type: 'hv_message_slot', timer: 0, busy: true });
  t.wait(110_000_000_000n).tell({ type: 'kvm_hv_stimer_callback', timer: 0 });
  t.run(0);
  t.tell({ type: 'hv_message_slot', timer: 0, busy: false });
  t.run(0);
}

/** Tells all of them. */
export function tellRareThings(teller: NewTeller): void {
  teller('v4.4').boot(1).tell({ type: 'KVM_SET_CLOCK', clock: 0n, flags: 0 });
  // More loads in a second than may bring all pages up to date.
  const busy = teller('v7.3').boot(1);
  busy.run(0, SYSTEM_TIME);
  for (let cpu = 0; cpu < 16; cpu += 1) {
    busy.tell({ type: 'vcpu_load', cpu: cpu % 2 }, { type: 'vcpu_put' });
  }
  // The host sets the page that the guest counts on staying as it is.
  const hyperv = teller('v6.8').boot(1);
  hyperv.run(0, { type: 'wrmsr', ...HV_PAGE });
  hyperv.run(0, { type: 'wrmsr', ...HV_EMULATION }, { type: 'KVM_SET_MSRS', ...HV_PAGE });
  // Before v5.12 a page that broke with the masterclock is mended with it.
  const mended = teller('v5.10').boot(1);
  mended.run(0, { type: 'wrmsr', ...HV_PAGE });
  mended.tell({ type: 'change_clocksource', vclockMode: 0 }, { type: 'pvclock_gtod_work' });
  mended.run(0);
  mended.tell({ type: 'change_clocksource', vclockMode: 1 });
  mended.tell({ type: 'KVM_SET_CLOCK', clock: 0n, flags: 0 });
  mended.run(0);
  // Userspace gives a value to a TSC that is not the host's to set.
  const guarded = teller('rfc-v3');
  guarded.tell({ type: 'KVM_CREATE_VM' });
  guarded.tell({ type: 'KVM_CREATE_VCPU', vcpu: 0, cpu: 0 });
  guarded.tell({ type: 'protect_tsc', vcpu: 0 });
  guarded.tell({ type: 'vcpu_postcreate', vcpu: 0 });
  guarded.run(0, { type: 'KVM_SET_MSRS', index: MSRS.IA32_TSC, data: 1n << 40n });
  // A VM that ends before its vCPU is complete.
  const brief = teller('v6.8');
  brief.tell({ type: 'KVM_CREATE_VM' });
  brief.tell({ type: 'KVM_CREATE_VCPU', vcpu: 0, cpu: 0 });
  brief.tell({ type: 'destroy_vm', cpu: 0 });
  // A timer far ahead, which the generator's instants seldom leave standing.
  const timed = teller('v6.8').boot(1);
  timed.run(0, { type: 'wrmsr', index: MSRS.IA32_TSC_DEADLINE, data: 1n << 60n });
  timed.tell({ type: 'tsc_deadline', vcpu: 0 });
  tellDeadlines(teller);
  tellStimers(teller);
  // A guest faster than a host that cannot scale.
  const fast = teller('v6.8', { ...PLAIN_HOST, hasTscControl: false }).boot(1);
  fast.run(0, { type: 'KVM_SET_TSC_KHZ', khz: 3_000_000 });
}
