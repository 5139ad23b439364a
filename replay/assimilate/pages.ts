/**
 * A pvclock page as recorded, against the one that the model has made, and what it tells of the VM's
 * clock where that was not known.
 */
import { PVCLOCK_TSC_STABLE_BIT } from '../../src/num/index.ts';
import type { Page } from '../guest-clock.ts';
import { type Around, isWatched, showOtherwise } from './around.ts';
import type { When } from './driver.ts';
import type { KnownVcpu } from './known.ts';
import { PageTimes } from './page-times.ts';
import { khzOfScale } from './scale.ts';
import type { Predicted } from './tracepoints.ts';

type PredictedPage = Extract<Predicted, { type: 'kvm_pvclock_update' }>;

interface Difference {
  readonly expected: string;
  readonly found: string;
}

/** Fields of one page as they are compared. */
export class Comparison {
  #differences: readonly Difference[] | undefined;
  /** Fields whose value the model knew. */
  judged = 0;

  /** A field: counted when the model knew it, and a difference when it is another then. */
  field(name: string, known: boolean, expected: unknown, found: unknown): void {
    if (!known) return;
    this.judged += 1;
    if (expected === found) return;
    const difference = { expected: `${name} ${expected}`, found: `${name} ${found}` };
    this.#differences = [...(this.#differences ?? []), difference];
  }

  get differs(): boolean {
    return this.#differences !== undefined;
  }

  get expected(): string {
    return (this.#differences ?? []).map(({ expected }) => expected).join(', ');
  }

  get found(): string {
    return (this.#differences ?? []).map(({ found }) => found).join(', ');
  }
}

/** The kernels that trace odd versions, and those that trace even ones. */
const ODD = {
  how: 'odd page versions',
  switches: { pvTraceVersionParity: 'odd', pvPageWrite: 'three-writes' },
} as const;
const EVEN = {
  how: 'even page versions',
  switches: { pvTraceVersionParity: 'even', pvPageWrite: 'or-one' },
} as const;

export class Pages {
  readonly #around: Around;
  readonly #times: PageTimes;

  constructor(around: Around) {
    this.#around = around;
    this.#times = new PageTimes(around);
  }

  /** Compares a page with the predicted one, if there is any, and takes over what it shows. */
  see(known: KnownVcpu, page: Page, when: When, predicted: PredictedPage | undefined): void {
    const { books } = this.#around;
    const compared = new Comparison();
    this.#version(known, page, predicted, compared);
    const scaleIsNew = this.#scale(known, page, when, compared);
    this.#flags(known, page, compared);
    const inferred = this.#times.compare(known, page, when, compared) || scaleIsNew;
    this.#adopt(known, page, predicted);
    if (compared.differs) this.#diverge(known, when, compared);
    else if (compared.judged === 0) books.unknown += 1;
    else if (inferred || predicted === undefined) books.inferred += 1;
    else books.predicted += 1;
  }

  #diverge({ vcpu }: KnownVcpu, { ticks }: When, { expected, found }: Comparison): void {
    const what = 'a pvclock page is not as KVM would make it';
    this.#around.books.diverge({ vm: vcpu.vm, vcpu, ticks, what, expected, found });
  }

  /** Each kernel traces the version at one point of the update, where it is odd, or even. */
  #version(
    known: KnownVcpu,
    { version }: Page,
    predicted: PredictedPage | undefined,
    compared: Comparison,
  ): void {
    const { chosen, driver, sees } = this.#around;
    const odd = (version & 1) === 1;
    const found = odd ? ODD : EVEN;
    const { pvTraceVersionParity: parity } = found.switches;
    if (parity === driver.switches.pvTraceVersionParity) {
      chosen.confirm('pvTraceVersionParity', found.how);
    } else showOtherwise(this.#around, 'pvTraceVersionParity', found.switches, found.how);
    const expected = driver.switches.pvTraceVersionParity;
    compared.field('version parity', true, expected, parity);
    const continues = known.page && !known.xen && parity === expected && sees.msrs;
    compared.field('version', continues && predicted !== undefined, predicted?.version, version);
  }

  /** @returns the scale was not known before. */
  #scale(known: KnownVcpu, page: Page, when: When, compared: Comparison): boolean {
    const { host, driver } = this.#around;
    const { tscToSystemMul: mul, tscShift: shift } = page;
    const { pvScaleUnit } = driver.switches;
    if (pvScaleUnit === 'hz' || pvScaleUnit === 'hz-u32') return true;
    const khz = khzOfScale(mul, shift);
    if (khz === undefined) {
      const mine = known.page ? `${known.state.pageMul}` : 'that of a whole number of kHz';
      compared.field('tsc_to_system_mul', true, mine, `${mul} (tsc_shift ${shift})`);
      return false;
    }
    if (known.scaled || known.vcpu.scaled) return true;
    const seen = host.seeKhz(khz, when.cpu);
    if (seen === 'new') return true;
    // A stale copy is made anew when its CPU comes online; nothing records that.
    if (seen === 'other' && driver.switches.tscKhzSource === 'per-cpu') return true;
    if (seen === 'other' && !isWatched(this.#around, known.of)) return true;
    compared.field(
      'tsc_to_system_mul',
      true,
      seen === 'same' ? mul : known.state.pvclockTscMul,
      mul,
    );
    return false;
  }

  #flags(known: KnownVcpu, { flags }: Page, compared: Comparison): void {
    const { of } = known;
    const stable = (flags & PVCLOCK_TSC_STABLE_BIT) !== 0;
    const on = of.state.masterclock === 'on';
    const { sees, driver } = this.#around;
    if (of.decision && sees.updates) {
      const { stableBit } = driver.switches;
      const isPlain = stableBit === 'masterclock' && !known.xen;
      compared.field('TSC_STABLE', isPlain, on ? 'set' : 'clear', stable ? 'set' : 'clear');
      return;
    }
    of.decision = true;
    if (on !== stable) of.state.masterclock = stable ? 'on' : 'off.unmatched';
  }

  /** The page is as recorded from here on. */
  #adopt(known: KnownVcpu, page: Page, predicted: PredictedPage | undefined): void {
    const { state } = known;
    const isOdd = (page.version & 1) === 1;
    const same =
      predicted !== undefined &&
      predicted.version === page.version &&
      predicted.tscToSystemMul === page.tscToSystemMul &&
      predicted.tscShift === page.tscShift &&
      predicted.flags === page.flags &&
      this.#times.follow(known, page);
    known.page = true;
    state.pageVersion = isOdd ? (page.version + 1) >>> 0 : page.version;
    state.pageTscTimestamp = page.tscTimestamp;
    state.pageSystemTime = page.systemTime;
    state.pageMul = page.tscToSystemMul;
    state.pageShift = page.tscShift;
    state.pageFlags = page.flags;
    state.pvclockTscMul = page.tscToSystemMul;
    state.pvclockTscShift = page.tscShift;
    state.lastGuestTsc = page.tscTimestamp;
    if (!same) this.#around.driver.correct('a page as recorded');
  }
}
