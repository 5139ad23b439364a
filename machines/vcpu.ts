/**
 * A vCPU: a TSC that is the host's scaled plus an offset, and a pvclock page to tell time by.
 *
 * Every vCPU ioctl and every turn on a CPU is load … put; between them the vCPU may enter the guest,
 * and before it does it serves the requests that were raised on it. CLOCK_UPDATE computes the
 * pvclock from the VM's reference (or, without masterclock, from this vCPU's own reading of two
 * clocks) and writes the page.
 *
 * `catchup`: the TSC cannot run at the guest's frequency by itself (faster than the host's, no
 * scaling in hardware) or is unstable, and is pushed forward at clock updates; *always* means at
 * every exit. A vCPU never leaves it.
 *
 * Source: `kvm_arch_vcpu_load()`, `vcpu_enter_guest()`, `kvm_guest_time_update()`,
 * `kvm_write_system_time()`, `kvm_set_tsc_khz()`, arch/x86/kvm/x86.c.
 */
import { setup } from 'xstate';
import { type VcpuState, vcpuGuards, vcpuRecipes } from '../src/clock/index.ts';
import { bind, type Holder, type SignalEvent } from './bind.ts';

/** What a vCPU reacts to. */
export const VCPU_SIGNALS = {
  CREATE_VCPU: 'the vCPU is created',
  POSTCREATE: 'its creation is complete',
  DESTROY_VCPU: 'it is gone with its VM',
  RESET: 'it is reset',
  LOAD: 'a thread takes it onto a CPU',
  APPLY_TSC_ADJUSTMENT: 'loaded after its TSC went backwards',
  LOAD_UNSTABLE: 'loaded while the TSC is unstable',
  ASK_FOR_UPDATE: 'loaded on another CPU: are clock updates needed?',
  PUT: 'it leaves its CPU',
  ENTER: 'it enters the guest',
  EXIT: 'it leaves the guest',
  SERVE_MIGRATE_TIMER: 'the request is served',
  SERVE_MASTERCLOCK_UPDATE: 'the request is served',
  SERVE_GLOBAL_CLOCK_UPDATE: 'the request is served',
  SERVE_CLOCK_UPDATE: 'the request is served',
  SERVE_STEAL_UPDATE: 'the request is served',
  REQUEST_CLOCK_UPDATE: 'its page shall be brought up to date',
  REQUEST_UPDATE_HERE: 'so shall that of a vCPU which was last on this CPU',
  REQUEST_MASTERCLOCK_UPDATE: 'the clocksource left the TSC',
  GUEST_TIME_UPDATE: 'the pvclock is computed and its page written',
  SET_TSC_KHZ: 'its TSC gets a frequency',
  REPORT_TSC_KHZ_SET: 'the ioctl that set it returns',
  REPORT_TSC_KHZ: 'it is read',
  ADOPT_SYNCHRONIZATION: 'its TSC gets the offset that the VM decided',
  TRACK_TSC: 'does that change whether a masterclock is possible?',
  WRITE_GUEST_TSC: 'the guest writes IA32_TSC',
  ADJUST_GUEST_TSC: 'the guest writes IA32_TSC_ADJUST',
  STORE_TSC_ADJUST: 'the VMM writes IA32_TSC_ADJUST',
  PROTECT_TSC: 'its TSC is no longer the host’s to set',
  SET_TSC_DEADLINE: 'IA32_TSC_DEADLINE is written',
  FIRE_TSC_DEADLINE: 'the guest’s TSC has reached it',
  BACKWARDS_TSC: 'the host’s TSC went backwards over a suspend',
  BOOT_VCPU_CHANGES_MSR: 'vCPU 0 turns to the other kvmclock MSR',
  SYSTEM_TIME_MSR: 'a kvmclock MSR is written',
  STEAL_TIME_MSR: 'MSR_KVM_STEAL_TIME is written',
  RECORD_STEAL_TIME: 'steal time is counted',
  REQUEST_HV_UPDATE: 'the reference TSC page was enabled',
  GUEST_PAUSED: 'the guest was stopped',
  REPORT_GUEST_PAUSED: 'KVM_KVMCLOCK_CTRL returns',
  CLEAR_STOPPED_FLAG: 'the guest clears the flag in its page',
  XEN_TIME_UPDATE: 'Xen’s pages are written',
  XEN_VCPU_INFO: 'Xen’s vcpu_info is placed',
  XEN_VCPU_TIME_INFO: 'Xen’s vcpu_time_info is placed',
  REQUEST_XEN_UPDATE: 'Xen’s shared_info page was set',
  ENTER_L2: 'it enters a nested guest',
  LEAVE_L2: 'it leaves a nested guest',
  READ_MSR: 'an MSR is read',
  MSR_WRITTEN: 'an MSR was written',
  READ_TSC: 'the guest reads its TSC',
  REPORT_TSC_OFFSET: 'its TSC offset is read',
  REPORT_TSC_SCALE: 'its TSC’s scale is read',
  REPORT_CLOCK_GUEST: 'the VM’s clock is read as its page',
  REPORT_CLOCK_GUEST_SET: 'the VM’s clock was set by its page, or not',
  REPORT_TSC_STATE: 'its TSC is read together with the time',
  SET_TSC_STATE: 'its TSC is put back, moved on by the time since',
  REPORT_DONE: 'an ioctl returns 0',
  PAIR_CLOCKS: 'the guest asks for realtime and TSC of one instant',
} as const;

