/** What the driver saw of vCPUs after an action, against the model's structs. */

import type { VcpuState } from '../../src/clock/index.ts';
import { asS64, PVCLOCK_GUEST_STOPPED } from '../../src/num/index.ts';
import type { Action, SeenPage } from './action.ts';
import type { PlacedStep } from './fds.ts';
import type { Session } from './session.ts';

const pageOf = (vcpu: Readonly<VcpuState>): SeenPage => ({
  version: vcpu.pageVersion,
  tscTimestamp: vcpu.pageTscTimestamp,
  systemTime: vcpu.pageSystemTime,
  mul: vcpu.pageMul,
  shift: vcpu.pageShift,
  flags: vcpu.pageFlags,
});

const textOf = (page: SeenPage): string =>
  Object.entries(page)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');

/** How close a page is: a system time 1 ns off counts as near. */
function closenessOf(model: SeenPage, seen: SeenPage): 'exact' | 'within' | 'wrong' {
  const apart = asS64(model.systemTime - seen.systemTime);
  const same = textOf({ ...model, systemTime: 0n }) === textOf({ ...seen, systemTime: 0n });
  if (!same || apart > 1n || apart < -1n) return 'wrong';
  return apart === 0n ? 'exact' : 'within';
}

/** The page lost its GUEST_STOPPED flag without being written: the guest cleared it. */
const clearedStopped = (vcpu: Readonly<VcpuState>, seen: SeenPage): boolean =>
  vcpu.pageVersion === seen.version &&
  vcpu.pageFlags === (seen.flags | PVCLOCK_GUEST_STOPPED) &&
  vcpu.pageFlags !== seen.flags;

/** Judges Hyper-V's page. */
function judgeHvPage(session: Session, placed: PlacedStep, action: Action, vm: number): void {
  const seen = action.seen?.hvTscPage;
  const { state } = session.world.vms.get(vm)!.cell;
  if (seen === undefined || state.hvTscPage === 'unset') return;
  const model = `${state.hvTscSequence} ${state.hvTscScale} ${state.hvTscOffset}`;
  const found = `${seen.sequence} ${seen.scale} ${seen.offset}`;
  session.judge(placed, 'hv page seen', model === found ? 'exact' : 'wrong', model, found);
}

/** A wall clock that was written, and whether CLOCK_REALTIME was known then. */
export interface NewWall {
  readonly realtimeKnown: boolean;
}

/** Seconds and nanoseconds of a wall clock as ns. */
const epochOf = (sec: number, nsec: number): bigint => BigInt(sec) * 1_000_000_000n + BigInt(nsec);

/**
 * Judges the wall clock: version and epoch. Until v6.6 its two clocks are read one after the other,
 * so that the epoch is only known to lie within the action; and so it is while CLOCK_REALTIME was
 * not yet seen together with a TSC.
 */
function judgeWall(
  session: Session,
  placed: PlacedStep,
  action: Action,
  vm: number,
  written: NewWall | undefined,
): void {
  const hex = action.seen?.wallHex;
  const { state } = session.world.vms.get(vm)!.cell;
  if (hex === undefined || written === undefined) return;
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.length < 12) return;
  const apart =
    epochOf(state.wallClockSec, state.wallClockNsec) -
    epochOf(bytes.readUInt32LE(4), bytes.readUInt32LE(8));
  const { wallClock } = session.world.switches;
  const sure = wallClock === 'single-tsc' && state.masterclock === 'on' && written.realtimeKnown;
  const slack = sure ? 1n : action.after.raw - action.before.raw;
  const right =
    bytes.readUInt32LE(0) === state.wallClockVersion && apart <= slack && apart >= -slack;
  const closeness = !right ? 'wrong' : apart === 0n ? 'exact' : 'within';
  const model = `version ${state.wallClockVersion}, ${apart} ns from`;
  session.judge(placed, 'wall clock seen', closeness, model, hex);
}

/**
 * Judges offsets and pages as the driver saw them.
 *
 * @param written - the wall clock was written in this action.
 */
export function judgeSeen(
  session: Session,
  placed: PlacedStep,
  action: Action,
  vm: number,
  written: NewWall | undefined,
): void {
  const { vcpus } = session.world.vms.get(vm)!;
  for (const seen of action.seen?.vcpus ?? []) {
    const vcpu = vcpus.get(seen.vcpu)?.state;
    if (vcpu === undefined) continue;
    if (seen.tscOffset !== undefined) {
      const offset = asS64(vcpu.l1TscOffset);
      const closeness = offset === seen.tscOffset ? 'exact' : 'wrong';
      session.judge(placed, 'offset seen', closeness, `${offset}`, `${seen.tscOffset}`);
    }
    if (seen.page !== undefined && vcpu.kvmclock !== 'off') {
      if (clearedStopped(vcpu, seen.page)) {
        session.tally.adopt('stoppedFlag');
        session.dispatch(placed, { type: 'guest_clears_stopped', vm, vcpu: seen.vcpu });
      }
      const page = pageOf(vcpus.get(seen.vcpu)!.state);
      // Without entries it is unknown how often the page was written.
      const model = session.hasEntries ? page : { ...page, version: seen.page.version };
      const closeness = closenessOf(model, seen.page);
      session.judge(placed, 'page seen', closeness, textOf(model), textOf(seen.page));
    }
  }
  judgeHvPage(session, placed, action, vm);
  judgeWall(session, placed, action, vm, written);
}
