/** KVM_RUN in a recording: loads, entries, exits, the guest's MSR accesses, and work that fires. */
import { MSRS, type ObservationOf } from '../../events/index.ts';
import { isRequested, MSR_READERS } from '../../src/clock/index.ts';
import { MSR_ROUTES, type ReadingSource } from '../../src/engine/index.ts';
import { subU64 } from '../../src/num/index.ts';
import type { PlacedStep } from './fds.ts';
import type { HostLife } from './host-life.ts';
import { judgePairing, pairOf } from './judge-guest.ts';
import { isClockMsr, judgeSpan } from './judge-span.ts';
import type { Session } from './session.ts';
import { isPush } from './sources.ts';
import type { Step } from './steps.ts';
import type { XenSteps } from './xen-steps.ts';

/** The MSRs that write the wall clock. */
const WALL_CLOCKS: ReadonlySet<number> = new Set([
  MSRS.MSR_KVM_WALL_CLOCK,
  MSRS.MSR_KVM_WALL_CLOCK_NEW,
]);

/** Longest that the kernel's timer was seen to be late, ns. */
const WORK_LATE_NS = 50_000_000n;

/** Requests that bring the pages of all vCPUs up to date, and those that write one's own. */
const GLOBAL = ['MASTERCLOCK_UPDATE', 'GLOBAL_CLOCK_UPDATE'] as const;
const ASKS = [...GLOBAL, 'CLOCK_UPDATE'] as const;

/** The VMM's threads in KVM_RUN. */
export class RunSteps {
  readonly #session: Session;
  readonly #hostLife: HostLife;
  readonly #xen: XenSteps;
  /** Threads whose KVM_RUN has begun and whose load is still to come. */
  readonly #loadPending = new Set<number>();
  /** VMs whose wall clock was written and not yet seen, and whether CLOCK_REALTIME was known then. */
  readonly #newWalls = new Map<number, boolean>();

  constructor(session: Session, hostLife: HostLife, xen: XenSteps) {
    this.#session = session;
    this.#hostLife = hostLife;
    this.#xen = xen;
  }

  /**
   * Whether a VM's wall clock was written since it was last asked for, and with which knowledge of
   * CLOCK_REALTIME: `undefined` when it was not.
   */
  takeNewWall(vm: number): { realtimeKnown: boolean } | undefined {
    const realtimeKnown = this.#newWalls.get(vm);
    this.#newWalls.delete(vm);
    return realtimeKnown === undefined ? undefined : { realtimeKnown };
  }

