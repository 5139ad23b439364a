/**
 * A VM: the reference its vCPUs' clocks share.
 *
 * With the masterclock *on*, all pvclock pages are computed from one pair (host TSC, base clock), so
 * that vCPUs agree to the nanosecond and a guest may trust the STABLE bit. Each UPDATE_COPY decides
 * anew and takes the pair anew; between two of them the guest's clock runs by the TSC alone, and
 * whatever the two clocks have drifted apart becomes a jump at the next. *Off* says why: the
 * clocksource is not the TSC, the vCPUs' TSCs do not match (in generation, or as posted in
 * frequency), the TSC went backwards over a suspend,
 * or vCPU 0 uses the old MSR.
 *
 * Hyper-V's reference TSC page is made of the same pair; `hvTscPage` is its status
 * (`enum hv_tsc_page_status`).
 *
 * Source: `pvclock_update_vm_gtod_copy()`, `__kvm_synchronize_tsc()`, `kvm_arch_init_vm()`,
 * `kvm_vm_ioctl_set_clock()`, arch/x86/kvm/x86.c; `kvm_hv_setup_tsc_page()`,
 * arch/x86/kvm/hyperv.c.
 */
import { setup } from 'xstate';
import { type VmState, vmGuards, vmRecipes } from '../src/clock/index.ts';
import { bind, type Holder, type SignalEvent } from './bind.ts';

/** What a VM reacts to. */
export const VM_SIGNALS = {
  CREATE_VM: 'the VM is created',
  DESTROY_VM: 'the VM is gone',
  COUNT_VCPU: 'one more vCPU is online',
  UPDATE_COPY: 'the masterclock is decided and its reference taken',
  SYNCHRONIZE_TSC: 'a TSC is synchronised: does it join the generation?',
  NOTE_USER_TSC: 'userspace gave a TSC a value that it will not take',
  BEGIN_FREQUENCY_SCAN: 'have all vCPUs the frequency of this one?',
  COMPARE_FREQUENCY: 'one of them',
  TRACE_TRACK_TSC: 'what TSCs allow is told',
  BACKWARDS_TSC: 'the TSC went backwards: what was recorded of writes is no longer so',
  NOTE_BOOT_VCPU_MSR: 'vCPU 0 wrote one of the two kvmclock MSRs',
  COUNT_GLOBAL_UPDATE: 'a load takes one of this second’s updates of all pages',
  GET_CLOCK: 'the clock is read',
  SET_CLOCK_AGAINST_BASE: 'the clock is set, against the base clock',
  SET_CLOCK_AGAINST_NOW: 'the clock is set, against its value now',
  SET_CLOCK_AGAINST_REFERENCE: 'the clock is set, against the reference',
  SET_CLOCK_GUEST: 'the clock is set, against a page of a guest’s',
  RESTART_CLOCK: 'vCPU 0 registers its clock, which starts again',
  DISABLE_QUIRKS: 'the VMM does without some quirks',
  REPORT_DONE: 'an ioctl returns 0',
  SET_DEFAULT_TSC_KHZ: 'frequency of vCPUs to come',
  REPORT_DEFAULT_TSC_KHZ: 'it is read',
  WRITE_WALL_CLOCK: 'the wall clock is written',
  HV_REFERENCE_TSC: 'the MSR of the reference TSC page is written',
  HV_PAGE_REQUEST: 'the masterclock is about to change: the page will follow',
  HV_PAGE: 'a pvclock was computed that the page can be made of',
  XEN_CONFIG: 'flags of Xen’s interface',
  XEN_LONG_MODE: 'the mode of a Xen guest',
  XEN_WALL_CLOCK: 'the wall clock in Xen’s shared_info page is written',
  HV_EMULATION_CONTROL: 'the MSR is written',
  HV_REENLIGHTENMENT_CONTROL: 'the MSR is written',
  HV_EMULATION_STATUS: 'the MSR is written',
  HV_INVTSC_CONTROL: 'the MSR is written',
  QUEUE_UPDATE_WORK: 'all pages will be brought up to date in 100 ms',
  UPDATE_WORK: 'they are',
  ARM_SYNC_WORK: 'all pages will be brought up to date in 300 s, again and again',
  SYNC_WORK: 'they are',
} as const;

/** Name of a signal to a VM. */
export type VmSignal = keyof typeof VM_SIGNALS;

const code = bind<VmState, VmSignal>();

