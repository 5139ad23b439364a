/** Patch 20: a Xen guest's runstate when its clock was set back. */
import type { History } from './history.ts';

const HYPERCALL_MSR = 0x4000_0000;
const INTERCEPT_HCALL = 2;
const RUNSTATE_GPA = 0x50_0000n;
/** RUNSTATE_running and RUNSTATE_blocked. */
const [RUNNING, BLOCKED] = [0n, 2n];

/** A vCPU is blocked, the clock is set back, and it runs again. */
export const runstate: History = ({ params: { tscKhz, uptime, pause }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(1);
  vm.ioctl({ type: 'KVM_XEN_HVM_CONFIG', flags: INTERCEPT_HCALL, msr: HYPERCALL_MSR });
  vm.exit(0);
  vm.on(0, { type: 'KVM_XEN_SET_RUNSTATE_ADDR', gpa: RUNSTATE_GPA });
  sim.host.pass(uptime + pause);
  vm.on(0, { type: 'KVM_XEN_SET_RUNSTATE_CURRENT', state: BLOCKED });
  const { runstateEntryNs: entered } = vm.kvm(0);
  tell(sim, `the vCPU is blocked, at ${entered} ns by its clock`);
  vm.ioctl({ type: 'KVM_SET_CLOCK', clock: vm.kvmclock(0) - pause, flags: 0 });
  vm.on(0, { type: 'KVM_XEN_SET_RUNSTATE_CURRENT', state: RUNNING });
  const { runstateNs, runstate: state, runstateEntryNs } = vm.kvm(0);
  const blocked = runstateNs.get(Number(BLOCKED));
  tell(sim, `the clock is set back by ${pause} ns, it runs again: blocked for ${blocked} ns`);
  return [
    ['time it was blocked (ns)', blocked],
    ['its runstate', state],
    ['that was entered at, after the one before (ns)', runstateEntryNs - entered],
  ];
};
