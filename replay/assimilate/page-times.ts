/**
 * The two times of a page: a TSC of the guest's and what kvmclock is there.
 *
 * With the masterclock both come from the VM's reference: the host TSC and base clock of its last
 * update, the vCPU's TSC offset and the VM's clock offset. No tracepoint shows the reference; the
 * first page made of it does, and all others must agree with that one to the cycle and the ns.
 */
import { addU64, asS64, PVCLOCK_TSC_STABLE_BIT, subU64 } from '../../src/num/index.ts';
import type { Page } from '../guest-clock.ts';
import { type Around, isWatched, showOtherwise } from './around.ts';
import { excuseUnasked, forgetUnasked } from './doubt.ts';
import type { When } from './driver.ts';
import type { KnownVcpu, KnownVm } from './known.ts';
import type { Comparison } from './pages.ts';

/** A page's two clocks are read one after the other, with interrupts off, ns. */
const MOST_BETWEEN_READS_NS = 100_000_000n;

export class PageTimes {
  readonly #around: Around;

  constructor(around: Around) {
    this.#around = around;
  }

  /** @returns something had to be taken from the page. */
  compare(known: KnownVcpu, page: Page, when: When, compared: Comparison): boolean {
    const { host } = this.#around;
    if (known.scaled || known.vcpu.scaled || host.tscUnstable) {
      return this.#scaledTime(known, page, compared);
    }
    if ((page.flags & PVCLOCK_TSC_STABLE_BIT) === 0) return this.#own(known, page, when, compared);
    const tscIsTaken = this.#referenceTsc(known, page, when, compared);
    return this.#referenceNs(known, page, when, compared) || tscIsTaken;
  }

  /** Whether what is known now, this page taken into account, makes a page with its times. */
  follow({ of, state }: KnownVcpu, { flags, tscTimestamp, systemTime }: Page): boolean {
    if ((flags & PVCLOCK_TSC_STABLE_BIT) === 0) return true;
    const tsc = addU64(of.state.masterCycleNow, state.l1TscOffset);
    return tsc === tscTimestamp && clockOf(of.state) === systemTime;
  }

