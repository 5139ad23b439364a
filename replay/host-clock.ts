/**
 * The host's TSC at an event.
 *
 * A recording stamped with x86-tsc carries it. With any other clock it is derived from the pages: a
 * page without the masterclock holds the TSC of its own making, one with it the TSC of the last
 * masterclock update, and the page's scale says how fast the TSC runs. Such a TSC is late by the
 * time between the read and the event, some microseconds: enough to tell which side of a reference a
 * reading lies on, and all a jump needs where page and offset keep their rate.
 */
import {
  asS64,
  asU64,
  hvclockToHz,
  NSEC_PER_SEC,
  scaleDelta,
  timeScale,
} from '../src/num/index.ts';
import type { TraceClock } from './formats/recording.ts';
import { isStable, type Page, sameScale } from './guest-clock.ts';
import type { Lateness, Vcpu, Vm } from './identity/vm.ts';

/** Far above any TSC, far below what arithmetic in Hz can't take. */
const MOST_HZ = 1n << 40n;
/**
 * Whole numbers this many times smaller than the TSCs in the pages are no TSC (the trace clocks
 * `counter` and `uptime` print whole numbers too); a guest's scaled TSC is never that far away.
 */
const NO_TSC = 64n;
/** So long pages are apart, at least, for a rate to be told, ticks. */
const LEAST_APART_TICKS = 50_000_000n;
/** A rate is told to so many parts. */
const RATE_PARTS = 100n;
/** A TSC is read at most this long before the event that reports it, ns. */
const MOST_LATE_NS = 100_000_000n;

/** By so much at most one page is read later before its event than another. */
const MOST_APART_NS = 1_000_000n;
/** What NTP steers a clock by at most, ticks of `adjtimex` aside. */
const MOST_STEERING_PPM = 500n;
const PARTS = 1_000_000n;

/** A TSC and the trace clock's reading for the same instant. */
interface Anchor {
  readonly tsc: bigint;
  readonly ticks: bigint;
  /** ns → cycles */
  readonly cycles: { readonly shift: number; readonly mul: number };
}

export class HostClock {
  #unit: TraceClock['unit'];
  /** Nobody named the clock: whole numbers may be TSC cycles or just a counter. */
  readonly #unnamed: boolean;
  /** By VM: the TSC of a guest that is scaled is not that of another. */
  readonly #anchors = new WeakMap<Vm, Anchor>();
  /** The first page of each vCPU, while it is in doubt whether whole numbers are TSC cycles. */
  readonly #first = new WeakMap<Vcpu, { readonly tsc: bigint; readonly ticks: bigint }>();
  #lastAnchor: Anchor | undefined;
  #hzPage: Page | undefined;
  #hz: bigint | undefined;
  /** `MOST_LATE_NS` at that frequency, cycles. */
  #mostLate = 0n;
  /** Scale of the first page seen: turns TSC cycles into ns for display. */
  #scale: Page | undefined;

  constructor(clock: TraceClock) {
    this.#unit = clock.unit;
    this.#unnamed = clock.name === undefined;
  }

  get unit(): TraceClock['unit'] {
    return this.#unit;
  }

  /** The TSC is read off the pages rather than recorded. */
  get derived(): boolean {
    return this.#unit !== 'tsc';
  }

  /** A page was written at `ticks`. */
  observe(vcpu: Vcpu, page: Page, ticks: bigint): void {
    this.#scale ??= page;
    const { clock, vm } = vcpu;
    const { lastRecompute, recomputeHolds } = vm;
    const hz = this.#hzOf(page);
    const taken = isStable(page) ? lastRecompute?.timestamp : ticks;
    if (this.#isSupposed && clock.tscOffset !== undefined)
      this.#doubtUnit(page, clock.tscOffset, ticks);
    if (hz === undefined) return;
    // By a clock of ns NTP would seem to move the guest's TSC.
    const tellsLag = this.#unit === 'tsc' && clock.writtenOffset === undefined;
    vcpu.lag = tellsLag ? this.#lateness(vcpu, page, taken ?? ticks, hz)?.cycles : undefined;
    if (taken === undefined) return;
    if (this.#isSupposed) this.#doubtRate(vcpu, page, taken, hz);
    const late = this.#lateness(vcpu, page, taken, hz);
    if (clock.offsetInDoubt && late !== undefined) this.#settleOffset(vcpu, late, hz);
    if (clock.offsetInDoubt) return;
    vcpu.late = late;
    const offset = clock.tscOffset;
    if (offset === undefined || (isStable(page) && !recomputeHolds)) return;
    const tsc = asU64(page.tscTimestamp - offset);
    if (this.#unit === 'tsc') {
      this.#compare(vcpu, tsc, taken);
      return;
    }
    // So it may have seemed while its ticks were taken for cycles.
    if (this.#unnamed) vcpu.scaled = false;
    this.#lastAnchor = { tsc, ticks: taken, cycles: timeScale(hz, NSEC_PER_SEC) };
    this.#anchors.set(vcpu.vm, this.#lastAnchor);
  }

  /** Whole numbers of a clock that nobody named are taken for TSC cycles, until pages show otherwise. */
  get #isSupposed(): boolean {
    return this.#unnamed && this.#unit === 'tsc';
  }

  /** Are these whole numbers no TSC? */
  #doubtUnit(page: Page, offset: bigint, ticks: bigint): void {
    const tsc = asS64(page.tscTimestamp - offset);
    if (tsc > ticks && tsc / NO_TSC > ticks) this.#unit = 'order';
  }

  /**
   * Do these whole numbers pass as nanoseconds do? `trace-cmd report` prints those of some clocks without
   * a point. Then the TSC runs in them as the page says, and not at the rate of one cycle each.
   */
  #doubtRate(vcpu: Vcpu, page: Page, ticks: bigint, hz: bigint): void {
    const tsc = asU64(page.tscTimestamp - (vcpu.clock.writtenOffset ?? 0n));
    const first = this.#first.get(vcpu);
    if (first === undefined) {
      this.#first.set(vcpu, { tsc, ticks });
      return;
    }
    const elapsed = ticks - first.ticks;
    if (elapsed < LEAST_APART_TICKS) return;
    const cycles = asS64(tsc - first.tsc);
    if (isNear(cycles, elapsed)) return;
    if (isNear(cycles, (elapsed * hz) / NSEC_PER_SEC)) this.#unit = 'ns';
  }

