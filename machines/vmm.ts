/**
 * A VMM: what userspace does to a VM's clock around the guest.
 *
 * KVM's clock runs whether the guest does or not, and neither a VM's clock nor its vCPUs' TSCs move
 * to another host by themselves. So a VMM that stops a guest reads the clock, and sets it when the
 * guest goes on; a VMM that saves one reads its TSCs too and writes them where it is restored. What
 * exactly is done, and in which order, is the VMM's *policy* (`src/engine/vmm/`); these
 * machines say in which states a VMM and its vCPUs can be.
 *
 * `run`: a VM is *launched* without running, *running*, *paused*, *saved*, or *restored* on another
 * host, where it has not run yet. `stoppedBy` matters because a clock that the user stopped stays
 * stopped, while one stopped for saving is read again at the last moment. `clockDevice`: the clock
 * kept is *valid* from when it is read until it is set. `tscKept`: a TSC read where the guest is stopped
 * is not read again until it runs.
 *
 * A vCPU that is unplugged is *parked*: KVM cannot remove a vCPU and would refuse to create its id
 * again, so the next hotplug of that id uses the one there is.
 *
 * Source: QEMU, hw/i386/kvm/clock.c, accel/kvm/kvm-all.c (`kvm_park_vcpu()`,
 * `kvm_create_vcpu()`).
 */
import { setup } from 'xstate';
import {
  type VmmCtx,
  type VmmState,
  type VmmVcpuState,
  vmmGuards,
  vmmRecipes,
  vmmVcpuRecipes,
} from '../src/clock/index.ts';
import { bind, type Holder, type SignalEvent } from './bind.ts';

/** What a VMM reacts to. */
export const VMM_SIGNALS = {
  LAUNCH: 'the VM is created',
  PAUSE: 'the guest is stopped',
  KEEP_CLOCK: 'the clock was read',
  FILL_REALTIME: 'the time at which it was read is read too, if KVM did not tell it',
  READ_PAGE: 'an unreliable clock is corrected by what the guest would have read',
  CLOCK_SET: 'the clock was set',
  SAVE: 'the VM’s state is saved',
  RESTORE: 'a saved state is taken over',
  RESUME: 'the guest runs',
} as const;

/** Name of a signal to a VMM. */
export type VmmSignal = keyof typeof VMM_SIGNALS;

/** What a VMM's vCPU reacts to. */
export const VMM_VCPU_SIGNALS = {
  PLUG: 'it is plugged in',
  PARK: 'it is unplugged',
  KEEP: 'one of its MSRs was read, its frequency or its TSC offset',
  KEEP_TSC: 'its TSC was read where the guest does not run',
  RUN: 'the guest runs',
  RESTORE: 'a saved state is taken over',
} as const;

/** Name of a signal to a VMM's vCPU. */
export type VmmVcpuSignal = keyof typeof VMM_VCPU_SIGNALS;

const vmm = bind<VmmState, VmmSignal, VmmCtx>();
const vcpu = bind<VmmVcpuState, VmmVcpuSignal, VmmCtx>();

export const vmmMachine = setup({
  types: {
    context: {} as Holder<VmmState>,
    events: {} as SignalEvent<VmmSignal, VmmCtx>,
    input: {} as Holder<VmmState>,
  },
  guards: vmm.guards(vmmGuards),
  actions: vmm.actions(vmmRecipes),
}).createMachine({
  id: 'vmm',
  type: 'parallel',
  context: ({ input }) => input,
  states: {
    run: {
      initial: 'absent',
      states: {
        absent: { on: { LAUNCH: { target: 'launched', actions: 'storeFrequency' } } },
        launched: {
          on: { RESUME: 'running', RESTORE: { target: 'restored', actions: 'takeSaved' } },
        },
        running: { on: { PAUSE: 'paused' } },
        paused: { on: { RESUME: 'running', SAVE: { target: 'saved', actions: 'storeTaiOffset' } } },
        saved: { on: { RESUME: 'running', SAVE: { target: 'saved', actions: 'storeTaiOffset' } } },
        restored: { on: { RESUME: 'running' } },
      },
    },
    stoppedBy: {
      initial: 'nobody',
      on: { RESUME: '.nobody' },
      states: {
        nobody: { on: { PAUSE: [{ guard: 'byUser', target: 'user' }, { target: 'vmm' }] } },
        user: {},
        vmm: {},
      },
    },
    clockDevice: {
      initial: 'invalid',
      on: {
        READ_PAGE: { guard: 'clockIsUnreliable', actions: 'clockFromPage' },
        FILL_REALTIME: { actions: 'fillRealtime' },
      },
      states: {
        invalid: {
          on: { KEEP_CLOCK: { target: 'valid', actions: 'keepClock' }, RESTORE: 'valid' },
        },
        valid: {
          on: { KEEP_CLOCK: { actions: 'keepClock' }, CLOCK_SET: 'invalid' },
        },
      },
    },
  },
});

export const vmmVcpuMachine = setup({
  types: {
    context: {} as Holder<VmmVcpuState>,
    events: {} as SignalEvent<VmmVcpuSignal, VmmCtx>,
    input: {} as Holder<VmmVcpuState>,
  },
  actions: vcpu.actions(vmmVcpuRecipes),
}).createMachine({
  id: 'vmmVcpu',
  type: 'parallel',
  context: ({ input }) => input,
  states: {
    life: {
      initial: 'absent',
      states: {
        absent: { on: { PLUG: { target: 'plugged', actions: 'placeThread' } } },
        plugged: {
          on: {
            KEEP: { actions: 'keepResult' },
            KEEP_TSC: { actions: 'keepResult' },
            RESTORE: { actions: 'takeSavedVcpu' },
            PARK: 'parked',
          },
        },
        parked: {
          on: {
            PLUG: { target: 'plugged', actions: ['placeThread', 'forgetMsrs'] },
          },
        },
      },
    },
    tscKept: {
      initial: 'no',
      states: {
        no: { on: { KEEP_TSC: 'yes' } },
        yes: { on: { RUN: 'no', PARK: 'no' } },
      },
    },
  },
});
