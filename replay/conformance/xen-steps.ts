/**
 * Xen's timers and the wall clock of its shared_info page, as the driver set and saw them.
 *
 * What a guest asks for by a single shot lies in its memory, which nothing shows: it is taken from
 * the timer's next reading. The flags of runstates are not given to the model, as no recording shows
 * any.
 */
import type { InputOf, Observation, ObservationOf } from '../../events/index.ts';
import type { ReadingSource } from '../../src/engine/index.ts';
import { addU64 } from '../../src/num/index.ts';
import { type Action, narrow, wide } from './action.ts';
import type { PlacedStep } from './fds.ts';
import type { Session, Untimed } from './session.ts';

/** KVM_XEN_VCPU_ATTR_TYPE_TIMER. */
const TIMER = 7;
const VCPU_OP = 24;
const SET_TIMER_OP = 15;
const SET_SINGLESHOT_TIMER = 8n;

type Vcpu = { readonly vm: number; readonly vcpu: number };

/** What the driver does with Xen's interface. */
export class XenSteps {
  readonly #session: Session;
  /** When armed timers are due, host TSC, by VM and vCPU. */
  readonly #due = new Map<string, bigint>();
  /** Actions whose call was seen: the driver makes another one after it, which its log leaves out. */
  readonly #done = new Set<Action>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** KVM_XEN_HVM_SET_ATTR of the shared_info page: its wall clock lies where the action did. */
  sharedInfo(placed: PlacedStep, vm: number, gpa: bigint): void {
    const { instants, clocks, world } = this.#session;
    if (placed.action === undefined || this.#done.has(placed.action)) return;
    this.#done.add(placed.action);
    const tsc = instants.tscAt(placed.step.timestamp);
    const source: ReadingSource = (name) => {
      if (name === 'getClock.tsc') return tsc;
      if (name === 'getClock.ns') return clocks.baseAt(world, tsc);
      return name === 'realtime.ns' ? clocks.realtimeAt(world, tsc) : undefined;
    };
    this.#session.dispatch(placed, { type: 'KVM_XEN_SET_SHARED_INFO', vm, gpa }, { source });
    this.#judgeWall(placed, vm);
  }

  /**
   * The version exactly; the epoch by as much as the action took, as two clocks make it that are read
   * one after the other.
   */
  #judgeWall(placed: PlacedStep, vm: number): void {
    const { action } = placed;
    const { state } = this.#session.world.vms.get(vm)!.cell;
    const hex = state.xenLongMode ? action?.seen?.xenWallHex : undefined;
    if (action === undefined || hex === undefined) return;
    const bytes = Buffer.from(hex, 'hex');
    if (bytes.length < 16) return;
    const sec = BigInt(bytes.readUInt32LE(4)) + (BigInt(bytes.readUInt32LE(12)) << 32n);
    const apart =
      (state.xenWallClockSec - sec) * 1_000_000_000n +
      BigInt(state.xenWallClockNsec - bytes.readUInt32LE(8));
    const slack = action.after.raw - action.before.raw;
    const right =
      bytes.readUInt32LE(0) === state.xenWallClockVersion && apart <= slack && apart >= -slack;
    const closeness = !right ? 'wrong' : apart === 0n ? 'exact' : 'within';
    const model = `version ${state.xenWallClockVersion}, ${apart} ns from`;
    this.#session.judge(placed, 'xen wall clock seen', closeness, model, hex);
  }

  /** KVM_XEN_VCPU_SET_ATTR of the timer. */
  setTimer(placed: PlacedStep, at: Vcpu): readonly Observation[] {
    const args = placed.action?.args ?? {};
    const port = narrow(args['port']) ?? 0;
    const expiresNs = wide(args['expires_ns']) ?? 0n;
    return this.#timed(placed, { type: 'KVM_XEN_SET_TIMER', ...at, port, expiresNs });
  }

