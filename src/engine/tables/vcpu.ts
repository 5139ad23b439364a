/** What the machine vcpu decides. Derived from it by XState: `npm run build`. */
import type { MachineTable, Row } from '../table.ts';

const ALL_OF_RUN: Row = {
  APPLY_TSC_ADJUSTMENT: { run: ['applyTscAdjustment'] },
  ASK_FOR_UPDATE: {
    ask: 'asksForGlobalUpdate',
    yes: { run: ['requestGlobalClockUpdate'] },
    no: {
      ask: 'asksForOwnUpdate',
      yes: { run: ['requestClockUpdate'] },
      no: { run: [] },
    },
  },
  MESSAGE_SLOT: { run: ['noteMessageSlot'] },
  MSR_WRITTEN: { run: ['msrWritten'] },
  PAIR_CLOCKS: { run: ['pairClocks'] },
  PROCESS_STIMERS: { run: ['processStimers'] },
  READ_MSR: { run: ['readMsr'] },
  READ_TSC: { run: ['readTsc'] },
  RECORD_STEAL_TIME: { run: ['recordStealTime'] },
  REPORT_CLOCK_GUEST: { run: ['reportClockGuest'] },
  REPORT_CLOCK_GUEST_SET: { run: ['reportClockGuestSet'] },
  REPORT_DONE: { run: ['reportVcpuDone'] },
  REPORT_GUEST_PAUSED: { run: ['reportGuestPaused'] },
  REPORT_TSC_KHZ: { run: ['reportTscKhz'] },
  REPORT_TSC_KHZ_SET: { run: ['reportTscKhzSet'] },
  REPORT_TSC_OFFSET: { run: ['reportTscOffset'] },
  REPORT_TSC_SCALE: { run: ['reportTscScale'] },
  REPORT_TSC_STATE: { run: ['reportTscState'] },
  REQUEST_CLOCK_UPDATE: { run: ['requestClockUpdate'] },
  REQUEST_HV_UPDATE: { run: ['requestUpdateForHyperv'] },
  REQUEST_MASTERCLOCK_UPDATE: { run: ['requestUpdateForClocksource'] },
  REQUEST_UPDATE_HERE: {
    ask: 'wasLastOnThisCpu',
    yes: { run: ['requestClockUpdate'] },
    no: { run: [] },
  },
  REQUEST_XEN_UPDATE: { run: ['requestUpdateForXen'] },
  RESET: { run: ['forgetStealTimeMsr'] },
  SERVE_CLOCK_UPDATE: { run: ['serveClockUpdate'] },
  SERVE_GLOBAL_CLOCK_UPDATE: { run: ['serveGlobalClockUpdate'] },
  SERVE_HV_STIMER: { run: ['serveHvStimer'] },
  SERVE_MASTERCLOCK_UPDATE: { run: ['serveMasterclockUpdate'] },
  SERVE_MIGRATE_TIMER: { run: ['serveMigrateTimer'] },
  SERVE_STEAL_UPDATE: { run: ['serveStealUpdate'] },
  STEAL_TIME_MSR: { run: ['storeStealTimeMsr'] },
  STIMER_CONFIG_MSR: { run: ['storeStimerConfig'] },
  STIMER_COUNT_MSR: { run: ['storeStimerCount'] },
  STIMER_FIRED: { run: ['stimerFired'] },
  XEN_HYPERCALL_DONE: { run: ['xenHypercallDone'] },
  XEN_READ_ATTR: { run: ['readXenAttr'] },
  XEN_READ_LEAF: { run: ['readXenLeaf'] },
  XEN_SET_LEAF: { run: ['storeXenLeaf'] },
};

const ALL_OF_KVMCLOCK: Row = {
  BOOT_VCPU_CHANGES_MSR: { run: ['requestUpdateForMsr'] },
  CLEAR_STOPPED_FLAG: { run: ['clearStoppedFlag'] },
  GUEST_TIME_UPDATE: {
    ask: 'hostFrequencyIsUnknown',
    yes: { run: ['retryClockUpdate'] },
    no: {
      ask: 'hasPage',
      yes: { run: ['computePvclock', 'writePage'] },
      no: { run: ['computePvclock'] },
    },
  },
};

