/**
 * A vCPU's clock as its guest sees it: a pvclock page and a TSC offset.
 *
 * KVM may rewrite both several times while the vCPU is outside the guest; the guest sees only what
 * is in force when it enters again. So there are two views: `current`, what KVM has written last,
 * and `seen`, what was in force when the vCPU last ran. A jump is the difference of the two, both
 * read at one host TSC.
 */
import {
  addU64,
  asS64,
  asU64,
  PVCLOCK_GUEST_STOPPED,
  PVCLOCK_TSC_STABLE_BIT,
  type PvclockPage,
  scaleDelta,
  scaleTsc,
} from '../src/num/index.ts';

export type Page = PvclockPage;

/** What is known of a vCPU's page: its content, `off` when the guest has none, or nothing. */
export type PageState = Page | 'off' | 'unknown';

/** How the hardware scales a guest's TSC: a multiplier with so many fractional bits. */
export interface TscScale {
  readonly ratio: bigint;
  readonly fracBits: number;
}

/** A page and an offset that are in force together. */
export interface ClockView {
  readonly page: PageState;
  /** TSC offset, cycles modulo 2^64; `undefined` until a write of it is seen. */
  readonly tscOffset: bigint | undefined;
  /** `undefined`: not scaled, or by a ratio that is not known. */
  readonly tscScale?: TscScale | undefined;
}

export const sameScale = (a: Page, b: Page): boolean =>
  a.tscToSystemMul === b.tscToSystemMul && a.tscShift === b.tscShift;

const sameTimes = (a: Page, b: Page): boolean =>
  a.tscTimestamp === b.tscTimestamp && a.systemTime === b.systemTime;

export const sameReference = (a: Page, b: Page): boolean => sameTimes(a, b) && sameScale(a, b);

export const isStable = (page: Page): boolean => (page.flags & PVCLOCK_TSC_STABLE_BIT) !== 0;

/** `tsc` lies before the page's reference: the guest's unsigned difference wraps (by years). */
export const wrapsAt = (page: Page, tsc: bigint): boolean =>
  BigInt.asIntN(64, tsc - page.tscTimestamp) < 0n;

/** The page holds a negative time: it reads as 584 years until the 64-bit sum overflows. */
export const isNegative = (page: Page): boolean => BigInt.asIntN(64, page.systemTime) < 0n;

/**
 * kvmclock at a guest TSC, ns: `__pvclock_read_cycles()` with the scaled difference taken modulo
 * 2^64 as the guest does, but the final sum left whole, so that a page that holds a negative time
 * shows as what it is.
 */
export function kvmclockAt(page: Page, guestTsc: bigint): bigint {
  const delta = asU64(guestTsc - page.tscTimestamp);
  return page.systemTime + scaleDelta(delta, page.tscToSystemMul, page.tscShift);
}

export const sameTscScale = ({ tscScale: a }: ClockView, { tscScale: b }: ClockView): boolean =>
  a === b || (a?.ratio === b?.ratio && a?.fracBits === b?.fracBits);

/** A host TSC as the guest's TSC counts it, before its offset. */
export const scaledTsc = (scale: TscScale | undefined, hostTsc: bigint): bigint =>
  scale === undefined ? hostTsc : scaleTsc(hostTsc, scale.ratio, scale.fracBits);

/** The guest's TSC at a host TSC; `undefined` while its offset is unknown. */
export const guestTscAt = (view: ClockView, hostTsc: bigint): bigint | undefined =>
  view.tscOffset === undefined
    ? undefined
    : addU64(view.tscOffset, scaledTsc(view.tscScale, hostTsc));

/**
 * By how much offset and scale moved the guest's TSC at a host TSC, signed cycles; 0 while one of the
 * offsets is unknown.
 */
export function tscChange(from: ClockView, to: ClockView, hostTsc: bigint | undefined): bigint {
  if (from.tscOffset === undefined || to.tscOffset === undefined) return 0n;
  const byOffset = to.tscOffset - from.tscOffset;
  if (hostTsc === undefined || sameTscScale(from, to)) return asS64(byOffset);
  return asS64(byOffset + scaledTsc(to.tscScale, hostTsc) - scaledTsc(from.tscScale, hostTsc));
}

/** The clock of one vCPU through a recording. */
export class GuestClock {
  page: PageState = 'unknown';
  tscScale: TscScale | undefined;
  seenPage: PageState = 'unknown';
  seenScale: TscScale | undefined;
  #offset: bigint | undefined;
  #seenOffset: bigint | undefined;
  /** The offset in force when the page was written. */
  #pageOffset: bigint | undefined;
  /** Something was written since the vCPU last ran. */
  dirty = false;
  /** The vCPU's creation is in the recording, so nothing can have been written before. */
  born = false;
  /** Events were lost since the page was seen: it counts only if versions prove nothing is missing. */
  inDoubt = false;
  /** An offset write after a loss does not continue the one before. */
  #missedOffset = false;
  /** Events were lost since the offset was written: one that was may be among them. */
  offsetInDoubt = false;
  /** So much may be from an offset of which the page after a loss shows no more than that it is near. */
  slackNs = 0n;
  /** The page was written since the vCPU last ran. */
  #fresh = false;
  /** The last page written continues the versions of the one before. */
  #continues = false;

  /** The offset in force; `undefined` while it is in doubt, or no write of it was seen. */
  get tscOffset(): bigint | undefined {
    return this.offsetInDoubt ? undefined : this.#offset;
  }