  /** The TSC of such a page says nothing of the host's, but its time is that of its siblings. */
  #scaledTime({ of, xen }: KnownVcpu, page: Page, compared: Comparison): boolean {
    const stable = (page.flags & PVCLOCK_TSC_STABLE_BIT) !== 0;
    if (!stable || !of.referenceNs || xen) return true;
    compared.field('system_time', true, clockOf(of.state), page.systemTime);
    return true;
  }

  /**
   * The host TSC of the reference.
   *
   * @returns it had to be taken from this page.
   */
  #referenceTsc(known: KnownVcpu, page: Page, { ticks }: When, compared: Comparison): boolean {
    const { of, state } = known;
    const { driver, sees } = this.#around;
    if (!sees.updates || !sees.offsets) of.referenceTsc = false;
    if (of.referenceTsc && of.relative && known.tscOffset === 'known') {
      driver.rebase(
        of,
        subU64(subU64(page.tscTimestamp, state.l1TscOffset), of.state.masterCycleNow),
      );
      return true;
    }
    if (of.referenceTsc && known.tscOffset !== 'unknown') {
      const expected = addU64(of.state.masterCycleNow, state.l1TscOffset);
      if (expected === page.tscTimestamp) known.told = '';
      else if (known.told === `${subU64(page.tscTimestamp, expected)}`) {
        state.l1TscOffset = subU64(page.tscTimestamp, of.state.masterCycleNow);
        driver.correct('a TSC offset as its pages have it');
        known.told = '';
        return true;
      } else known.told = `${subU64(page.tscTimestamp, expected)}`;
      compared.field('tsc_timestamp', true, expected, page.tscTimestamp);
      return false;
    }
    if (of.referenceTsc) {
      state.l1TscOffset = subU64(page.tscTimestamp, of.state.masterCycleNow);
      state.tscOffset = state.l1TscOffset;
      known.tscOffset = of.relative ? 'relative' : 'known';
      driver.correct('a TSC offset that was not recorded');
      return true;
    }
    if (known.tscOffset === 'known') driver.forgetRelative(of);
    else if (known.tscOffset === 'unknown') {
      const isBesides = [...of.vm.vcpus.values()].some(
        ({ model }) => model !== undefined && model.tscOffset !== 'unknown',
      );
      if (isBesides) return true;
      state.l1TscOffset = 0n;
      state.tscOffset = 0n;
      known.tscOffset = 'relative';
      of.relative = true;
    }
    const taken = subU64(page.tscTimestamp, state.l1TscOffset);
    if (known.tscOffset === 'known' && this.#around.clock.unit === 'tsc' && taken > ticks) {
      compared.field(
        'tsc_timestamp',
        true,
        `at most ${addU64(ticks, state.l1TscOffset)}`,
        page.tscTimestamp,
      );
    }
    of.referenceTsc = true;
    driver.tellReference(of, taken);
    return true;
  }

  /** The time of the reference. */
  #referenceNs(known: KnownVcpu, page: Page, when: When, compared: Comparison): boolean {
    const { of } = known;
    if (!this.#around.sees.updates) of.referenceNs = false;
    if (of.referenceNs) {
      const expected = clockOf(of.state);
      // Told once; if another page has it too, the reference is what pages say.
      const isTold = of.toldNs === page.systemTime;
      of.toldNs = expected === page.systemTime ? undefined : page.systemTime;
      if (!isTold) compared.field('system_time', true, expected, page.systemTime);
      else this.#tellTime(of, page);
      return isTold;
    }
    // Only a reference whose host TSC is known can be held against the line.
    const judged = of.referenceTsc && this.#byLine(known, page, when, compared);
    of.referenceNs = !compared.differs;
    this.#tellTime(of, page);
    return !judged;
  }

  #tellTime(of: KnownVm, { systemTime }: Page): void {
    const ns = subU64(systemTime, of.state.kvmclockOffset);
    this.#around.driver.tellReference(of, of.state.masterCycleNow, ns);
  }

  /** The base clock's line says what the time should be. @returns whether it was compared. */
  #byLine({ of, vcpu }: KnownVcpu, page: Page, when: When, compared: Comparison): boolean {
    const { host, driver, base, sees } = this.#around;
    if (!host.followsRaw) return false;
    const tsc = of.state.masterCycleNow;
    // Where updates are not recorded, neither are settings of the clock.
    if (!sees.updates) of.clockOffset = 'unknown';
    if (of.clockOffset !== 'known') {
      const ns = host.line.at(tsc);
      if (ns === undefined && !host.beginLine(of)) return false;
      if (ns !== undefined) driver.tellClockOffset(of, asS64(page.systemTime - ns));
      of.clockOffset = 'known';
      if (ns !== undefined) return false;
    }
    const ns = asS64(page.systemTime - of.state.kvmclockOffset);
    const wasConfirmed = host.line.confirmed;
    switch (host.line.place(tsc, ns)) {
      case 'on':
        compared.judged += 1;
        base.on();
        if (of.unasked !== undefined) this.#around.books.diverge(of.unasked);
        of.unasked = undefined;
        if (!wasConfirmed) host.followLine(tsc, ns, when);
        return true;
      case 'learned':
        forgetUnasked(driver.vms);
        return false;
      case 'off': {
        const expected = host.line.at(tsc);
        excuseUnasked(driver.vms);
        if (of.asked && isWatched(this.#around, of)) {
          base.off({
            ...{ vm: vcpu.vm, vcpu, ticks: when.ticks, tsc, ns },
            what: 'kvmclock’s base clock left its line',
            expected:
              expected === undefined
                ? 'MONOTONIC_RAW at the TSC’s frequency'
                : `system_time ${addU64(expected, of.state.kvmclockOffset)}`,
            found: `system_time ${page.systemTime}`,
          });
        } else host.line.move(tsc, ns);
        return false;
      }
    }
  }

  /** Without masterclock a page has an instant of its own. */
  #own(known: KnownVcpu, page: Page, { ticks }: When, compared: Comparison): boolean {
    const { host, driver, clock } = this.#around;
    const { of, state } = known;
    // An offset that is known does not go with a clock offset that goes with supposed ones.
    if (known.tscOffset !== 'known' || of.relative) return true;
    const tsc = subU64(page.tscTimestamp, state.l1TscOffset);
    driver.tellPage(known, tsc, subU64(page.systemTime, of.state.kvmclockOffset));
    if (clock.unit === 'tsc') {
      const { tscTimestamp } = page;
      const most = addU64(ticks, state.l1TscOffset);
      const expected = tsc <= ticks ? tscTimestamp : `at most ${most}`;
      compared.field('tsc_timestamp', true, expected, tscTimestamp);
    }
    const on = host.othersFollowRaw ? host.line.at(tsc) : undefined;
    if (on === undefined) return true;
    const late = asS64(page.systemTime - of.state.kvmclockOffset - on);
    if (of.clockOffset === 'unknown') {
      driver.tellClockOffset(of, asS64(page.systemTime - on));
      of.clockOffset = 'near';
      return true;
    }
    const isSure = of.clockOffset === 'known' && isWatched(this.#around, of);
    if (!host.line.confirmed || !isSure) return true;
    const right = late >= -1n && late <= MOST_BETWEEN_READS_NS;
    if (!right && this.#isSteered()) return true;
    const least = addU64(on, of.state.kvmclockOffset);
    const expected = right ? page.systemTime : `from ${least} on`;
    compared.field('system_time', true, expected, page.systemTime);
    return false;
  }

  /**
   * Where no release says otherwise, pages without masterclock may be of a clock that is steered, as they
   * were until 8171cd68806b (v5.6).
   */
  #isSteered(): boolean {
    const how = 'pages without masterclock that are steered';
    const isAssumed = this.#around.chosen.basis === 'assumed';
    return isAssumed && showOtherwise(this.#around, 'otherBase', { otherBase: 'boottime' }, how);
  }
}

/** The VM's clock at its reference. */
const clockOf = (vm: { masterKernelNs: bigint; kvmclockOffset: bigint }): bigint =>
  addU64(vm.masterKernelNs, vm.kvmclockOffset);
