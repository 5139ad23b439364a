/**
 * The host's TSC at an event.
 *
 * A recording stamped with x86-tsc carries it. With any other clock it is derived from the pages: a
 * page without the masterclock holds the TSC of its own making, one with it the TSC of the last
 * masterclock update, and the page's scale says how fast the TSC runs. Such a TSC is late by the
 * time between the read and the event, some microseconds: enough to tell which side of a reference a
 * reading lies on, and all a jump needs where page and offset keep their rate.
 */

import { hvclockToHz, NSEC_PER_SEC, scaleDelta, timeScale } from '../src/num/index.ts';
import type { TraceClock } from './formats/recording.ts';
import type { Page } from './guest-clock.ts';
import { isStable } from './guest-clock.ts';
import type { Vcpu } from './identity/vm.ts';

/** Far above any TSC, far below what arithmetic in Hz can't take. */
const MOST_HZ = 1n << 40n;

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
  #anchor: Anchor | undefined;
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
    const offset = vcpu.clock.tscOffset;
    if (offset === undefined) return;
    const tsc = BigInt.asUintN(64, page.tscTimestamp - offset);
    // A page's TSC was read before the event that reports the page: whole numbers that are smaller
    // are no TSC (trace clocks `counter` and `uptime` print whole numbers too).
    if (this.#unit === 'tsc' && this.#unnamed && tsc > ticks) this.#unit = 'order';
    if (this.#unit === 'tsc') return;
    const taken = isStable(page) ? vcpu.vm.lastRecompute?.timestamp : ticks;
    const hz = scaledHz(page.tscToSystemMul, page.tscShift);
    if (taken === undefined || hz === undefined) return;
    this.#anchor = { tsc, ticks: taken, cycles: timeScale(hz, NSEC_PER_SEC) };
  }

  /** Host TSC at `ticks`, cycles; `undefined` where nothing tells it yet. */
  tsc(ticks: bigint): bigint | undefined {
    if (this.#unit === 'tsc') return ticks;
    const anchor = this.#anchor;
    if (anchor === undefined || this.#unit === 'order') return anchor?.tsc;
    const { mul, shift } = anchor.cycles;
    const elapsed = ticks - anchor.ticks;
    const cycles = scaleDelta(elapsed < 0n ? -elapsed : elapsed, mul, shift);
    return BigInt.asUintN(64, elapsed < 0n ? anchor.tsc - cycles : anchor.tsc + cycles);
  }

  /** ns of the trace clock, or since the host's TSC was 0; `undefined` before the first page. */
  ns(ticks: bigint): bigint | undefined {
    if (this.#unit === 'ns') return ticks;
    const scale = this.#scale;
    if (this.#unit === 'order' || scale === undefined) return undefined;
    return scaleDelta(ticks, scale.tscToSystemMul, scale.tscShift);
  }
}

/** TSC frequency that a page's multiplier and shift stand for, Hz; `undefined` if they can't. */
export function scaledHz(mul: number, shift: number): bigint | undefined {
  if (mul === 0) return undefined;
  const hz = hvclockToHz(mul, shift);
  return hz > 0n && hz < MOST_HZ ? hz : undefined;
}
