/** KVM_GET_CLOCK against the model. */
import type { Observation, ObservationOf } from '../../events/index.ts';
import type { ReadingSource } from '../../src/engine/index.ts';
import { subU64 } from '../../src/num/index.ts';
import { isNear } from '../assimilate/tracepoints.ts';
import type { Action, SeenClock } from './action.ts';
import { narrow, wide } from './action.ts';
import type { PlacedStep } from './fds.ts';
import type { Session } from './session.ts';

const TSC_STABLE = 2;
const REALTIME = 4;

/** What the driver's own KVM_GET_CLOCK returned. */
function ownClock({ out }: Action): SeenClock | undefined {
  const clock = wide(out['clock']);
  if (clock === undefined) return undefined;
  return {
    clock,
    flags: narrow(out['flags']) ?? 0,
    realtime: wide(out['realtime']) ?? 0n,
    hostTsc: wide(out['host_tsc']) ?? 0n,
  };
}

const resultOf = (seen: readonly Observation[]): ObservationOf<'ioctl_result'> | undefined =>
  seen.find((o): o is ObservationOf<'ioctl_result'> => o.type === 'ioctl_result');

/** Asks the model for the clock at one host TSC. */
function clockAt(
  session: Session,
  placed: PlacedStep,
  vm: number,
  tsc: bigint,
): ObservationOf<'ioctl_result'> | undefined {
  const source: ReadingSource = (name) => {
    if (name === 'getClock.tsc') return tsc;
    return name === 'realtime.ns' ? session.clocks.realtimeAt(session.world, tsc) : undefined;
  };
  return resultOf(
    session.dispatch(placed, { type: 'KVM_GET_CLOCK', vm, cpu: placed.step.cpu }, { source }),
  );
}

/** The span in which it was read: in the action, or after it and before the next. */
function spanOf(session: Session, action: Action, own: boolean): [bigint, bigint] {
  if (own) return [action.before.tsc, action.after.tscEnd];
  const { actions } = session.recording;
  const next = actions[actions.indexOf(action) + 1];
  return [action.after.tsc, next?.before.tscEnd ?? action.after.tscEnd + (1n << 40n)];
}

/** Kernels before v5.16 do not tell at which TSC the clock was read: some instant must give it. */
function judgeUntold(
  session: Session,
  placed: PlacedStep,
  seen: SeenClock,
  vm: number,
  [least, most]: readonly [bigint, bigint],
): void {
  const first = clockAt(session, placed, vm, least);
  const last = clockAt(session, placed, vm, most);
  const inside =
    first?.flags === seen.flags && seen.clock >= first.clock! && seen.clock <= (last?.clock ?? 0n);
  const text = `${first?.clock} … ${last?.clock} flags ${first?.flags}`;
  const found = `${seen.clock} flags ${seen.flags}`;
  session.judge(placed, 'KVM_GET_CLOCK', inside ? 'exact' : 'wrong', text, found);
}

/** Without masterclock the clock is the host's base clock, which nothing else shows. */
function judgeBase(session: Session, placed: PlacedStep, seen: SeenClock, vm: number): void {
  const offset = session.world.vms.get(vm)!.cell.state.kvmclockOffset;
  const source: ReadingSource = (name) =>
    name === 'getClock.ns' ? subU64(seen.clock, offset) : undefined;
  const result = resultOf(
    session.dispatch(placed, { type: 'KVM_GET_CLOCK', vm, cpu: placed.step.cpu }, { source }),
  );
  session.tally.adopt('page-ns');
  const exact = result?.flags === seen.flags ? 'exact' : 'wrong';
  session.judge(placed, 'KVM_GET_CLOCK', exact, `flags ${result?.flags}`, `flags ${seen.flags}`);
}

/**
 * Judges one KVM_GET_CLOCK.
 *
 * @param own - it is the action itself, not the read of what is seen after it.
 * @param learnRealtime - told of a read of CLOCK_REALTIME with its TSC.
 */
export function judgeClock(
  session: Session,
  placed: PlacedStep,
  action: Action,
  vm: number,
  own: boolean,
  learnRealtime: (seen: SeenClock) => void,
): void {
  const seen = own ? ownClock(action) : action.seen?.clock;
  const isSeenVm = action.seen?.vm === session.driverVm.get(vm);
  if (seen === undefined || (!own && !isSeenVm)) return;
  if ((seen.flags & TSC_STABLE) === 0) {
    judgeBase(session, placed, seen, vm);
    return;
  }
  if (seen.hostTsc === 0n) {
    judgeUntold(session, placed, seen, vm, spanOf(session, action, own));
    return;
  }
  if ((seen.flags & REALTIME) !== 0) learnRealtime(seen);
  const result = clockAt(session, placed, vm, seen.hostTsc);
  const same = result?.flags === seen.flags && result.hostTsc === seen.hostTsc;
  const used = !own && session.usedClocks.has(action);
  const near =
    same && (used || isNear(result.clock, seen.clock)) && isNear(result.realtime, seen.realtime);
  const exact = near && result.realtime === seen.realtime && (used || result.clock === seen.clock);
  const closeness = !near ? 'wrong' : exact ? 'exact' : 'within';
  const text = `${result?.clock} flags ${result?.flags} realtime ${result?.realtime}`;
  session.judge(
    placed,
    'KVM_GET_CLOCK',
    closeness,
    text,
    `${seen.clock} flags ${seen.flags} realtime ${seen.realtime} at ${seen.hostTsc}`,
  );
}