  /** The same when the vCPU last ran. */
  get seenOffset(): bigint | undefined {
    return this.offsetInDoubt ? undefined : this.#seenOffset;
  }

  /** The offset written last, in doubt or not. */
  get writtenOffset(): bigint | undefined {
    return this.#offset;
  }

  get current(): ClockView {
    return { page: this.page, tscOffset: this.tscOffset, tscScale: this.tscScale };
  }

  get seen(): ClockView {
    return { page: this.seenPage, tscOffset: this.seenOffset, tscScale: this.seenScale };
  }

  /**
   * KVM wrote this page.
   *
   * @returns it may well follow the one before: as its next version, as one that is written beside it
   * in one update, or because the one before is not known for certain.
   */
  writePage(page: Page): boolean {
    const before = this.page;
    if (typeof before !== 'object') {
      this.#continues = false;
    } else if (this.#fresh && sameReference(before, page)) {
      this.page = sameUpdate(before, page);
      return true;
    } else {
      const isSecond = this.inDoubt && this.#fresh;
      this.#continues =
        isNextVersion(before.version, page.version) && (this.#continues || !isSecond);
    }
    this.page = page;
    this.#fresh = true;
    this.dirty = true;
    const isSame = typeof before === 'object' && sameTimes(before, page);
    // What moved the guest's TSC would have moved the page's.
    if (isSame && this.offsetInDoubt) this.proveOffset(0n);
    this.#pageOffset = this.tscOffset;
    return isSame || this.#continues || this.inDoubt || typeof before !== 'object';
  }

  /** The host TSC that the page was made of, while it and its offset are known. */
  get referenceTsc(): bigint | undefined {
    const { page } = this;
    if (typeof page !== 'object' || this.#pageOffset === undefined) return undefined;
    return asU64(page.tscTimestamp - this.#pageOffset);
  }

  /** The page that was reported makes no sense: nothing is known until the next one. */
  forgetPage(): void {
    this.page = 'unknown';
    this.dirty = true;
  }

  /** The guest turned its page off, or moved it. */
  turnOff(): void {
    this.page = 'off';
    this.dirty = true;
  }

  writeOffset(previous: bigint, next: bigint): void {
    if (this.#offset !== previous) {
      if (this.inDoubt) this.#missedOffset = true;
      // Another write is missing, which came before the vCPU last ran, as far as anybody knows.
      if (this.#seenOffset === this.#offset) this.#seenOffset = previous;
    }
    this.#pageOffset ??= previous;
    this.offsetInDoubt = false;
    this.#offset = next;
    this.dirty = true;
  }

  /** The guest's TSC runs at another rate from now on. */
  setScale(scale: TscScale | undefined): void {
    this.tscScale = scale;
    this.dirty = true;
  }

  /**
   * The host's TSC lost so many cycles, which the vCPU's offset will be given: what was in force is
   * as if the TSC had gone on.
   */
  loseTsc(lost: bigint): void {
    if (this.#seenOffset === undefined) return;
    this.#seenOffset = addU64(this.#seenOffset, scaledTsc(this.seenScale, lost));
  }

  /** The guest itself cleared GUEST_STOPPED: nothing that it reads moved. */
  clearStopped(): void {
    this.page = withoutStopped(this.page);
    this.seenPage = withoutStopped(this.seenPage);
  }

  /** Events were lost: what was written meanwhile is not known. */
  loseTrack(): void {
    this.inDoubt = true;
    this.offsetInDoubt = true;
    this.#fresh = false;
    this.#continues = false;
    this.#missedOffset = false;
  }

  /** The offset is what it was, or so near to it that it may account for `slackNs` at most. */
  proveOffset(slackNs: bigint): void {
    this.offsetInDoubt = false;
    this.slackNs = slackNs;
    this.#pageOffset = this.#offset;
  }

  /**
   * After a loss: what has been seen since. `unsettled` until a page is written; then `complete` if
   * versions and offsets prove that nothing was missed, otherwise `missed`.
   */
  settleDoubt(): 'unsettled' | 'complete' | 'missed' {
    if (!this.#fresh) return 'unsettled';
    this.inDoubt = false;
    return this.#continues && !this.#missedOffset && !this.offsetInDoubt ? 'complete' : 'missed';
  }

  /** The vCPU runs with what is current. */
  enter(): void {
    this.seenPage = this.page;
    this.#seenOffset = this.#offset;
    this.slackNs = 0n;
    this.seenScale = this.tscScale;
    this.#fresh = false;
    this.dirty = false;
  }
}

const withoutStopped = (page: PageState): PageState =>
  typeof page === 'object' ? { ...page, flags: page.flags & ~PVCLOCK_GUEST_STOPPED } : page;

/** KVM adds 2 to a page's version at each update, 3 once if a guest left it odd. */
function isNextVersion(before: number, after: number): boolean {
  const step = (after - before) >>> 0;
  return step === 2 || step === 3;
}

/**
 * A page written again with the same reference before its vCPU ran: the kvmclock page once more, with
 * its next version, or one of a Xen guest's further pages, with a version of its own and perhaps
 * without STABLE. The kvmclock page comes first and is the one that is followed; that the guest was
 * stopped is said in the later one.
 */
function sameUpdate(first: Page, again: Page): Page {
  const stopped = (first.flags | again.flags) & PVCLOCK_GUEST_STOPPED;
  const version = isNextVersion(first.version, again.version) ? again.version : first.version;
  return { ...first, version, flags: (first.flags & ~PVCLOCK_GUEST_STOPPED) | stopped };
}
