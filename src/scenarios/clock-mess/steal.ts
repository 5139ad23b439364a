/** Patch 21, in the guest's scheduler: a steal clock that goes back. */
import { LinuxGuest } from '../linux.ts';
import type { History } from './history.ts';

const STEAL_GPA = 0x40_0000n;
/** A jiffy at HZ=250. */
const TICK_NS = 4_000_000n;

/** The vCPU's thread has waited for a CPU for so long in all, as its guest is told at an entry. */
export const stealAccounting: History = ({ params, patched, host, tell }) => {
  const { tscKhz, pause, times } = params;
  const sim = host({ tscKhz });
  const vm = sim.vm();
  const { guest } = new LinuxGuest(sim, vm, { stealResync: patched });
  vm.start(1);
  vm.writeMsr(0, 'MSR_KVM_STEAL_TIME', guest.enableSteal(0, STEAL_GPA).data);
  const enterAfter = (runDelay: bigint): void => {
    vm.leave(0);
    vm.on(0, { type: 'vcpu_load', cpu: 0 });
    vm.on(0, { type: 'kvm_entry', readings: { run_delay: runDelay } });
  };
  enterAfter(2n * pause);
  const before = vm.kvm(0).stealNs;
  sim.host.pass(2n * pause);
  guest.tick(0, 2n * pause);
  tell(sim, `the guest’s steal clock is at ${before} ns, which it has accounted for`);
  enterAfter(pause);
  const { stealNs } = vm.kvm(0);
  tell(sim, `its vCPU runs in another thread: the steal clock goes back to ${stealNs} ns`);
  let stolen = 0n;
  for (let i = 0; i < times; i++) {
    sim.host.pass(TICK_NS);
    stolen += guest.tick(0, TICK_NS) ?? 0n;
  }
  return [
    ['the steal clock goes by (ns)', stealNs - before],
    ['time passed in ticks then (ns)', TICK_NS * BigInt(times)],
    ['of that, stolen by the guest’s account (ns)', stolen],
  ];
};