export const vmMachine = setup({
  types: {
    context: {} as Holder<VmState>,
    events: {} as SignalEvent<VmSignal>,
    input: {} as Holder<VmState>,
  },
  guards: code.guards(vmGuards),
  actions: code.actions(vmRecipes),
}).createMachine({
  id: 'vm',
  type: 'parallel',
  context: ({ input }) => input,
  states: {
    life: {
      initial: 'absent',
      states: {
        absent: { on: { CREATE_VM: { target: 'alive', actions: 'initVmClock' } } },
        alive: {
          on: {
            DESTROY_VM: 'destroyed',
            COUNT_VCPU: { actions: 'countVcpu' },
            SYNCHRONIZE_TSC: [
              { guard: 'joinsGeneration', actions: 'joinGeneration' },
              { actions: 'startGeneration' },
            ],
            NOTE_USER_TSC: { actions: 'noteUserTsc' },
            BEGIN_FREQUENCY_SCAN: { actions: 'beginFrequencyScan' },
            COMPARE_FREQUENCY: { actions: 'compareFrequency' },
            TRACE_TRACK_TSC: { actions: 'traceTrackTsc' },
            BACKWARDS_TSC: { actions: 'recordBackwardsTsc' },
            NOTE_BOOT_VCPU_MSR: { actions: 'noteBootVcpuMsr' },
            COUNT_GLOBAL_UPDATE: { actions: 'countGlobalUpdate' },
            GET_CLOCK: { actions: 'reportClock' },
            SET_CLOCK_AGAINST_BASE: { actions: 'setClockAgainstBase' },
            SET_CLOCK_AGAINST_NOW: { actions: 'setClockAgainstNow' },
            SET_CLOCK_AGAINST_REFERENCE: { actions: 'setClockAgainstReference' },
            SET_CLOCK_GUEST: { guard: 'acceptsClockGuest', actions: 'setClockByGuest' },
            RESTART_CLOCK: { actions: 'restartClock' },
            DISABLE_QUIRKS: { actions: ['disableQuirks', 'reportDone'] },
            REPORT_DONE: { actions: 'reportDone' },
            SET_DEFAULT_TSC_KHZ: { actions: ['setDefaultTscKhz', 'reportDone'] },
            REPORT_DEFAULT_TSC_KHZ: { actions: 'reportDefaultTscKhz' },
            WRITE_WALL_CLOCK: { actions: 'writeWallClock' },
            XEN_CONFIG: { actions: ['storeXenFlags', 'reportDone'] },
            XEN_LONG_MODE: { actions: ['storeXenLongMode', 'reportDone'] },
            XEN_WALL_CLOCK: { actions: 'writeXenWallClock' },
            HV_EMULATION_CONTROL: { actions: 'storeEmulationControl' },
            HV_REENLIGHTENMENT_CONTROL: { actions: 'storeReenlightenmentControl' },
            HV_EMULATION_STATUS: { actions: 'storeEmulationStatus' },
            HV_INVTSC_CONTROL: { actions: 'storeInvtscControl' },
          },
        },
        destroyed: {},
      },
    },
    masterclock: {
      initial: 'off',
      on: {
        UPDATE_COPY: [
          {
            guard: 'hostClockIsNotTsc',
            target: '.off.hostClock',
            actions: 'announceHostClock',
          },
          {
            guard: 'vcpusDoNotMatch',
            target: '.off.unmatched',
            actions: ['takeReference', 'announceUnmatched'],
          },
          {
            guard: 'tscWentBackwards',
            target: '.off.backwardsTsc',
            actions: ['takeReference', 'announceBackwards'],
          },
          {
            guard: 'bootVcpuRunsOldKvmclock',
            target: '.off.oldKvmclock',
            actions: ['takeReference', 'announceOldKvmclock'],
          },
          { target: '.on', actions: ['takeReference', 'announceOn'] },
        ],
      },
      states: {
        off: {
          initial: 'unmatched',
          states: { unmatched: {}, hostClock: {}, backwardsTsc: {}, oldKvmclock: {} },
        },
        on: {},
      },
    },
    hvTscPage: {
      initial: 'unset',
      on: {
        HV_REFERENCE_TSC: [
          { guard: 'guestEnablesPage', target: '.guestChanged', actions: 'storeReferenceTsc' },
          { guard: 'hostEnablesPage', target: '.hostChanged', actions: 'storeReferenceTsc' },
          { target: '.unset', actions: 'storeReferenceTsc' },
        ],
      },
      states: {
        unset: {},
        guestChanged: {
          on: {
            HV_PAGE_REQUEST: { guard: 'invalidatesAtRequest', actions: 'invalidatePage' },
            HV_PAGE: [
              { guard: 'pageIsExpressible', target: 'set', actions: 'writeHvPage' },
              { target: 'broken', actions: 'invalidatePage' },
            ],
          },
        },
        hostChanged: {
          on: {
            HV_PAGE_REQUEST: { guard: 'invalidatesAtRequest', actions: 'invalidatePage' },
            HV_PAGE: [
              { guard: 'keepsPage', target: 'set' },
              { guard: 'pageIsExpressible', target: 'set', actions: 'writeHvPage' },
              { target: 'broken', actions: 'invalidatePage' },
            ],
          },
        },
        set: {
          on: {
            HV_PAGE_REQUEST: [
              {
                guard: 'invalidatesAtRequest',
                target: 'hostChanged',
                actions: 'invalidatePage',
              },
              { guard: 'mayUpdatePage', target: 'hostChanged' },
            ],
            HV_PAGE: [
              { guard: 'rewritesPage', actions: 'writeHvPage' },
              { guard: 'invalidatesPage', target: 'broken', actions: 'invalidatePage' },
            ],
          },
        },
        broken: {
          on: {
            HV_PAGE: [
              { guard: 'mendsPage', target: 'set', actions: 'writeHvPage' },
              { guard: 'cannotMendPage', actions: 'invalidatePage' },
            ],
          },
        },
      },
    },
    updateWork: {
      initial: 'idle',
      states: {
        idle: { on: { QUEUE_UPDATE_WORK: { target: 'queued', actions: 'armUpdateWork' } } },
        queued: { on: { UPDATE_WORK: { target: 'idle', actions: 'workFired' } } },
      },
    },
    syncWork: {
      initial: 'idle',
      states: {
        idle: { on: { ARM_SYNC_WORK: { target: 'armed', actions: 'armSyncWork' } } },
        armed: {
          // Another vCPU's creation finds it queued (schedule_delayed_work()) and changes nothing.
          on: {
            SYNC_WORK: [
              { guard: 'syncWorkEnds', target: 'idle', actions: 'workFired' },
              { actions: ['workFired', 'armSyncWork'] },
            ],
          },
        },
      },
    },
  },
});