const ALL_OF_CATCHUP: Row = {
  ADJUST_GUEST_TSC: { run: ['adjustGuestTsc'] },
  ADOPT_SYNCHRONIZATION: { run: ['adoptSynchronization'] },
  BACKWARDS_TSC: { run: ['noteTscDeficit', 'requestUpdateForBackwardsTsc'] },
  PROTECT_TSC: { run: ['protectTsc'] },
  SET_TSC_STATE: { run: ['setTscState'] },
  STORE_TSC_ADJUST: { run: ['storeTscAdjust'] },
  TRACK_TSC: {
    ask: 'trackingAsksForUpdate',
    yes: { run: ['requestTrackedUpdate'] },
    no: { run: ['trackingKeeps'] },
  },
  WRITE_GUEST_TSC: { run: ['writeGuestTsc'] },
};

const ALL_OF_LEVEL: Row = {
  TSC_RATIO_MSR: { run: ['storeTscRatioMsr'] },
};

const ALL_OF_RUNSTATE: Row = {
  RUNSTATE_ADDR: {
    ask: 'placesRunstate',
    yes: { run: ['placeRunstate'] },
    no: { run: ['removeRunstate'] },
  },
  RUNSTATE_ADJUST: { run: ['adjustRunstate'] },
};

export const VCPU_TABLE: MachineTable = {
  machine: 'vcpu',
  regions: {
    life: {
      absent: {
        CREATE_VCPU: { run: ['nameVcpu'], to: 'created' },
      },
      created: {
        DESTROY_VCPU: { run: [], to: 'destroyed' },
        POSTCREATE: { run: [], to: 'online' },
      },
      online: {
        DESTROY_VCPU: { run: [], to: 'destroyed' },
      },
      destroyed: {},
    },
    run: {
      unloaded: {
        ...ALL_OF_RUN,
        LOAD: { run: ['moveToCpu', 'requestStealUpdate'], to: 'loaded' },
      },
      loaded: {
        ...ALL_OF_RUN,
        ENTER: { run: [], to: 'guest' },
        PUT: { run: ['markPreempted', 'noteHostTsc'], to: 'unloaded' },
      },
      guest: {
        ...ALL_OF_RUN,
        EXIT: { run: ['noteGuestTsc'], to: 'loaded' },
      },
    },
    kvmclock: {
      off: {
        ...ALL_OF_KVMCLOCK,
        RESET: { run: ['forgetSystemTimeMsr'] },
        SYSTEM_TIME_MSR: {
          ask: 'enablesOldKvmclock',
          yes: { run: ['storeSystemTimeMsr'], to: 'old' },
          no: {
            ask: 'enablesNewKvmclock',
            yes: { run: ['storeSystemTimeMsr'], to: 'new' },
            no: { run: ['storeSystemTimeMsr'] },
          },
        },
      },
      old: {
        ...ALL_OF_KVMCLOCK,
        RESET: { run: ['forgetSystemTimeMsr'], to: 'off' },
        SYSTEM_TIME_MSR: {
          ask: 'enablesOldKvmclock',
          yes: { run: ['storeSystemTimeMsr'] },
          no: {
            ask: 'enablesNewKvmclock',
            yes: { run: ['storeSystemTimeMsr'], to: 'new' },
            no: { run: ['storeSystemTimeMsr'], to: 'off' },
          },
        },
      },
      new: {
        ...ALL_OF_KVMCLOCK,
        RESET: { run: ['forgetSystemTimeMsr'], to: 'off' },
        SYSTEM_TIME_MSR: {
          ask: 'enablesOldKvmclock',
          yes: { run: ['storeSystemTimeMsr'], to: 'old' },
          no: {
            ask: 'enablesNewKvmclock',
            yes: { run: ['storeSystemTimeMsr'] },
            no: { run: ['storeSystemTimeMsr'], to: 'off' },
          },
        },
      },
    },
    catchup: {
      off: {
        ...ALL_OF_CATCHUP,
        LOAD_UNSTABLE: { run: ['continueTsc'], to: 'catchup' },
        SET_TSC_KHZ: {
          ask: 'needsSoftwareUpscaling',
          yes: { run: ['setTscKhz'], to: 'always' },
          no: { run: ['setTscKhz'] },
        },
      },
      catchup: {
        ...ALL_OF_CATCHUP,
        LOAD_UNSTABLE: { run: ['continueTsc'] },
        SET_TSC_KHZ: {
          ask: 'needsSoftwareUpscaling',
          yes: { run: ['setTscKhz'], to: 'always' },
          no: { run: ['setTscKhz'] },
        },
      },
      always: {
        ...ALL_OF_CATCHUP,
        EXIT: { run: ['requestClockUpdate'] },
        LOAD_UNSTABLE: { run: ['continueTsc'] },
        SET_TSC_KHZ: {
          ask: 'needsSoftwareUpscaling',
          yes: { run: ['setTscKhz'] },
          no: { run: ['setTscKhz'] },
        },
      },
    },
    deadlineTimer: {
      off: {
        SET_TSC_DEADLINE: {
          ask: 'isNoDeadline',
          yes: { run: ['storeTscDeadline'] },
          no: {
            ask: 'deadlineIsDue',
            yes: { run: ['storeTscDeadline', 'fireTscDeadline'] },
            no: {
              ask: 'usesPreemptionTimer',
              yes: { run: ['storeTscDeadline', 'armPreemptionTimer'], to: 'preemption' },
              no: { run: ['storeTscDeadline', 'armDeadline'], to: 'software' },
            },
          },
        },
      },
      software: {
        FIRE_TSC_DEADLINE: { run: ['fireTscDeadline'], to: 'off' },
        SET_TSC_DEADLINE: {
          ask: 'isNoDeadline',
          yes: { run: ['storeTscDeadline'], to: 'off' },
          no: {
            ask: 'deadlineIsDue',
            yes: { run: ['storeTscDeadline', 'fireTscDeadline'], to: 'off' },
            no: {
              ask: 'usesPreemptionTimer',
              yes: { run: ['storeTscDeadline', 'armPreemptionTimer'], to: 'preemption' },
              no: { run: ['storeTscDeadline', 'armDeadline'] },
            },
          },
        },
      },
      preemption: {
        FIRE_TSC_DEADLINE: { run: ['fireTscDeadline'], to: 'off' },
        RESTART_DEADLINE: {
          ask: 'deadlineIsDue',
          yes: { run: ['fireTscDeadline'], to: 'off' },
          no: {
            ask: 'usesPreemptionTimer',
            yes: { run: ['armPreemptionTimer'] },
            no: { run: ['armDeadline'], to: 'software' },
          },
        },
        SET_TSC_DEADLINE: {
          ask: 'isNoDeadline',
          yes: { run: ['storeTscDeadline'], to: 'off' },
          no: {
            ask: 'deadlineIsDue',
            yes: { run: ['storeTscDeadline', 'fireTscDeadline'], to: 'off' },
            no: {
              ask: 'usesPreemptionTimer',
              yes: { run: ['storeTscDeadline', 'armPreemptionTimer'] },
              no: { run: ['storeTscDeadline', 'armDeadline'], to: 'software' },
            },
          },
        },
      },
    },
    level: {
      l1: {
        ...ALL_OF_LEVEL,
        ENTER_L2: {
          ask: 'nestedEntryIsRefused',
          yes: { run: ['refuseNestedEntry'] },
          no: {
            ask: 'nestedEntryFails',
            yes: { run: ['failNestedEntry'] },
            no: { run: ['enterL2'], to: 'l2' },
          },
        },
      },
      l2: {
        ...ALL_OF_LEVEL,
        LEAVE_L2: { run: ['leaveL2'], to: 'l1' },
        RESET: { run: ['leaveL2'], to: 'l1' },
      },
    },
    xenTimer: {
      off: {
        XEN_SET_TIMER: { run: ['stopXenTimer', 'storeXenTimerPort'] },
        XEN_START_TIMER: {
          ask: 'xenTimerIsDue',
          yes: { run: ['fireXenTimerAtOnce'] },
          no: { run: ['armXenTimer'], to: 'armed' },
        },
        XEN_STOP_TIMER: { run: ['stopXenTimer'] },
      },
      armed: {
        XEN_SET_TIMER: { run: ['stopXenTimer', 'storeXenTimerPort'], to: 'off' },
        XEN_START_TIMER: {
          ask: 'xenTimerIsDue',
          yes: { run: ['fireXenTimerAtOnce'], to: 'off' },
          no: { run: ['armXenTimer'] },
        },
        XEN_STOP_TIMER: { run: ['stopXenTimer'], to: 'off' },
        XEN_TIMER: { run: ['fireXenTimer'], to: 'off' },
      },
    },
    runstate: {
      running: {
        ...ALL_OF_RUNSTATE,
        RUNSTATE_CHANGE: {
          ask: 'asksRunning',
          yes: { run: ['accountRunstate'] },
          no: {
            ask: 'asksRunnable',
            yes: { run: ['accountRunstate'], to: 'runnable' },
            no: {
              ask: 'asksBlocked',
              yes: { run: ['accountRunstate'], to: 'blocked' },
              no: { run: ['accountRunstate'], to: 'offline' },
            },
          },
        },
        RUNSTATE_DATA: {
          ask: 'asksRunning',
          yes: { run: ['storeRunstate'] },
          no: {
            ask: 'asksRunnable',
            yes: { run: ['storeRunstate'], to: 'runnable' },
            no: {
              ask: 'asksBlocked',
              yes: { run: ['storeRunstate'], to: 'blocked' },
              no: { run: ['storeRunstate'], to: 'offline' },
            },
          },
        },
      },
      runnable: {
        ...ALL_OF_RUNSTATE,
        RUNSTATE_CHANGE: {
          ask: 'asksRunning',
          yes: { run: ['accountRunstate'], to: 'running' },
          no: {
            ask: 'asksRunnable',
            yes: { run: ['accountRunstate'] },
            no: {
              ask: 'asksBlocked',
              yes: { run: ['accountRunstate'], to: 'blocked' },
              no: { run: ['accountRunstate'], to: 'offline' },
            },
          },
        },
        RUNSTATE_DATA: {
          ask: 'asksRunning',
          yes: { run: ['storeRunstate'], to: 'running' },
          no: {
            ask: 'asksRunnable',
            yes: { run: ['storeRunstate'] },
            no: {
              ask: 'asksBlocked',
              yes: { run: ['storeRunstate'], to: 'blocked' },
              no: { run: ['storeRunstate'], to: 'offline' },
            },
          },
        },
      },
      blocked: {
        ...ALL_OF_RUNSTATE,
        RUNSTATE_CHANGE: {
          ask: 'asksRunning',
          yes: { run: ['accountRunstate'], to: 'running' },
          no: {
            ask: 'asksRunnable',
            yes: { run: ['accountRunstate'], to: 'runnable' },
            no: {
              ask: 'asksBlocked',
              yes: { run: ['accountRunstate'] },
              no: { run: ['accountRunstate'], to: 'offline' },
            },
          },
        },
        RUNSTATE_DATA: {
          ask: 'asksRunning',
          yes: { run: ['storeRunstate'], to: 'running' },
          no: {
            ask: 'asksRunnable',
            yes: { run: ['storeRunstate'], to: 'runnable' },
            no: {
              ask: 'asksBlocked',
              yes: { run: ['storeRunstate'] },
              no: { run: ['storeRunstate'], to: 'offline' },
            },
          },
        },
      },
      offline: {
        ...ALL_OF_RUNSTATE,
        RUNSTATE_CHANGE: {
          ask: 'asksRunning',
          yes: { run: ['accountRunstate'], to: 'running' },
          no: {
            ask: 'asksRunnable',
            yes: { run: ['accountRunstate'], to: 'runnable' },
            no: {
              ask: 'asksBlocked',
              yes: { run: ['accountRunstate'], to: 'blocked' },
              no: { run: ['accountRunstate'] },
            },
          },
        },
        RUNSTATE_DATA: {
          ask: 'asksRunning',
          yes: { run: ['storeRunstate'], to: 'running' },
          no: {
            ask: 'asksRunnable',
            yes: { run: ['storeRunstate'], to: 'runnable' },
            no: {
              ask: 'asksBlocked',
              yes: { run: ['storeRunstate'], to: 'blocked' },
              no: { run: ['storeRunstate'] },
            },
          },
        },
      },
    },
    xenVcpuInfo: {
      off: {
        XEN_VCPU_INFO: {
          ask: 'placesXenPage',
          yes: { run: ['placeVcpuInfo'], to: 'on' },
          no: { run: [] },
        },
      },
      on: {
        XEN_TIME_UPDATE: { run: ['writeVcpuInfo'] },
        XEN_VCPU_INFO: {
          ask: 'placesXenPage',
          yes: { run: ['placeVcpuInfo'] },
          no: { run: [], to: 'off' },
        },
      },
    },
    xenVcpuTimeInfo: {
      off: {
        XEN_VCPU_TIME_INFO: {
          ask: 'placesXenPage',
          yes: { run: ['placeVcpuTimeInfo'], to: 'on' },
          no: { run: [] },
        },
      },
      on: {
        XEN_TIME_UPDATE: { run: ['writeVcpuTimeInfo'] },
        XEN_VCPU_TIME_INFO: {
          ask: 'placesXenPage',
          yes: { run: ['placeVcpuTimeInfo'] },
          no: { run: [], to: 'off' },
        },
      },
    },
    stopped: {
      no: {
        GUEST_PAUSED: { run: ['requestClockUpdate'], to: 'requested' },
      },
      requested: {
        GUEST_PAUSED: { run: ['requestClockUpdate'] },
        GUEST_TIME_UPDATE: {
          ask: 'writesPage',
          yes: { run: [], to: 'no' },
          no: { run: [] },
        },
      },
    },
  },
};