  /** KVM_XEN_VCPU_GET_ATTR of the timer. */
  readTimer(placed: PlacedStep, at: Vcpu): void {
    const seen = this.#timed(placed, { type: 'KVM_XEN_VCPU_GET_ATTR', ...at, attr: TIMER });
    const read = seen.find((o): o is ObservationOf<'xen_attr'> => o.type === 'xen_attr');
    const out = placed.action?.out ?? {};
    const found = `port ${narrow(out['port'])} expires ${wide(out['expires_ns'])}`;
    const model = `port ${read?.port} expires ${read?.expiresNs}`;
    this.#session.judge(placed, 'xen timer', model === found ? 'exact' : 'wrong', model, found);
  }

  /** The hypercall that the driver let the guest make; no clock tracepoint shows it. */
  hypercall(placed: PlacedStep): void {
    const { action, target } = placed;
    if (action?.op !== 'guest_xen_hypercall' || target?.kind !== 'vcpu') return;
    const { vm, vcpu } = target;
    const nr = narrow(action.args['nr']) ?? 0;
    const given = Array.isArray(action.args['args']) ? (action.args['args'] as unknown[]) : [];
    const args = given.map((arg) => wide(arg) ?? 0n);
    const input = { type: 'xen_hypercall', vm, vcpu, nr } as const;
    const seen = this.#timed(placed, { ...input, ...this.#asked(nr, args, action) });
    const result = seen.find((o) => o.type === 'xen_hypercall_result');
    if (result?.type !== 'xen_hypercall_result') return;
    const model = result.handled ? `${result.ret}` : 'the VMM’s';
    const eax = narrow(action.out['eax']) ?? 0;
    const found = wide(action.out['exit_xen_input']) === undefined ? `${eax | 0}` : 'the VMM’s';
    const closeness = model === found ? 'exact' : 'wrong';
    this.#session.judge(placed, 'xen hypercall', closeness, model, found);
  }

  /** What a hypercall asks for: in its registers, or in memory. */
  #asked(
    nr: number,
    args: readonly bigint[],
    action: Action,
  ): Partial<Pick<InputOf<'xen_hypercall'>, 'cmd' | 'vcpuId' | 'timeoutNs'>> {
    const [first = 0n, second = 0n] = args;
    if (nr === SET_TIMER_OP) return { timeoutNs: first | (second << 32n) };
    if (nr !== VCPU_OP) return {};
    const cmd = { cmd: Number(first), vcpuId: Number(second) };
    if (first !== SET_SINGLESHOT_TIMER) return cmd;
    this.#session.tally.adopt('xen-timeout');
    // One that was already spent when it was read lay in the past.
    return { ...cmd, timeoutNs: this.#nextExpiry(action) || 1n };
  }

  #nextExpiry(action: Action): bigint {
    const { actions } = this.#session.recording;
    const next = actions
      .slice(actions.indexOf(action))
      .find(({ op, args }) => op === 'KVM_XEN_VCPU_GET_ATTR' && args['type'] === 'TIMER');
    return wide(next?.out['expires_ns']) ?? 0n;
  }

  /** Lets the timer fire if it is due, then something happen to it. */
  #timed(placed: PlacedStep, input: Untimed & Vcpu): readonly Observation[] {
    const { vm, vcpu } = input;
    const { world, instants } = this.#session;
    const key = `${vm} ${vcpu}`;
    const now = instants.tscAt(placed.step.timestamp);
    const due = this.#due.get(key);
    const state = world.vms.get(vm)?.vcpus.get(vcpu)?.state;
    if (state?.xenTimer === 'armed' && due !== undefined && now >= due) {
      this.#session.dispatch(placed, { type: 'xen_timer', vm, vcpu });
    }
    const seen = this.#session.dispatch(placed, input);
    for (const o of seen) {
      if (o.type !== 'timer_armed') continue;
      const cycles = (o.delayNs * BigInt(world.host.tscKhz)) / 1_000_000n;
      this.#due.set(key, addU64(world.lastTsc, cycles));
    }
    return seen;
  }
}
