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
 * `level` is L2 while a guest hypervisor's own guest runs, whose TSC is L1's scaled and offset once
 * more. `deadlineTimer` says what runs the TSC deadline: a timer of the host, or VMX's preemption
 * timer. `xenTimer` and `runstate` are what KVM does for Xen guests.
 *
 * Source: `kvm_arch_vcpu_load()`, `vcpu_enter_guest()`, `kvm_guest_time_update()`,
 * `kvm_write_system_time()`, `kvm_set_tsc_khz()`, arch/x86/kvm/x86.c; arch/x86/kvm/lapic.c, xen.c,
 * hyperv.c, vmx/nested.c, svm/nested.c.
 */
import { setup } from 'xstate';
import { type VcpuState, vcpuGuards, vcpuRecipes } from '../src/clock/index.ts';
import { bind, type Holder, type SignalEvent } from './bind.ts';
import type { VcpuSignal } from './vcpu-signals.ts';

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
        SERVE_HV_STIMER: { actions: 'serveHvStimer' },
        PROCESS_STIMERS: { actions: 'processStimers' },
        STIMER_CONFIG_MSR: { actions: 'storeStimerConfig' },
        STIMER_COUNT_MSR: { actions: 'storeStimerCount' },
        STIMER_FIRED: { actions: 'stimerFired' },
        MESSAGE_SLOT: { actions: 'noteMessageSlot' },
        XEN_READ_ATTR: { actions: 'readXenAttr' },
        XEN_HYPERCALL_DONE: { actions: 'xenHypercallDone' },
        XEN_SET_LEAF: { actions: 'storeXenLeaf' },
        XEN_READ_LEAF: { actions: 'readXenLeaf' },
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
        BACKWARDS_TSC: { actions: ['noteTscDeficit', 'requestUpdateForBackwardsTsc'] },
        LOAD_UNSTABLE: { actions: 'continueTsc' },
      },
      states: {
        off: { on: { LOAD_UNSTABLE: { target: 'catchup', actions: 'continueTsc' } } },
        catchup: {},
        always: { on: { EXIT: { actions: 'requestClockUpdate' } } },
      },
    },
    deadlineTimer: {
      initial: 'off',
      on: {
        SET_TSC_DEADLINE: [
          { guard: 'isNoDeadline', target: '.off', actions: 'storeTscDeadline' },
          {
            guard: 'deadlineIsDue',
            target: '.off',
            actions: ['storeTscDeadline', 'fireTscDeadline'],
          },
          {
            guard: 'usesPreemptionTimer',
            target: '.preemption',
            actions: ['storeTscDeadline', 'armPreemptionTimer'],
          },
          { target: '.software', actions: ['storeTscDeadline', 'armDeadline'] },
        ],
      },
      states: {
        off: {},
        software: { on: { FIRE_TSC_DEADLINE: { target: 'off', actions: 'fireTscDeadline' } } },
        preemption: {
          on: {
            FIRE_TSC_DEADLINE: { target: 'off', actions: 'fireTscDeadline' },
            RESTART_DEADLINE: [
              { guard: 'deadlineIsDue', target: 'off', actions: 'fireTscDeadline' },
              { guard: 'usesPreemptionTimer', actions: 'armPreemptionTimer' },
              { target: 'software', actions: 'armDeadline' },
            ],
          },
        },
      },
    },
    level: {
      initial: 'l1',
      on: { TSC_RATIO_MSR: { actions: 'storeTscRatioMsr' } },
      states: {
        l1: {
          on: {
            ENTER_L2: [
              { guard: 'nestedEntryIsRefused', actions: 'refuseNestedEntry' },
              { guard: 'nestedEntryFails', actions: 'failNestedEntry' },
              { target: 'l2', actions: 'enterL2' },
            ],
          },
        },
        l2: {
          on: {
            LEAVE_L2: { target: 'l1', actions: 'leaveL2' },
            RESET: { target: 'l1', actions: 'leaveL2' },
          },
        },
      },
    },
    xenTimer: {
      initial: 'off',
      on: {
        XEN_SET_TIMER: { target: '.off', actions: ['stopXenTimer', 'storeXenTimerPort'] },
        XEN_STOP_TIMER: { target: '.off', actions: 'stopXenTimer' },
        XEN_START_TIMER: [
          { guard: 'xenTimerIsDue', target: '.off', actions: 'fireXenTimerAtOnce' },
          { target: '.armed', actions: 'armXenTimer' },
        ],
      },
      states: {
        off: {},
        armed: { on: { XEN_TIMER: { target: 'off', actions: 'fireXenTimer' } } },
      },
    },
    runstate: {
      initial: 'running',
      on: {
        RUNSTATE_ADDR: [
          { guard: 'placesRunstate', actions: 'placeRunstate' },
          { actions: 'removeRunstate' },
        ],
        RUNSTATE_CHANGE: [
          { guard: 'asksRunning', target: '.running', actions: 'accountRunstate' },
          { guard: 'asksRunnable', target: '.runnable', actions: 'accountRunstate' },
          { guard: 'asksBlocked', target: '.blocked', actions: 'accountRunstate' },
          { target: '.offline', actions: 'accountRunstate' },
        ],
        RUNSTATE_DATA: [
          { guard: 'asksRunning', target: '.running', actions: 'storeRunstate' },
          { guard: 'asksRunnable', target: '.runnable', actions: 'storeRunstate' },
          { guard: 'asksBlocked', target: '.blocked', actions: 'storeRunstate' },
          { target: '.offline', actions: 'storeRunstate' },
        ],
        RUNSTATE_ADJUST: { actions: 'adjustRunstate' },
      },
      states: { running: {}, runnable: {}, blocked: {}, offline: {} },
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
