/** What KVM_CLOCK_TSC_STABLE is worth to user space. */
import { isRequested, KVM_CLOCK_TSC_STABLE, type VcpuState } from '../../clock/index.ts';
import type { Breach, Invariant, Step } from '../invariant.ts';

/** Whether KVM_GET_CLOCK has just said that the VM's TSCs are stable. */
function saysStable({ input, dispatched }: Step): boolean {
  if (input.type !== 'KVM_GET_CLOCK') return false;
  return dispatched.observations.some(
    (o) => o.type === 'ioctl_result' && ((o.flags ?? 0) & KVM_CLOCK_TSC_STABLE) !== 0,
  );
}

const seen = ({ dispatched }: Step, type: string, vm: number, vcpu: number): boolean =>
  dispatched.observations.some((o) => o.type === type && o.vm === vm && o.vcpu === vcpu);

const getsFrequency = ({ input }: Step, vm: number, vcpu: number): boolean =>
  input.type === 'KVM_SET_TSC_KHZ' && input.vm === vm && input.vcpu === vcpu;

/** Keeps which vCPUs' TSCs were moved by themselves, since they were last synchronised. */
function follow(step: Step, apart: Set<string>): void {
  for (const [vm, { vcpus }] of step.after.vms) {
    for (const vcpu of vcpus.keys()) {
      const key = `${vm}/${vcpu}`;
      if (seen(step, 'kvm_track_tsc', vm, vcpu)) apart.delete(key);
      else if (seen(step, 'kvm_write_tsc_offset', vm, vcpu)) apart.add(key);
      if (getsFrequency(step, vm, vcpu)) apart.add(key);
    }
  }
}

function* disagreements(vm: number, vcpus: readonly VcpuState[]): Iterable<Breach> {
  const [first] = vcpus;
  for (const vcpu of vcpus) {
    if (first === undefined || vcpu.l1TscOffset === first.l1TscOffset) continue;
    yield {
      vm,
      vcpu: vcpu.vcpuId,
      expected: `offset ${first.l1TscOffset}, as vCPU ${first.vcpuId}`,
      found: String(vcpu.l1TscOffset),
    };
  }
}

const V24: Invariant = {
  id: 'V24',
  name: 'KVM_CLOCK_TSC_STABLE, if guests leave their TSCs alone',
  statement:
    'When KVM_GET_CLOCK says TSC_STABLE and no vCPU is to renew the masterclock, all TSCs read the same, but for those that were moved by themselves since they were synchronised: by their guest, by KVM_SET_TSC_STATE or by another frequency. (TSC stable.)',
  source: 'Levitsky, “RFC: Precise TSC migration”, 2020-11-30; kvm_track_tsc_matching()',
  bound: 'exact',
  holdsUnder: ({ mclkCriterion, getClock }) => mclkCriterion === 'offsets' && getClock !== 'base',
  watch: () => {
    const apart = new Set<string>();
    return function* (step) {
      follow(step, apart);
      if (!saysStable(step) || step.after.host.tsc === 'unstable' || !('vm' in step.input)) return;
      const { vm } = step.input;
      const vcpus = [...step.after.vms.get(vm)!.vcpus.values()];
      if (vcpus.some((vcpu) => isRequested(vcpu, 'MASTERCLOCK_UPDATE'))) return;
      const left = vcpus.filter(
        ({ vcpuId, life }) => life === 'online' && !apart.has(`${vm}/${vcpuId}`),
      );
      yield* disagreements(vm, left);
    };
  },
};

export const STABILITY_INVARIANTS: readonly Invariant[] = [V24];
