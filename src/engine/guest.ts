/**
 * A Linux guest that reads its clock from the pages KVM writes.
 *
 * Its memory is fed with the model's `guest_write` observations, in order; between any two of them
 * it may take the next step of a read. The guest does nothing to KVM by itself: what it has to tell
 * it returns as MSR writes, for whoever drives the world to dispatch.
 *
 * ```ts
 * const guest = new Guest({ cpuidStableBit: true });
 * const msr = guest.register(0, 0x1000n);
 * // dispatch { type: 'wrmsr', vm, vcpu: 0, ...msr, tsc } and an entry; then, for each observation:
 * guest.observe(observation);
 * guest.read(0, guestTsc); // ns of kvmclock, or undefined while the page is being written
 * ```
 */
import { MSRS, type Observation } from '../../events/index.ts';
import { type GuestSignal, guestMachine } from '../../machines/index.ts';
import { type GuestCtx, GuestState, type GuestWallClock, MAX_GUEST_CPUS } from '../clock/index.ts';
import {
  addU64,
  decodePvclockPage,
  PVCLOCK_GUEST_STOPPED,
  PVCLOCK_PAGE_BYTES,
  subU64,
} from '../num/index.ts';
import { ActorCell, onCopies } from './actor-stepper.ts';
import { GuestMemory } from './guest-memory.ts';
import type {
  GuestOptions,
  GuestReader,
  MsrWrite,
  PersistedGuest,
  StealClock,
} from './guest-options.ts';
import { savedGuest } from './guest-saved.ts';

const GUEST = onCopies(guestMachine);
const WALL_CLOCK_BYTES = 12;
/** `struct vcpu_runstate_info`, which is longer than `struct kvm_steal_time` up to its version. */
const STEAL_BYTES = 48;
const NSEC_PER_SEC = 1_000_000_000n;
const FLAGS_AT = 29n; // of `flags` in a pvclock page
/** Bit 0 of MSR_KVM_SYSTEM_TIME turns the page on. */
const ENABLE = 1n;

/** The fields that a guest's options set. */
const cpuOf = ({
  cpuidStableBit = true,
  trustsCountsFromZero = false,
  invariantTsc = false,
  tscReliable = false,
  cpuidTscAdjust = true,
  stealResync = false,
}: GuestOptions) => ({
  cpuidStableBit,
  trustsCountsFromZero,
  invariantTsc,
  tscReliable,
  cpuidTscAdjust,
  stealResync,
});

/** @throws RangeError for a vCPU of which the guest keeps no account. */
function checkCpu(vcpu: number): void {
  if (Number.isInteger(vcpu) && vcpu >= 0 && vcpu < MAX_GUEST_CPUS) return;
  throw new RangeError(`expected a vCPU below ${MAX_GUEST_CPUS}, found ${vcpu}`);
}

/** Clocks are read on any vCPU; stolen time and TSC_ADJUST are kept for the first 64. */
export class Guest {
  readonly #cell: ActorCell<GuestState, GuestSignal, GuestCtx>;
  readonly #memory: GuestMemory;
  readonly #pages: Map<number, bigint>;
  readonly #steals: Map<number, readonly [by: StealClock, gpa: bigint]>;
  readonly #clearsStopped: ((vcpu: number) => void) | undefined;
  #wallClockGpa = 0n;
  /** The read in progress. */
  #reading: { readonly vcpu: number; readonly by: GuestReader } = { vcpu: 0, by: 'clocksource' };

  /** @throws StructJsonError, SyntaxError or RangeError when `from` is no persisted guest. */
  constructor(options: GuestOptions = {}) {
    const saved = options.from === undefined ? undefined : savedGuest(options.from);
    const state = saved?.state ?? GuestState.of(cpuOf(options));
    this.#cell = new ActorCell(GUEST, state, 'guest', options.inspect);
    this.#clearsStopped = options.clearsStopped;
    this.#memory = saved?.memory ?? new GuestMemory();
    this.#pages = saved?.pages ?? new Map();
    this.#steals = saved?.steals ?? new Map();
    if (saved === undefined) return;
    this.#wallClockGpa = saved.wallClockGpa;
    this.#reading = saved.reading;
  }

