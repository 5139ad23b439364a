/** What the machine vcpu decides. Derived from it by XState: `npm run build`. */
import type { MachineTable } from '../table.ts';

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
        LOAD: { run: ['moveToCpu', 'requestStealUpdate'], to: 'loaded' },
        MSR_WRITTEN: { run: ['msrWritten'] },
        PAIR_CLOCKS: { run: ['pairClocks'] },
        READ_MSR: { run: ['readMsr'] },
        READ_TSC: { run: ['readTsc'] },
        RECORD_STEAL_TIME: { run: ['recordStealTime'] },
        REPORT_DONE: { run: ['reportVcpuDone'] },
        REPORT_GUEST_PAUSED: { run: ['reportGuestPaused'] },
        REPORT_TSC_KHZ: { run: ['reportTscKhz'] },
        REPORT_TSC_OFFSET: { run: ['reportTscOffset'] },
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
        SERVE_MASTERCLOCK_UPDATE: { run: ['serveMasterclockUpdate'] },
        SERVE_MIGRATE_TIMER: { run: ['serveMigrateTimer'] },
        SERVE_STEAL_UPDATE: { run: ['serveStealUpdate'] },
        STEAL_TIME_MSR: { run: ['storeStealTimeMsr'] },
      },
      loaded: {
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
        ENTER: { run: [], to: 'guest' },
        MSR_WRITTEN: { run: ['msrWritten'] },
        PAIR_CLOCKS: { run: ['pairClocks'] },
        PUT: { run: ['markPreempted', 'noteHostTsc'], to: 'unloaded' },
        READ_MSR: { run: ['readMsr'] },
        READ_TSC: { run: ['readTsc'] },
        RECORD_STEAL_TIME: { run: ['recordStealTime'] },
        REPORT_DONE: { run: ['reportVcpuDone'] },
        REPORT_GUEST_PAUSED: { run: ['reportGuestPaused'] },
        REPORT_TSC_KHZ: { run: ['reportTscKhz'] },
        REPORT_TSC_OFFSET: { run: ['reportTscOffset'] },
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
        SERVE_MASTERCLOCK_UPDATE: { run: ['serveMasterclockUpdate'] },
        SERVE_MIGRATE_TIMER: { run: ['serveMigrateTimer'] },
        SERVE_STEAL_UPDATE: { run: ['serveStealUpdate'] },
        STEAL_TIME_MSR: { run: ['storeStealTimeMsr'] },
      },
      guest: {
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
        EXIT: { run: ['noteGuestTsc'], to: 'loaded' },
        MSR_WRITTEN: { run: ['msrWritten'] },
        PAIR_CLOCKS: { run: ['pairClocks'] },
        READ_MSR: { run: ['readMsr'] },
        READ_TSC: { run: ['readTsc'] },
        RECORD_STEAL_TIME: { run: ['recordStealTime'] },
        REPORT_DONE: { run: ['reportVcpuDone'] },
        REPORT_GUEST_PAUSED: { run: ['reportGuestPaused'] },
        REPORT_TSC_KHZ: { run: ['reportTscKhz'] },
        REPORT_TSC_OFFSET: { run: ['reportTscOffset'] },
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
        SERVE_MASTERCLOCK_UPDATE: { run: ['serveMasterclockUpdate'] },
        SERVE_MIGRATE_TIMER: { run: ['serveMigrateTimer'] },
        SERVE_STEAL_UPDATE: { run: ['serveStealUpdate'] },
        STEAL_TIME_MSR: { run: ['storeStealTimeMsr'] },
      },
    },
    kvmclock: {
      off: {
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
        ADJUST_GUEST_TSC: { run: ['adjustGuestTsc'] },
        ADOPT_SYNCHRONIZATION: { run: ['adoptSynchronization'] },
        BACKWARDS_TSC: { run: ['noteTscDeficit', 'requestUpdateForBackwardsTsc'] },
        FIRE_TSC_DEADLINE: { run: ['fireTscDeadline'] },
        LOAD_UNSTABLE: { run: ['continueTsc'], to: 'catchup' },
        SET_TSC_DEADLINE: { run: ['setTscDeadline'] },
        SET_TSC_KHZ: {
          ask: 'needsSoftwareUpscaling',
          yes: { run: ['setTscKhz'], to: 'always' },
          no: { run: ['setTscKhz'] },
        },
        STORE_TSC_ADJUST: { run: ['storeTscAdjust'] },
        TRACK_TSC: {
          ask: 'trackingAsksForUpdate',
          yes: { run: ['requestTrackedUpdate'] },
          no: { run: ['trackingKeeps'] },
        },
        WRITE_GUEST_TSC: { run: ['writeGuestTsc'] },
      },
      catchup: {
        ADJUST_GUEST_TSC: { run: ['adjustGuestTsc'] },
        ADOPT_SYNCHRONIZATION: { run: ['adoptSynchronization'] },
        BACKWARDS_TSC: { run: ['noteTscDeficit', 'requestUpdateForBackwardsTsc'] },
        FIRE_TSC_DEADLINE: { run: ['fireTscDeadline'] },
        LOAD_UNSTABLE: { run: ['continueTsc'] },
        SET_TSC_DEADLINE: { run: ['setTscDeadline'] },
        SET_TSC_KHZ: {
          ask: 'needsSoftwareUpscaling',
          yes: { run: ['setTscKhz'], to: 'always' },
          no: { run: ['setTscKhz'] },
        },
        STORE_TSC_ADJUST: { run: ['storeTscAdjust'] },
        TRACK_TSC: {
          ask: 'trackingAsksForUpdate',
          yes: { run: ['requestTrackedUpdate'] },
          no: { run: ['trackingKeeps'] },
        },
        WRITE_GUEST_TSC: { run: ['writeGuestTsc'] },
      },
      always: {
        ADJUST_GUEST_TSC: { run: ['adjustGuestTsc'] },
        ADOPT_SYNCHRONIZATION: { run: ['adoptSynchronization'] },
        BACKWARDS_TSC: { run: ['noteTscDeficit', 'requestUpdateForBackwardsTsc'] },
        EXIT: { run: ['requestClockUpdate'] },
        FIRE_TSC_DEADLINE: { run: ['fireTscDeadline'] },
        LOAD_UNSTABLE: { run: ['continueTsc'] },
        SET_TSC_DEADLINE: { run: ['setTscDeadline'] },
        SET_TSC_KHZ: {
          ask: 'needsSoftwareUpscaling',
          yes: { run: ['setTscKhz'] },
          no: { run: ['setTscKhz'] },
        },
        STORE_TSC_ADJUST: { run: ['storeTscAdjust'] },
        TRACK_TSC: {
          ask: 'trackingAsksForUpdate',
          yes: { run: ['requestTrackedUpdate'] },
          no: { run: ['trackingKeeps'] },
        },
        WRITE_GUEST_TSC: { run: ['writeGuestTsc'] },
      },
    },
    level: {
      l1: {
        ENTER_L2: { run: [], to: 'l2' },
      },
      l2: {
        LEAVE_L2: { run: [], to: 'l1' },
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
