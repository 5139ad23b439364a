/**
 * A Linux guest: how it reads its clock.
 *
 * KVM writes each vCPU's pvclock page whenever it likes; the guest must not use a page that is half
 * written, and, where pages do not describe one common clock, must not let time go back when it
 * moves from one vCPU to another.
 *
 * `read` is the loop of one read: *begun* with the version, *computed*, and back to *idle* if the
 * version is still the same, else begun anew. `trust` says whether the last read was of a stable
 * page (its time is used as it is) or was *clamped* to the latest time given so far. `schedClock` is
 * set once: it counts from the time of that read, and is *stable* if the boot vCPU's page was.
 * (Linux 4.2 left the counting to the host, PVCLOCK_COUNTS_FROM_ZERO, and subtracted nothing.)
 * `watchdog`: a page with GUEST_STOPPED says that the guest did not run for a while; the clocksource
 * clears the flag and has the watchdogs *touched*, so that they overlook the gap once. `steal` is *on*
 * once a vCPU has a steal clock, of KVM's record or of Xen's runstate, which each tick accounts for.
 * `tscSync` is what came of comparing TSCs when a CPU was last brought up.
 *
 * Source: arch/x86/kernel/pvclock.c, arch/x86/kernel/kvmclock.c,
 * kernel/sched/cputime.c, Linux 4.4 to 7.3.
 */
import { setup } from 'xstate';
import {
  type GuestCtx,
  type GuestState,
  guestGuards,
  guestRecipes,
  guestStealGuards,
  guestStealRecipes,
  guestTscSyncGuards,
  guestTscSyncRecipes,
} from '../src/clock/index.ts';
import { bind, type Holder, type SignalEvent } from './bind.ts';

/** What a guest reacts to. */
export const GUEST_SIGNALS = {
  REGISTER: 'a vCPU tells KVM where its page is',
  DISABLE: 'kvmclock is given up: kexec, shutdown',
  BEGIN_READ: 'a read takes the version',
  COMPUTE_TIME: 'it reads the TSC and the page',
  CHECK_VERSION: 'it looks at the version again',
  START_SCHED_CLOCK: 'sched_clock starts, from the read just done',
  DERIVE_TSC_KHZ: 'the frequency of the TSC is derived from the page',
  READ_WALL_CLOCK: 'the wall clock, which KVM has just written, is read',
  WATCHDOG: 'a watchdog’s timer fires',
  SUSPEND: 'the guest suspends itself',
  RESUME: 'it resumes',
  BRING_UP: 'a CPU that is brought up compares its TSC',
  ENABLE_STEAL: 'a vCPU tells where its steal clock is to be',
  TICK: 'a tick accounts what was stolen',
} as const;

/** Name of a signal to a guest. */
export type GuestSignal = keyof typeof GUEST_SIGNALS;

const code = bind<GuestState, GuestSignal, GuestCtx>();

export const guestMachine = setup({
  types: {
    context: {} as Holder<GuestState>,
    events: {} as SignalEvent<GuestSignal, GuestCtx>,
    input: {} as Holder<GuestState>,
  },
  guards: code.guards({ ...guestGuards, ...guestStealGuards, ...guestTscSyncGuards }),
  actions: code.actions({ ...guestRecipes, ...guestStealRecipes, ...guestTscSyncRecipes }),
}).createMachine({
  id: 'guest',
  type: 'parallel',
  context: ({ input }) => input,
  states: {
    clock: {
      initial: 'unregistered',
      on: { READ_WALL_CLOCK: { guard: 'wallClockIsWhole', actions: 'takeWallClock' } },
      states: {
        unregistered: { on: { REGISTER: { target: 'registered', actions: 'initKvmclock' } } },
        registered: {
          on: {
            DERIVE_TSC_KHZ: { guard: 'pageHasScale', actions: 'deriveTscKhz' },
            SUSPEND: 'suspended',
            DISABLE: 'unregistered',
          },
        },
        suspended: { on: { RESUME: { target: 'registered', actions: 'forgetLastValue' } } },
      },
    },
    schedClock: {
      initial: 'unset',
      states: {
        unset: {
          on: {
            START_SCHED_CLOCK: [
              { guard: 'schedClockIsStable', target: 'stable', actions: 'startSchedClock' },
              { target: 'unstable', actions: 'startSchedClock' },
            ],
          },
        },
        stable: {},
        unstable: {},
      },
    },
    read: {
      initial: 'idle',
      states: {
        idle: { on: { BEGIN_READ: { target: 'begun', actions: 'beginRead' } } },
        begun: { on: { COMPUTE_TIME: { target: 'computed', actions: 'computeTime' } } },
        computed: {
          on: {
            CHECK_VERSION: [
              { guard: 'pageIsWhole', target: 'idle' },
              { target: 'begun', actions: ['retryRead', 'beginRead'] },
            ],
          },
        },
      },
    },
    trust: {
      initial: 'clamped',
      on: {
        CHECK_VERSION: [
          { guard: 'wholePageIsTrusted', target: '.stable', actions: 'takeTime' },
          { guard: 'pageIsWhole', target: '.clamped', actions: 'clampTime' },
        ],
      },
      states: { clamped: {}, stable: {} },
    },
    steal: {
      initial: 'off',
      states: {
        off: { on: { ENABLE_STEAL: 'on' } },
        on: {
          on: {
            TICK: [
              { guard: 'stealClockLeapt', actions: 'resyncSteal' },
              { actions: 'accountSteal' },
            ],
          },
        },
      },
    },
    tscSync: {
      initial: 'untested',
      on: {
        BRING_UP: [
          { guard: 'tscIsReliable', target: '.skipped' },
          { guard: 'tscsAgree', target: '.synchronised' },
          { guard: 'hasTscAdjust', target: '.adjusted', actions: 'adjustTsc' },
          { target: '.failed' },
        ],
      },
      states: { untested: {}, skipped: {}, synchronised: {}, adjusted: {}, failed: {} },
    },
    watchdog: {
      initial: 'watching',
      on: {
        CHECK_VERSION: {
          guard: 'wholePageIsStopped',
          target: '.touched',
          actions: 'touchWatchdogs',
        },
      },
      states: {
        watching: { on: { WATCHDOG: { guard: 'pageIsStopped', actions: 'touchWatchdogs' } } },
        touched: {
          on: {
            WATCHDOG: [
              { guard: 'pageIsStopped', target: 'watching', actions: 'touchWatchdogs' },
              { target: 'watching' },
            ],
          },
        },
      },
    },
  },
});