  /** All there is of it, as plain JSON. */
  persist(): PersistedGuest {
    return {
      state: this.state.toJSON(),
      memory: this.#memory.toJSON(),
      pages: [...this.#pages].map(([vcpu, gpa]) => [vcpu, String(gpa)] as const),
      steals: [...this.#steals].map(([vcpu, [by, gpa]]) => [vcpu, by, String(gpa)] as const),
      wallClockGpa: String(this.#wallClockGpa),
      reading: this.#reading,
    };
  }

  /** Its clock as it is now; not to be changed. */
  get state(): Readonly<GuestState> {
    return this.#cell.state;
  }

  /** Takes what was written to its memory; other observations are not its business. */
  observe(observation: Observation): void {
    if (observation.type === 'guest_write') this.#memory.write(observation.gpa, observation.bytes);
  }

  /** A vCPU gives KVM the address of its page. */
  register(vcpu: number, gpa: bigint): MsrWrite {
    this.#pages.set(vcpu, gpa);
    this.#step('REGISTER', vcpu);
    return { index: MSRS.MSR_KVM_SYSTEM_TIME_NEW, data: gpa | ENABLE };
  }

  /** The guest gives up kvmclock: what each vCPU then writes. */
  disable(): MsrWrite {
    this.#step('DISABLE', 0);
    return { index: MSRS.MSR_KVM_SYSTEM_TIME_NEW, data: 0n };
  }

  /**
   * A read takes the version of the vCPU's page.
   *
   * @throws RangeError when the vCPU has no page, or another read is under way.
   */
  begin(vcpu: number, by: GuestReader = 'clocksource'): void {
    if (this.state.read !== 'idle') throw new RangeError('expected no read, found one under way');
    this.#pageOf(vcpu);
    this.#reading = { vcpu, by };
    this.#step('BEGIN_READ', vcpu);
  }

  /**
   * It computes the time.
   *
   * @param tsc - guest TSC of that vCPU now, cycles.
   */
  compute(tsc: bigint): void {
    this.#step('COMPUTE_TIME', this.#reading.vcpu, tsc);
  }

  /**
   * It looks at the version again.
   *
   * @returns ns, or undefined when the page changed: the read begins anew, at `compute`.
   */
  finish(): bigint | undefined {
    this.#step('CHECK_VERSION', this.#reading.vcpu);
    return this.state.read === 'idle' ? this.state.timeNs : undefined;
  }

  /**
   * A whole read at one instant: kvmclock.
   *
   * @returns ns; undefined when the page is being written, until when the guest would go on trying.
   */
  read(vcpu: number, tsc: bigint, by: GuestReader = 'clocksource'): bigint | undefined {
    if ((this.page(vcpu).version & 1) !== 0) return undefined;
    this.begin(vcpu, by);
    this.compute(tsc);
    return this.finish();
  }

  /** sched_clock starts at this instant, with a read of the clock. */
  startSchedClock(vcpu: number, tsc: bigint): void {
    if (this.read(vcpu, tsc, 'sched_clock') !== undefined) this.#step('START_SCHED_CLOCK', vcpu);
  }

  /** sched_clock: ns since it started; undefined as for `read`. */
  schedClock(vcpu: number, tsc: bigint): bigint | undefined {
    const now = this.read(vcpu, tsc, 'sched_clock');
    return now === undefined ? undefined : subU64(now, this.state.schedClockOffset);
  }

  /** Derives the frequency of the TSC from a vCPU's page. @returns kHz */
  deriveTscKhz(vcpu: number): bigint {
    this.#step('DERIVE_TSC_KHZ', vcpu);
    return this.state.tscKhz;
  }

  /** What a vCPU writes to have the wall clock written. */
  askWallClock(gpa: bigint): MsrWrite {
    this.#wallClockGpa = gpa;
    return { index: MSRS.MSR_KVM_WALL_CLOCK_NEW, data: gpa };
  }

  /**
   * Realtime by the wall clock last written and the clock now.
   *
   * @returns ns; undefined when either is being written.
   */
  wallClock(vcpu: number, tsc: bigint): bigint | undefined {
    const now = this.read(vcpu, tsc);
    this.#step('READ_WALL_CLOCK', vcpu);
    if (now === undefined || (this.#wallClock().version & 1) !== 0) return undefined;
    const { wallClockSec, wallClockNsec } = this.state;
    return addU64(now, BigInt(wallClockSec) * NSEC_PER_SEC + BigInt(wallClockNsec));
  }

  /** A watchdog's timer fires on a vCPU. @returns whether it overlooks the time since the last. */
  watchdog(vcpu: number): boolean {
    const { watchdog, touches } = this.state;
    this.#step('WATCHDOG', vcpu);
    return watchdog === 'touched' || this.state.touches !== touches;
  }

  /**
   * A vCPU has a steal clock from now on: what it writes for KVM's; Xen's is placed by the VMM.
   *
   * @throws RangeError for a vCPU beyond those whose steal time is accounted.
   */
  enableSteal(vcpu: number, gpa: bigint, by: StealClock = 'kvm'): MsrWrite {
    checkCpu(vcpu);
    this.#steals.set(vcpu, [by, gpa]);
    this.#step('ENABLE_STEAL', vcpu);
    return { index: MSRS.MSR_KVM_STEAL_TIME, data: gpa | ENABLE };
  }

  /**
   * A tick of a vCPU accounts what was stolen from it.
   *
   * @param tickNs - time since its last tick, ns.
   * @returns what it reported as stolen, ns; undefined while the record is being written.
   * @throws RangeError as `enableSteal`.
   */
  tick(vcpu: number, tickNs: bigint): bigint | undefined {
    checkCpu(vcpu);
    const stealClockNs = this.#stealClock(vcpu);
    if (stealClockNs === undefined) return undefined;
    const before = this.state.stolenNs.get(vcpu);
    this.#step('TICK', vcpu, 0n, { stealClockNs, tickNs });
    return subU64(this.state.stolenNs.get(vcpu), before);
  }

  /** What a vCPU's steal clock reads, ns; undefined while it is being written. */
  #stealClock(vcpu: number): bigint | undefined {
    const [by, gpa] = this.#steals.get(vcpu) ?? ['kvm', 0n];
    const { buffer } = this.#memory.read(gpa, STEAL_BYTES);
    const view = new DataView(buffer);
    if (by === 'kvm') {
      return (view.getUint32(8, true) & 1) === 0 ? view.getBigUint64(0, true) : undefined;
    }
    const isBeingWritten = (view.getUint8(15) & 0x80) !== 0;
    // Waiting for a CPU, and offline.
    const stolen = addU64(view.getBigUint64(24, true), view.getBigUint64(40, true));
    return isBeingWritten ? undefined : stolen;
  }

  /**
   * A CPU is brought up: its TSC is compared with that of the one that does so.
   *
   * @param tsc - its own TSC, cycles.
   * @param sourceTsc - the other one's, read just before.
   * @returns what it writes to TSC_ADJUST; undefined for nothing.
   * @throws RangeError for a vCPU beyond those whose TSC_ADJUST is kept.
   */
  bringUp(vcpu: number, tsc: bigint, sourceTsc: bigint): MsrWrite | undefined {
    checkCpu(vcpu);
    this.#step('BRING_UP', vcpu, tsc, { sourceTsc });
    if (this.state.tscSync !== 'adjusted') return undefined;
    return { index: MSRS.IA32_TSC_ADJUST, data: this.state.tscAdjust.get(vcpu) };
  }

  /** The guest suspends; its clock keeps nothing. */
  suspend(): void {
    this.#step('SUSPEND', 0);
  }

  /** It resumes: what its first vCPU writes. */
  resume(vcpu = 0): MsrWrite {
    this.#step('RESUME', vcpu);
    return { index: MSRS.MSR_KVM_SYSTEM_TIME_NEW, data: this.#pageOf(vcpu) | ENABLE };
  }

  /** A vCPU's page as it is in memory now. */
  page(vcpu: number): ReturnType<typeof decodePvclockPage> {
    return decodePvclockPage(this.#memory.read(this.#pageOf(vcpu), PVCLOCK_PAGE_BYTES));
  }

  #pageOf(vcpu: number): bigint {
    const gpa = this.#pages.get(vcpu);
    if (gpa === undefined) throw new RangeError(`expected a vCPU with a page, found vCPU ${vcpu}`);
    return gpa;
  }

  #step(
    signal: GuestSignal,
    vcpu: number,
    tsc = 0n,
    told: Partial<Pick<GuestCtx, 'stealClockNs' | 'tickNs' | 'sourceTsc'>> = {},
  ): void {
    this.#cell.step(signal, {
      tsc,
      cpu: vcpu,
      ...{ stealClockNs: 0n, tickNs: 0n, sourceTsc: 0n, ...told },
      page: decodePvclockPage(this.#memory.read(this.#pages.get(vcpu) ?? 0n, PVCLOCK_PAGE_BYTES)),
      wallClock: this.#wallClock(),
      withWatchdog: this.#reading.by === 'clocksource',
      clearStopped: () => {
        this.#clearStopped(vcpu);
      },
    });
  }

  #wallClock(): GuestWallClock {
    const { buffer } = this.#memory.read(this.#wallClockGpa, WALL_CLOCK_BYTES);
    const view = new DataView(buffer);
    return {
      version: view.getUint32(0, true),
      sec: view.getUint32(4, true),
      nsec: view.getUint32(8, true),
    };
  }

  #clearStopped(vcpu: number): void {
    const gpa = this.#pageOf(vcpu);
    const flags = this.#memory.read(gpa + FLAGS_AT, 1)[0]! & ~PVCLOCK_GUEST_STOPPED;
    this.#memory.write(gpa + FLAGS_AT, Uint8Array.of(flags));
    this.#clearsStopped?.(vcpu);
  }
}
