/** What the guests themselves read, against the model: their TSC, their clock, clock pairing. */
import { guestRdtsc, type VcpuState } from '../../src/clock/index.ts';
import { asS64, pvclockRead } from '../../src/num/index.ts';
import { type Action, narrow, wide } from './action.ts';
import type { PlacedStep } from './fds.ts';
import type { Session } from './session.ts';

const referenceOf = (vcpu: Readonly<VcpuState>) => ({
  tscTimestamp: vcpu.pageTscTimestamp,
  systemTime: vcpu.pageSystemTime,
  tscToSystemMul: vcpu.pageMul,
  tscShift: vcpu.pageShift,
});

/**
 * Judges RDTSC: between what the ends of the action would read, as the instant itself shows nowhere.
 * A TSC whose offset changed in the action has no such bounds.
 */
function judgeRdtsc(
  session: Session,
  placed: PlacedStep,
  action: Action,
  vcpu: Readonly<VcpuState>,
  value: bigint,
): void {
  const { host } = session.world;
  if (host.tsc === 'unstable' || vcpu.catchup !== 'off') return;
  const least = guestRdtsc(vcpu, host, action.before.tsc);
  const most = guestRdtsc(vcpu, host, action.after.tscEnd);
  const inside = asS64(value - least) >= 0n && asS64(most - value) >= 0n;
  session.judge(placed, 'rdtsc', inside ? 'exact' : 'wrong', `${least} … ${most}`, `${value}`);
}

/** Judges what the guest's clock read at a TSC of its own. */
function judgeKvmclock(
  session: Session,
  placed: PlacedStep,
  vcpu: Readonly<VcpuState>,
  tsc: bigint,
  ns: bigint,
): void {
  const read = pvclockRead(referenceOf(vcpu), tsc);
  const found = BigInt.asUintN(64, ns);
  const apart = asS64(read - found);
  const closeness = apart === 0n ? 'exact' : apart >= -1n && apart <= 1n ? 'within' : 'wrong';
  session.judge(placed, 'guest kvmclock', closeness, `${read}`, `${found}`);
}

/** Judges what a vCPU's guest read in an action; its page is as the guest last saw it. */
export function judgeGuest(session: Session, placed: PlacedStep, action: Action, vm: number): void {
  const id = narrow(action.args['vcpu']);
  const vcpu = id === undefined ? undefined : session.world.vms.get(vm)?.vcpus.get(id)?.state;
  const value = wide(action.out['value']);
  if (action.op !== 'guest_rdtsc' || vcpu === undefined || value === undefined) return;
  judgeRdtsc(session, placed, action, vcpu, value);
  const ns = wide(action.out['guest_kvmclock_ns']);
  if (ns !== undefined) judgeKvmclock(session, placed, vcpu, value, ns);
}

/** The low 32 bits that KVM_HC_CLOCK_PAIRING returned, as an errno. */
const errnoOf = (eax: number): number => eax | 0;

/**
 * Judges the hypercall: its result, and that the time of the pair is CLOCK_REALTIME at its TSC.
 *
 * @param realtimeNs - CLOCK_REALTIME there; to a microsecond only where no probe shows it.
 * @param known - CLOCK_REALTIME was read together with a TSC; else it is known to the action's span.
 */
export function judgePairing(
  session: Session,
  placed: PlacedStep,
  action: Action,
  ret: number,
  realtimeNs: bigint,
  known: boolean,
): void {
  const eax = narrow(action.out['eax']);
  if (eax === undefined) return;
  const same = errnoOf(eax) === ret;
  session.judge(placed, 'clock_pairing', same ? 'exact' : 'wrong', `${ret}`, `${errnoOf(eax)}`);
  const found = pairOf(action);
  if (found === undefined) return;
  const apart = asS64(realtimeNs - found.realtimeNs);
  const slack = !known
    ? action.after.real - action.before.real
    : session.clocks.areProbed
      ? 1n
      : 1_000n;
  const closeness = apart === 0n ? 'exact' : apart <= slack && apart >= -slack ? 'within' : 'wrong';
  session.judge(placed, 'clock pair', closeness, `${realtimeNs}`, `${found.realtimeNs}`);
}

/** What the guest found in memory after KVM_HC_CLOCK_PAIRING. */
export function pairOf({ out }: Action): { realtimeNs: bigint; tsc: bigint } | undefined {
  const pair = out['pair'];
  if (typeof pair !== 'object' || pair === null) return undefined;
  const { sec, nsec, tsc } = pair as Readonly<Record<string, unknown>>;
  const [seconds, nanoseconds, cycles] = [wide(sec), wide(nsec), wide(tsc)];
  if (seconds === undefined || nanoseconds === undefined || cycles === undefined) return undefined;
  if (seconds === 0n) return undefined;
  return { realtimeNs: seconds * 1_000_000_000n + nanoseconds, tsc: cycles };
}