  /** By the offset written last, or 0 while none was; a scaled TSC tells nothing of the host's. */
  #lateness(vcpu: Vcpu, page: Page, taken: bigint, hz: bigint): Lateness | undefined {
    const { clock, scaled } = vcpu;
    if (scaled || clock.tscScale !== undefined || this.#unit === 'order') return undefined;
    const at = this.#unit === 'tsc' ? taken : (taken * hz) / NSEC_PER_SEC;
    const tsc = page.tscTimestamp - (clock.writtenOffset ?? 0n);
    return { cycles: asS64(at - tsc), ticks: taken };
  }

  /** After a loss: a page that was read about as late as the one before it is of the same offset. */
  #settleOffset({ clock, late: before }: Vcpu, late: Lateness, hz: bigint): void {
    const isTsc = this.#unit === 'tsc';
    if (before === undefined && !(isTsc && clock.writtenOffset !== undefined)) return;
    const apart = late.cycles - (before?.cycles ?? 0n);
    const apartNs = ((apart < 0n ? -apart : apart) * NSEC_PER_SEC) / hz;
    // A clock of ns may be steered against the TSC.
    const steeredNs =
      isTsc || before === undefined
        ? 0n
        : ((late.ticks - before.ticks) * MOST_STEERING_PPM) / PARTS;
    if (apartNs <= MOST_APART_NS + steeredNs) clock.proveOffset(apartNs);
  }

  /** A page's TSC frequency; nearly all pages have the scale of the one before. */
  #hzOf(page: Page): bigint | undefined {
    if (this.#hzPage === undefined || !sameScale(this.#hzPage, page)) {
      this.#hzPage = page;
      this.#hz = scaledHz(page.tscToSystemMul, page.tscShift);
      this.#mostLate = (MOST_LATE_NS * (this.#hz ?? 0n)) / NSEC_PER_SEC;
    }
    return this.#hz;
  }

  /** Does a page that was taken at host TSC `taken` hold that TSC? */
  #compare(vcpu: Vcpu, tsc: bigint, taken: bigint): void {
    const late = taken - tsc;
    // A ratio of 0 (a vCPU whose frequency was never set) leaves the hardware unscaled.
    vcpu.scaled = tsc !== 0n && (late < 0n || late > this.#mostLate);
  }

  /** Host TSC at `ticks` by what `vm` tells, cycles; `undefined` where nothing tells it yet. */
  tsc(ticks: bigint, vm?: Vm): bigint | undefined {
    if (this.#unit === 'tsc') return ticks;
    const anchor = vm === undefined ? this.#lastAnchor : this.#anchors.get(vm);
    if (anchor === undefined || this.#unit === 'order') return anchor?.tsc;
    const { mul, shift } = anchor.cycles;
    const elapsed = ticks - anchor.ticks;
    const cycles = scaleDelta(elapsed < 0n ? -elapsed : elapsed, mul, shift);
    return asU64(elapsed < 0n ? anchor.tsc - cycles : anchor.tsc + cycles);
  }

  /** ns of the trace clock, or since the host's TSC was 0; `undefined` before the first page. */
  ns(ticks: bigint): bigint | undefined {
    if (this.#unit === 'ns') return ticks;
    const scale = this.#scale;
    if (this.#unit === 'order' || scale === undefined) return undefined;
    return scaleDelta(ticks, scale.tscToSystemMul, scale.tscShift);
  }
}

const isNear = (a: bigint, b: bigint): boolean => {
  const apart = a < b ? b - a : a - b;
  return apart * RATE_PARTS <= b;
};

/** TSC frequency that a page's multiplier and shift stand for, Hz; `undefined` if they can't. */
export function scaledHz(mul: number, shift: number): bigint | undefined {
  if (mul === 0) return undefined;
  const hz = hvclockToHz(mul, shift);
  return hz > 0n && hz < MOST_HZ ? hz : undefined;
}