  /** KVM_RUN begins. With an unstable TSC its load writes the offset, which only the next step shows. */
  begin(placed: PlacedStep): void {
    if (this.#session.world.host.tsc === 'stable') this.load(placed);
    else this.#loadPending.add(placed.step.tid);
  }

  /** KVM_RUN returns. */
  end(placed: PlacedStep): void {
    this.#loads(placed);
    this.#serveUnseen(placed);
    this.#pairing(placed);
    this.#xen.hypercall(placed);
    this.vcpuInput(placed, 'vcpu_put');
  }

  /** The hypercall that the driver let the guest make; no clock tracepoint shows it. */
  #pairing(placed: PlacedStep): void {
    const { action, target } = placed;
    if (action?.op !== 'guest_clock_pairing' || target?.kind !== 'vcpu') return;
    const vcpu = this.#session.world.vms.get(target.vm)?.vcpus.get(target.vcpu)?.state;
    const pair = pairOf(action);
    const hostTsc = pair === undefined ? undefined : subU64(pair.tsc, vcpu?.l1TscOffset ?? 0n);
    const { world, clocks } = this.#session;
    const realtimeNs = hostTsc === undefined ? 0n : clocks.realtimeAt(world, hostTsc);
    const { vm } = target;
    const input = { type: 'clock_pairing', vm, vcpu: target.vcpu, gpa: 0n, clockType: 0n } as const;
    const seen = this.#session.dispatch(placed, input);
    const result = seen.find((o): o is ObservationOf<'ioctl_result'> => o.type === 'ioctl_result');
    if (result !== undefined) {
      const { knowsRealtime } = this.#hostLife;
      judgePairing(this.#session, placed, action, result.ret, realtimeNs, knowsRealtime);
    }
  }

  /** A thread takes the vCPU of its ioctl. */
  load(placed: PlacedStep): void {
    const { target, step } = placed;
    if (target?.kind !== 'vcpu') return;
    this.#session.dispatch(placed, {
      type: 'vcpu_load',
      vm: target.vm,
      vcpu: target.vcpu,
      cpu: step.cpu,
    });
  }

  /** Something that happens to the vCPU of an ioctl. */
  vcpuInput(
    placed: PlacedStep,
    type: 'kvm_exit' | 'kvm_entry' | 'vcpu_put' | 'vcpu_requests',
  ): void {
    const { target } = placed;
    if (target?.kind !== 'vcpu') return;
    this.#session.dispatch(placed, { type, vm: target.vm, vcpu: target.vcpu });
  }

  /** An entry, before which delayed work may have fired. */
  enter(placed: PlacedStep): void {
    const { target, step } = placed;
    if (target?.kind !== 'vcpu') return;
    this.#loads(placed);
    const page = step.recorded.some(({ type }) => type === 'kvm_pvclock_update');
    this.#fireWork(placed, target.vm, page);
    if (page) this.#serveOthers(placed, target);
    this.vcpuInput(placed, 'kvm_entry');
    this.#session.settle(placed);
  }

  /**
   * With an unstable TSC each load shows, also those of a thread that was scheduled out and in
   * before it came to enter the guest.
   */
  #loads(placed: PlacedStep): void {
    const { recorded, tid } = placed.step;
    let served = false;
    for (const event of recorded) {
      if (event.type !== 'kvm_write_tsc_offset' || isPush(event)) {
        served = true;
        continue;
      }
      if (!this.#loadPending.delete(tid)) {
        if (served) this.vcpuInput(placed, 'vcpu_requests');
        this.vcpuInput(placed, 'vcpu_put');
      }
      served = false;
      this.load(placed);
    }
    if (this.#loadPending.delete(tid)) this.load(placed);
  }

  /** Where entries were not recorded, requests are served before whatever shows next. */
  #serveUnseen(placed: PlacedStep): void {
    const { target, step } = placed;
    if (this.#session.hasEntries || target?.kind !== 'vcpu') return;
    const page = step.recorded.some(({ type }) => type === 'kvm_pvclock_update');
    this.#fireWork(placed, target.vm, page);
    this.vcpuInput(placed, 'vcpu_requests');
  }

  /**
   * A page that nothing yet asked for: another thread has served a request for all vCPUs and is on
   * its way into the guest, which shows only later.
   */
  #serveOthers(placed: PlacedStep, { vm, vcpu }: { vm: number; vcpu: number }): void {
    const vcpus = this.#session.world.vms.get(vm)?.vcpus;
    const mine = vcpus?.get(vcpu)?.state;
    if (vcpus === undefined || mine === undefined || ASKS.some((name) => isRequested(mine, name))) {
      return;
    }
    for (const [other, { state }] of vcpus) {
      if (other === vcpu || state.run !== 'loaded') continue;
      if (!GLOBAL.some((name) => isRequested(state, name))) continue;
      const next = this.#session.nextStep(placed, vm, other);
      if (next === undefined) continue;
      const input = { type: 'vcpu_requests', vm, vcpu: other } as const;
      this.#session.dispatch(next, input, { timestamp: placed.step.timestamp });
    }
  }

  /** Fires work that is due: when a page shows it, or when it can't be later. */
  #fireWork(placed: PlacedStep, vm: number, seen: boolean): void {
    const state = this.#session.world.vms.get(vm)?.cell.state;
    if (state === undefined) return;
    const now = this.#session.instants.tscAt(placed.step.timestamp);
    const { tscKhz } = this.#session.world.host;
    const due = (name: string, delayNs: bigint): boolean => {
      const armed = this.#session.armed.get(`${vm} ${name}`);
      if (armed === undefined) return false;
      const elapsedNs = ((now - armed) * 1_000_000n) / BigInt(tscKhz);
      return elapsedNs >= (seen ? delayNs : delayNs + WORK_LATE_NS);
    };
    if (state.syncWork === 'armed' && due('kvmclock_sync_work', 300_000_000_000n)) {
      const late = due('kvmclock_sync_work', 333_000_000_000n);
      if (seen || late) {
        this.#session.dispatch(placed, { type: 'kvmclock_sync_work', vm });
        this.#session.dispatch(placed, { type: 'kvmclock_update_work', vm });
        this.#session.tally.adopt('work-time');
        return;
      }
    }
    if (state.updateWork === 'queued' && due('kvmclock_update_work', 100_000_000n)) {
      this.#session.dispatch(placed, { type: 'kvmclock_update_work', vm });
      this.#session.tally.adopt('work-time');
    }
  }

  /** The guest accessed an MSR. */
  msr(placed: PlacedStep, step: Extract<Step, { kind: 'msr' }>): void {
    const { target } = placed;
    if (target?.kind !== 'vcpu') return;
    const { ecx: index, data, write, exception } = step.event;
    const at = { vm: target.vm, vcpu: target.vcpu, index };
    this.#serveUnseen(placed);
    if (write && MSR_ROUTES.has(index) && !exception) {
      const seen = this.#session.dispatch(
        placed,
        { type: 'wrmsr', ...at, data },
        { source: this.#wallSource(placed, index) },
      );
      if (WALL_CLOCKS.has(index)) this.#newWalls.set(target.vm, this.#hostLife.knowsRealtime);
      const result = seen.find((o): o is ObservationOf<'msr_result'> => o.type === 'msr_result');
      this.#session.judge(
        placed,
        'wrmsr',
        result?.ok === true ? 'exact' : 'wrong',
        `${result?.ok}`,
        'true',
      );
    } else if (!write && MSR_READERS.has(index) && !exception) {
      this.#guestRead(placed, at, data);
    }
    this.#session.settle(placed);
  }

  /** The clocks of a wall clock's epoch are read at one instant or close to each other. */
  #wallSource(placed: PlacedStep, index: number): ReadingSource | undefined {
    if (!WALL_CLOCKS.has(index)) return undefined;
    const tsc = this.#session.instants.tscAt(placed.step.timestamp);
    return (name) => {
      if (name === 'getClock.tsc') return tsc;
      if (name !== 'realtime.ns' && name !== 'wallClock.ns') return undefined;
      return this.#session.clocks.realtimeAt(this.#session.world, tsc);
    };
  }

  #guestRead(
    placed: PlacedStep,
    at: { vm: number; vcpu: number; index: number },
    data: bigint,
  ): void {
    if (isClockMsr(at.index)) {
      judgeSpan(this.#session, placed, 'rdmsr', { type: 'rdmsr', ...at }, data);
      return;
    }
    const seen = this.#session.dispatch(placed, { type: 'rdmsr', ...at });
    const result = seen.find((o): o is ObservationOf<'msr_result'> => o.type === 'msr_result');
    const exact = result?.data === data;
    this.#session.judge(placed, 'rdmsr', exact ? 'exact' : 'wrong', `${result?.data}`, `${data}`);
  }
}
