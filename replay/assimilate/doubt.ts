/** What an event makes doubtful of VMs that it may be about, or about whose host it tells something. */
import type { Vm } from '../identity/vm.ts';
import type { KnownVm } from './known.ts';

/**
 * The masterclock of `vm` was updated: VMs that can't be told apart from it may be the ones.
 *
 * @param certain - the ioctl in progress names the VM.
 */
export function doubtOthers(vms: readonly KnownVm[], vm: Vm, certain: boolean): void {
  for (const other of vms) {
    if (other.vm !== vm && !isApart(other.vm, vm, certain)) other.mayBeUpdated();
  }
}

/** The masterclock of a VM was updated that nothing tells: it may be any, and by KVM_SET_CLOCK. */
export function doubtAll(vms: readonly KnownVm[]): void {
  for (const any of vms) {
    any.mayBeUpdated();
    any.clockOffset = 'unknown';
  }
}

/**
 * The host's clocks changed. If VMs made updates that nothing seemed to ask for, then this is what
 * asked for them, and can ask any vCPU for more than is recorded.
 */
export function excuseUnasked(vms: readonly KnownVm[]): void {
  if (vms.every(({ unasked }) => unasked === undefined)) return;
  forgetUnasked(vms);
  for (const { vm } of vms) {
    for (const { model } of vm.vcpus.values()) if (model !== undefined) model.mayAsk = true;
  }
}

/** Nothing tells whether the host had a reason for such updates. */
export function forgetUnasked(vms: readonly KnownVm[]): void {
  for (const known of vms) known.unasked = undefined;
}

/** Two VMs are told apart by more than their threads. */
const isApart = (a: Vm, b: Vm, certain: boolean): boolean => {
  if (a.source === 'threads' || b.source === 'threads') return false;
  return a.pid !== b.pid || (certain && a.source === 'ioctls' && b.source === 'ioctls');
};
