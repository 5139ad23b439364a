/**
 * The host: what every VM's clock hangs on.
 *
 * A masterclock is possible only while the kernel's clocksource is the TSC, because only then can
 * (TSC, time) be read as one pair. The kernel hands its timekeepers to KVM at every update; when the
 * clocksource has left the TSC it queues work that makes every VM give up its masterclock. Nothing
 * happens when the TSC comes back: a VM regains its masterclock at its next update for another
 * reason.
 *
 * The TSC itself can be found unstable, by the clocksource watchdog or because a vCPU was loaded on
 * a CPU whose TSC is behind. That is for good.
 *
 * Source: `pvclock_gtod_notify()`, `kvm_arch_enable_virtualization_cpu()`, arch/x86/kvm/x86.c;
 * `mark_tsc_unstable()`, arch/x86/kernel/tsc.c.
 */
import { setup } from 'xstate';
import { type HostState, hostGuards, hostRecipes } from '../src/clock/index.ts';
import { bind, type Holder, type SignalEvent } from './bind.ts';

/** What a host reacts to. */
export const HOST_SIGNALS = {
  TIMEKEEPING_UPDATE: 'KVM gets the timekeepers',
  CHANGE_CLOCKSOURCE: 'another clocksource',
  STEER: 'NTP changes the rate of CLOCK_MONOTONIC',
  SET_REALTIME: 'CLOCK_REALTIME is set',
  MASTERCLOCK_TAKEN: 'a VM uses its masterclock',
  GTOD_WORK: 'all VMs are told to give up their masterclocks',
  TSC_UNSTABLE: 'the TSC is found unstable',
  SET_CPU_KHZ: 'a CPU changed its frequency',
  CPU_OFFLINE: 'a CPU is gone',
  CPU_ONLINE: 'a CPU is there',
  FORGET_LARGEST_TSC: 'a CPU is being enabled: gather the TSCs the vCPUs last saw',
  GATHER_LARGEST_TSC: 'one of them',
  COMPARE_TSC: 'compare them with the TSC of this CPU',
  BACKWARDS_TSC: 'this CPU’s TSC is behind',
  SUSPEND: 'the host suspends',
  STOP_CLOCKS: 'its clocks stop',
  RESUME: 'they go on',
  SUSPEND_END: 'the host is awake',
} as const;

/** Name of a signal to a host. */
export type HostSignal = keyof typeof HOST_SIGNALS;

const code = bind<HostState, HostSignal>();

export const hostMachine = setup({
  types: {
    context: {} as Holder<HostState>,
    events: {} as SignalEvent<HostSignal>,
    input: {} as Holder<HostState>,
  },
  guards: code.guards(hostGuards),
  actions: code.actions(hostRecipes),
}).createMachine({
  id: 'host',
  type: 'parallel',
  context: ({ input }) => input,
  states: {
    clocksource: {
      initial: 'tsc',
      on: {
        STEER: { actions: 'steerMonotonic' },
        SET_REALTIME: { actions: 'setRealtime' },
        MASTERCLOCK_TAKEN: { actions: 'noteMasterclock' },
        GTOD_WORK: { actions: 'gtodWorkDone' },
      },
      states: {
        tsc: {
          on: {
            TIMEKEEPING_UPDATE: [
              { guard: 'clockModeIsNotTsc', target: 'other', actions: 'copyTimekeepers' },
              { actions: 'copyTimekeepers' },
            ],
            CHANGE_CLOCKSOURCE: [
              { guard: 'clockModeIsNotTsc', target: 'other', actions: 'changeClocksource' },
              { actions: 'changeClocksource' },
            ],
          },
        },
        other: {
          on: {
            TIMEKEEPING_UPDATE: [
              { guard: 'clockModeIsTsc', target: 'tsc', actions: 'copyTimekeepers' },
              { actions: 'copyTimekeepers' },
            ],
            CHANGE_CLOCKSOURCE: [
              { guard: 'clockModeIsTsc', target: 'tsc', actions: 'changeClocksource' },
              { actions: 'changeClocksource' },
            ],
          },
        },
      },
    },
    tsc: {
      initial: 'stable',
      on: {
        SET_CPU_KHZ: { actions: 'setCpuKhz' },
        CPU_OFFLINE: { actions: 'cpuGone' },
        CPU_ONLINE: { actions: 'cpuCame' },
        FORGET_LARGEST_TSC: { actions: 'forgetLargestTsc' },
        GATHER_LARGEST_TSC: { actions: 'gatherLargestTsc' },
        COMPARE_TSC: { actions: 'compareTsc' },
      },
      states: {
        stable: {
          on: {
            TSC_UNSTABLE: 'unstable',
            BACKWARDS_TSC: { actions: 'noteBackwardsTsc' },
          },
        },
        unstable: {},
      },
    },
    power: {
      initial: 'running',
      states: {
        running: { on: { SUSPEND: 'suspending' } },
        suspending: {
          on: {
            STOP_CLOCKS: { target: 'suspended', actions: 'stopClocks' },
            SUSPEND_END: 'running',
          },
        },
        suspended: { on: { RESUME: { target: 'suspending', actions: 'restartClocks' } } },
      },
    },
  },
});
