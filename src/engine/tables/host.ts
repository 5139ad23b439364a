/** What the machine host decides. Derived from it by XState: `npm run build`. */
import type { MachineTable, Row } from '../table.ts';

const ALL_OF_CLOCKSOURCE: Row = {
  GTOD_WORK: { run: ['gtodWorkDone'] },
  MASTERCLOCK_TAKEN: { run: ['noteMasterclock'] },
  SET_REALTIME: { run: ['setRealtime'] },
  STEER: { run: ['steerMonotonic'] },
};

const ALL_OF_TSC: Row = {
  COMPARE_TSC: { run: ['compareTsc'] },
  CPU_OFFLINE: { run: ['cpuGone'] },
  CPU_ONLINE: { run: ['cpuCame'] },
  FORGET_LARGEST_TSC: { run: ['forgetLargestTsc'] },
  GATHER_LARGEST_TSC: { run: ['gatherLargestTsc'] },
  SET_CPU_KHZ: { run: ['setCpuKhz'] },
};

export const HOST_TABLE: MachineTable = {
  machine: 'host',
  regions: {
    clocksource: {
      tsc: {
        ...ALL_OF_CLOCKSOURCE,
        CHANGE_CLOCKSOURCE: {
          ask: 'clockModeIsNotTsc',
          yes: { run: ['changeClocksource'], to: 'other' },
          no: { run: ['changeClocksource'] },
        },
        TIMEKEEPING_UPDATE: {
          ask: 'clockModeIsNotTsc',
          yes: { run: ['copyTimekeepers'], to: 'other' },
          no: { run: ['copyTimekeepers'] },
        },
      },
      other: {
        ...ALL_OF_CLOCKSOURCE,
        CHANGE_CLOCKSOURCE: {
          ask: 'clockModeIsTsc',
          yes: { run: ['changeClocksource'], to: 'tsc' },
          no: { run: ['changeClocksource'] },
        },
        TIMEKEEPING_UPDATE: {
          ask: 'clockModeIsTsc',
          yes: { run: ['copyTimekeepers'], to: 'tsc' },
          no: { run: ['copyTimekeepers'] },
        },
      },
    },
    tsc: {
      stable: {
        ...ALL_OF_TSC,
        BACKWARDS_TSC: { run: ['noteBackwardsTsc'] },
        TSC_UNSTABLE: { run: [], to: 'unstable' },
      },
      unstable: {
        ...ALL_OF_TSC,
      },
    },
    power: {
      running: {
        SUSPEND: { run: [], to: 'suspending' },
      },
      suspending: {
        STOP_CLOCKS: { run: ['stopClocks'], to: 'suspended' },
        SUSPEND_END: { run: [], to: 'running' },
      },
      suspended: {
        RESUME: { run: ['restartClocks'], to: 'suspending' },
      },
    },
  },
};