/** Name of a signal to a vCPU. */
export type VcpuSignal = keyof typeof VCPU_SIGNALS;

const code = bind<VcpuState, VcpuSignal>();

export const vcpuMachine = setup({
  types: {
    context: {} as Holder<VcpuState>,
    events: {} as SignalEvent<VcpuSignal>,
    input: {} as Holder<VcpuState>,
  },
  guards: code.guards(vcpuGuards),
  actions: code.actions(vcpuRecipes),
}).createMachine({
  id: 'vcpu',
  type: 'parallel',
  context: ({ input }) => input,
  states: {
    life: {
      initial: 'absent',
      states: {
        absent: { on: { CREATE_VCPU: { target: 'created', actions: 'nameVcpu' } } },
        created: { on: { POSTCREATE: 'online', DESTROY_VCPU: 'destroyed' } },
        online: { on: { DESTROY_VCPU: 'destroyed' } },
        destroyed: {},
      },
    },
    run: {
      initial: 'unloaded',
      on: {
        SERVE_MIGRATE_TIMER: { actions: 'serveMigrateTimer' },
        SERVE_MASTERCLOCK_UPDATE: { actions: 'serveMasterclockUpdate' },
        SERVE_GLOBAL_CLOCK_UPDATE: { actions: 'serveGlobalClockUpdate' },
        SERVE_CLOCK_UPDATE: { actions: 'serveClockUpdate' },
        SERVE_STEAL_UPDATE: { actions: 'serveStealUpdate' },
        REQUEST_CLOCK_UPDATE: { actions: 'requestClockUpdate' },
        REQUEST_UPDATE_HERE: { guard: 'wasLastOnThisCpu', actions: 'requestClockUpdate' },
        REQUEST_MASTERCLOCK_UPDATE: { actions: 'requestUpdateForClocksource' },
        REQUEST_XEN_UPDATE: { actions: 'requestUpdateForXen' },
        REQUEST_HV_UPDATE: { actions: 'requestUpdateForHyperv' },
        APPLY_TSC_ADJUSTMENT: { actions: 'applyTscAdjustment' },
        ASK_FOR_UPDATE: [
          { guard: 'asksForGlobalUpdate', actions: 'requestGlobalClockUpdate' },
          { guard: 'asksForOwnUpdate', actions: 'requestClockUpdate' },
        ],
        STEAL_TIME_MSR: { actions: 'storeStealTimeMsr' },
        RECORD_STEAL_TIME: { actions: 'recordStealTime' },
        RESET: { actions: 'forgetStealTimeMsr' },
        READ_MSR: { actions: 'readMsr' },
        MSR_WRITTEN: { actions: 'msrWritten' },
        READ_TSC: { actions: 'readTsc' },
        REPORT_TSC_KHZ: { actions: 'reportTscKhz' },
        REPORT_TSC_OFFSET: { actions: 'reportTscOffset' },
        REPORT_TSC_SCALE: { actions: 'reportTscScale' },
        REPORT_CLOCK_GUEST: { actions: 'reportClockGuest' },
        REPORT_CLOCK_GUEST_SET: { actions: 'reportClockGuestSet' },
        REPORT_TSC_STATE: { actions: 'reportTscState' },
        REPORT_TSC_KHZ_SET: { actions: 'reportTscKhzSet' },
        REPORT_DONE: { actions: 'reportVcpuDone' },
        REPORT_GUEST_PAUSED: { actions: 'reportGuestPaused' },
        PAIR_CLOCKS: { actions: 'pairClocks' },
      },
      states: {
        unloaded: {
          on: { LOAD: { target: 'loaded', actions: ['moveToCpu', 'requestStealUpdate'] } },
        },
        loaded: {
          on: {
            PUT: { target: 'unloaded', actions: ['markPreempted', 'noteHostTsc'] },
            ENTER: 'guest',
          },
        },
        guest: { on: { EXIT: { target: 'loaded', actions: 'noteGuestTsc' } } },
      },
    },
    kvmclock: {
      initial: 'off',
      on: {
        BOOT_VCPU_CHANGES_MSR: { actions: 'requestUpdateForMsr' },
        SYSTEM_TIME_MSR: [
          { guard: 'enablesOldKvmclock', target: '.old', actions: 'storeSystemTimeMsr' },
          { guard: 'enablesNewKvmclock', target: '.new', actions: 'storeSystemTimeMsr' },
          { target: '.off', actions: 'storeSystemTimeMsr' },
        ],
        CLEAR_STOPPED_FLAG: { actions: 'clearStoppedFlag' },
        RESET: { target: '.off', actions: 'forgetSystemTimeMsr' },
        GUEST_TIME_UPDATE: [
          { guard: 'hostFrequencyIsUnknown', actions: 'retryClockUpdate' },
          { guard: 'hasPage', actions: ['computePvclock', 'writePage'] },
          { actions: 'computePvclock' },
        ],
      },
      states: { off: {}, old: {}, new: {} },
    },
    catchup: {
      initial: 'off',
      on: {
        SET_TSC_KHZ: [
          { guard: 'needsSoftwareUpscaling', target: '.always', actions: 'setTscKhz' },
          { actions: 'setTscKhz' },
        ],
        ADOPT_SYNCHRONIZATION: { actions: 'adoptSynchronization' },
        TRACK_TSC: [
          { guard: 'trackingAsksForUpdate', actions: 'requestTrackedUpdate' },
          { actions: 'trackingKeeps' },
        ],
        SET_TSC_STATE: { actions: 'setTscState' },
        PROTECT_TSC: { actions: 'protectTsc' },
        WRITE_GUEST_TSC: { actions: 'writeGuestTsc' },
        ADJUST_GUEST_TSC: { actions: 'adjustGuestTsc' },
        STORE_TSC_ADJUST: { actions: 'storeTscAdjust' },
        SET_TSC_DEADLINE: { actions: 'setTscDeadline' },
        FIRE_TSC_DEADLINE: { actions: 'fireTscDeadline' },
        BACKWARDS_TSC: { actions: ['noteTscDeficit', 'requestUpdateForBackwardsTsc'] },
        LOAD_UNSTABLE: { actions: 'continueTsc' },
      },
      states: {
        off: { on: { LOAD_UNSTABLE: { target: 'catchup', actions: 'continueTsc' } } },
        catchup: {},
        always: { on: { EXIT: { actions: 'requestClockUpdate' } } },
      },
    },
    level: {
      initial: 'l1',
      states: { l1: { on: { ENTER_L2: 'l2' } }, l2: { on: { LEAVE_L2: 'l1' } } },
    },
    xenVcpuInfo: {
      initial: 'off',
      on: {
        XEN_VCPU_INFO: [
          { guard: 'placesXenPage', target: '.on', actions: 'placeVcpuInfo' },
          { target: '.off' },
        ],
      },
      states: { off: {}, on: { on: { XEN_TIME_UPDATE: { actions: 'writeVcpuInfo' } } } },
    },
    xenVcpuTimeInfo: {
      initial: 'off',
      on: {
        XEN_VCPU_TIME_INFO: [
          { guard: 'placesXenPage', target: '.on', actions: 'placeVcpuTimeInfo' },
          { target: '.off' },
        ],
      },
      states: { off: {}, on: { on: { XEN_TIME_UPDATE: { actions: 'writeVcpuTimeInfo' } } } },
    },
    stopped: {
      initial: 'no',
      states: {
        no: { on: { GUEST_PAUSED: { target: 'requested', actions: 'requestClockUpdate' } } },
        requested: {
          on: {
            GUEST_PAUSED: { actions: 'requestClockUpdate' },
            GUEST_TIME_UPDATE: { guard: 'writesPage', target: 'no' },
          },
        },
      },
    },
  },
});
