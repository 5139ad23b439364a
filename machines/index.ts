/**
 * How KVM's clock works, as statecharts: the host, a VM, a vCPU, and around them the VMM and the
 * guest. Each file opens with what it is about; the configs are plain data.
 *
 * @module
 */
export type { Holder, SignalEvent } from './bind.ts';
export { GUEST_SIGNALS, type GuestSignal, guestMachine } from './guest.ts';
export { HOST_SIGNALS, type HostSignal, hostMachine } from './host.ts';
export { vcpuMachine } from './vcpu.ts';
export { VCPU_SIGNALS, type VcpuSignal } from './vcpu-signals.ts';
export { VM_SIGNALS, type VmSignal, vmMachine } from './vm.ts';
export {
  VMM_SIGNALS,
  VMM_VCPU_SIGNALS,
  type VmmSignal,
  type VmmVcpuSignal,
  vmmMachine,
  vmmVcpuMachine,
} from './vmm.ts';
