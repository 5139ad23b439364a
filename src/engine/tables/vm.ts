/** What the machine vm decides. Derived from it by XState: `npm run build`. */
import type { MachineTable } from '../table.ts';

export const VM_TABLE: MachineTable = {
  machine: 'vm',
  regions: {
    life: {
      absent: {
        CREATE_VM: { run: ['initVmClock'], to: 'alive' },
      },
      alive: {
        BACKWARDS_TSC: { run: ['recordBackwardsTsc'] },
        BEGIN_FREQUENCY_SCAN: { run: ['beginFrequencyScan'] },
        COMPARE_FREQUENCY: { run: ['compareFrequency'] },
        COUNT_GLOBAL_UPDATE: { run: ['countGlobalUpdate'] },
        COUNT_VCPU: { run: ['countVcpu'] },
        DESTROY_VM: { run: [], to: 'destroyed' },
        DISABLE_QUIRKS: { run: ['disableQuirks', 'reportDone'] },
        GET_CLOCK: { run: ['reportClock'] },
        HV_EMULATION_CONTROL: { run: ['storeEmulationControl'] },
        HV_EMULATION_STATUS: { run: ['storeEmulationStatus'] },
        HV_INVTSC_CONTROL: { run: ['storeInvtscControl'] },
        HV_REENLIGHTENMENT_CONTROL: { run: ['storeReenlightenmentControl'] },
        NOTE_BOOT_VCPU_MSR: { run: ['noteBootVcpuMsr'] },
        NOTE_USER_TSC: { run: ['noteUserTsc'] },
        REPORT_DEFAULT_TSC_KHZ: { run: ['reportDefaultTscKhz'] },
        REPORT_DONE: { run: ['reportDone'] },
        RESTART_CLOCK: { run: ['restartClock'] },
        SET_CLOCK_AGAINST_BASE: { run: ['setClockAgainstBase'] },
        SET_CLOCK_AGAINST_NOW: { run: ['setClockAgainstNow'] },
        SET_CLOCK_AGAINST_REFERENCE: { run: ['setClockAgainstReference'] },
        SET_CLOCK_GUEST: {
          ask: 'acceptsClockGuest',
          yes: { run: ['setClockByGuest'] },
          no: { run: [] },
        },
        SET_DEFAULT_TSC_KHZ: { run: ['setDefaultTscKhz', 'reportDone'] },
        SYNCHRONIZE_TSC: {
          ask: 'joinsGeneration',
          yes: { run: ['joinGeneration'] },
          no: { run: ['startGeneration'] },
        },
        TRACE_TRACK_TSC: { run: ['traceTrackTsc'] },
        WRITE_WALL_CLOCK: { run: ['writeWallClock'] },
        XEN_CONFIG: { run: ['storeXenFlags', 'reportDone'] },
        XEN_LONG_MODE: { run: ['storeXenLongMode', 'reportDone'] },
        XEN_WALL_CLOCK: { run: ['writeXenWallClock'] },
      },
      destroyed: {},
    },
    masterclock: {
      'off.unmatched': {
        UPDATE_COPY: {
          ask: 'hostClockIsNotTsc',
          yes: { run: ['announceHostClock'], to: 'off.hostClock' },
          no: {
            ask: 'vcpusDoNotMatch',
            yes: { run: ['takeReference', 'announceUnmatched'] },
            no: {
              ask: 'tscWentBackwards',
              yes: { run: ['takeReference', 'announceBackwards'], to: 'off.backwardsTsc' },
              no: {
                ask: 'bootVcpuRunsOldKvmclock',
                yes: { run: ['takeReference', 'announceOldKvmclock'], to: 'off.oldKvmclock' },
                no: { run: ['takeReference', 'announceOn'], to: 'on' },
              },
            },
          },
        },
      },
      'off.hostClock': {
        UPDATE_COPY: {
          ask: 'hostClockIsNotTsc',
          yes: { run: ['announceHostClock'] },
          no: {
            ask: 'vcpusDoNotMatch',
            yes: { run: ['takeReference', 'announceUnmatched'], to: 'off.unmatched' },
            no: {
              ask: 'tscWentBackwards',
              yes: { run: ['takeReference', 'announceBackwards'], to: 'off.backwardsTsc' },
              no: {
                ask: 'bootVcpuRunsOldKvmclock',
                yes: { run: ['takeReference', 'announceOldKvmclock'], to: 'off.oldKvmclock' },
                no: { run: ['takeReference', 'announceOn'], to: 'on' },
              },
            },
          },
        },
      },
      'off.backwardsTsc': {
        UPDATE_COPY: {
          ask: 'hostClockIsNotTsc',
          yes: { run: ['announceHostClock'], to: 'off.hostClock' },
          no: {
            ask: 'vcpusDoNotMatch',
            yes: { run: ['takeReference', 'announceUnmatched'], to: 'off.unmatched' },
            no: {
              ask: 'tscWentBackwards',
              yes: { run: ['takeReference', 'announceBackwards'] },
              no: {
                ask: 'bootVcpuRunsOldKvmclock',
                yes: { run: ['takeReference', 'announceOldKvmclock'], to: 'off.oldKvmclock' },
                no: { run: ['takeReference', 'announceOn'], to: 'on' },
              },
            },
          },
        },
      },
      'off.oldKvmclock': {
        UPDATE_COPY: {
          ask: 'hostClockIsNotTsc',
          yes: { run: ['announceHostClock'], to: 'off.hostClock' },
          no: {
            ask: 'vcpusDoNotMatch',
            yes: { run: ['takeReference', 'announceUnmatched'], to: 'off.unmatched' },
            no: {
              ask: 'tscWentBackwards',
              yes: { run: ['takeReference', 'announceBackwards'], to: 'off.backwardsTsc' },
              no: {
                ask: 'bootVcpuRunsOldKvmclock',
                yes: { run: ['takeReference', 'announceOldKvmclock'] },
                no: { run: ['takeReference', 'announceOn'], to: 'on' },
              },
            },
          },
        },
      },
      on: {
        UPDATE_COPY: {
          ask: 'hostClockIsNotTsc',
          yes: { run: ['announceHostClock'], to: 'off.hostClock' },
          no: {
            ask: 'vcpusDoNotMatch',
            yes: { run: ['takeReference', 'announceUnmatched'], to: 'off.unmatched' },
            no: {
              ask: 'tscWentBackwards',
              yes: { run: ['takeReference', 'announceBackwards'], to: 'off.backwardsTsc' },
              no: {
                ask: 'bootVcpuRunsOldKvmclock',
                yes: { run: ['takeReference', 'announceOldKvmclock'], to: 'off.oldKvmclock' },
                no: { run: ['takeReference', 'announceOn'] },
              },
            },
          },
        },
      },
    },
    hvTscPage: {
      unset: {
        HV_REFERENCE_TSC: {
          ask: 'guestEnablesPage',
          yes: { run: ['storeReferenceTsc'], to: 'guestChanged' },
          no: {
            ask: 'hostEnablesPage',
            yes: { run: ['storeReferenceTsc'], to: 'hostChanged' },
            no: { run: ['storeReferenceTsc'] },
          },
        },
      },
      guestChanged: {
        HV_PAGE: {
          ask: 'pageIsExpressible',
          yes: { run: ['writeHvPage'], to: 'set' },
          no: { run: ['invalidatePage'], to: 'broken' },
        },
        HV_PAGE_REQUEST: {
          ask: 'invalidatesAtRequest',
          yes: { run: ['invalidatePage'] },
          no: { run: [] },
        },
        HV_REFERENCE_TSC: {
          ask: 'guestEnablesPage',
          yes: { run: ['storeReferenceTsc'] },
          no: {
            ask: 'hostEnablesPage',
            yes: { run: ['storeReferenceTsc'], to: 'hostChanged' },
            no: { run: ['storeReferenceTsc'], to: 'unset' },
          },
        },
      },
      hostChanged: {
        HV_PAGE: {
          ask: 'keepsPage',
          yes: { run: [], to: 'set' },
          no: {
            ask: 'pageIsExpressible',
            yes: { run: ['writeHvPage'], to: 'set' },
            no: { run: ['invalidatePage'], to: 'broken' },
          },
        },
        HV_PAGE_REQUEST: {
          ask: 'invalidatesAtRequest',
          yes: { run: ['invalidatePage'] },
          no: { run: [] },
        },
        HV_REFERENCE_TSC: {
          ask: 'guestEnablesPage',
          yes: { run: ['storeReferenceTsc'], to: 'guestChanged' },
          no: {
            ask: 'hostEnablesPage',
            yes: { run: ['storeReferenceTsc'] },
            no: { run: ['storeReferenceTsc'], to: 'unset' },
          },
        },
      },
      set: {
        HV_PAGE: {
          ask: 'rewritesPage',
          yes: { run: ['writeHvPage'] },
          no: {
            ask: 'invalidatesPage',
            yes: { run: ['invalidatePage'], to: 'broken' },
            no: { run: [] },
          },
        },
        HV_PAGE_REQUEST: {
          ask: 'invalidatesAtRequest',
          yes: { run: ['invalidatePage'], to: 'hostChanged' },
          no: {
            ask: 'mayUpdatePage',
            yes: { run: [], to: 'hostChanged' },
            no: { run: [] },
          },
        },
        HV_REFERENCE_TSC: {
          ask: 'guestEnablesPage',
          yes: { run: ['storeReferenceTsc'], to: 'guestChanged' },
          no: {
            ask: 'hostEnablesPage',
            yes: { run: ['storeReferenceTsc'], to: 'hostChanged' },
            no: { run: ['storeReferenceTsc'], to: 'unset' },
          },
        },
      },
      broken: {
        HV_PAGE: {
          ask: 'mendsPage',
          yes: { run: ['writeHvPage'], to: 'set' },
          no: {
            ask: 'cannotMendPage',
            yes: { run: ['invalidatePage'] },
            no: { run: [] },
          },
        },
        HV_REFERENCE_TSC: {
          ask: 'guestEnablesPage',
          yes: { run: ['storeReferenceTsc'], to: 'guestChanged' },
          no: {
            ask: 'hostEnablesPage',
            yes: { run: ['storeReferenceTsc'], to: 'hostChanged' },
            no: { run: ['storeReferenceTsc'], to: 'unset' },
          },
        },
      },
    },
    updateWork: {
      idle: {
        QUEUE_UPDATE_WORK: { run: ['armUpdateWork'], to: 'queued' },
      },
      queued: {
        UPDATE_WORK: { run: ['workFired'], to: 'idle' },
      },
    },
    syncWork: {
      idle: {
        ARM_SYNC_WORK: { run: ['armSyncWork'], to: 'armed' },
      },
      armed: {
        SYNC_WORK: {
          ask: 'syncWorkEnds',
          yes: { run: ['workFired'], to: 'idle' },
          no: { run: ['workFired', 'armSyncWork'] },
        },
      },
    },
  },
};
