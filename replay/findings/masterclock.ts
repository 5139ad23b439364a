/**
 * Rules about the masterclock: lost, regained, and how far kvmclock drifts from MONOTONIC_RAW.
 *
 * The guest's view decides: a masterclock is lost when a vCPU that had STABLE enters without it. A
 * VM loses it once, however many vCPUs follow. The first activation is no finding.
 */

import { isTscMode } from '../../src/clock/index.ts';
import { asS64, scaleDelta } from '../../src/num/index.ts';
import type { Recompute } from '../causes.ts';
import { isStable, type Page } from '../guest-clock.ts';
import type { Vcpu, Vm } from '../identity/vm.ts';
import { formatRate, formatSignedNs } from '../quantity.ts';
import { type Finding, makeFinding, type Scene } from './finding.ts';
import type { ClockChange } from './jump.ts';
import { rawResidue } from './raw-residue.ts';
import { type InstantClock, sceneAt } from './scene.ts';

/** What is known of one VM's masterclock. */
interface State {
  /** The finding of its loss, until it is regained; `told` once it can't be changed any more. */
  lost: Finding | 'told' | undefined;
  /** The newest masterclock page and whose it is. */
  newest: { readonly vcpu: Vcpu; readonly page: Page } | undefined;
  /** A new reference did not step by what MONOTONIC_RAW predicts: its rate is not known. */
  contradicted: boolean;
}

/** Cycles over which a rate is stated. */
const RATE_CYCLES = 1n << 50n;
const NS_PER_DAY = 86_400_000_000_000n;

export class MasterclockWatch {
  readonly #report: (finding: Finding) => void;
  readonly #states = new Map<Vm, State>();

  constructor(report: (finding: Finding) => void) {
    this.#report = report;
  }

  /** A vCPU entered with a page; its guest's TSC is not scaled. */
  follow(vcpu: Vcpu, page: Page): void {
    if (isStable(page)) this.#state(vcpu.vm).newest = { vcpu, page };
  }

  /** A vCPU entered with a page that it did not have before. */
  see(vcpu: Vcpu, change: ClockChange, scene: Scene): void {
    const { from, to } = change;
    const state = this.#state(vcpu.vm);
    if (change.pageChanged) measure(state, change);
    if (vcpu.vm.ambiguous || isStable(from) === isStable(to)) return;
    if (isStable(from)) this.#lose(state, vcpu.vm, scene);
    else if (state.lost !== undefined) this.#regain(state, state.lost, vcpu.vm, scene);
  }

  #lose(state: State, vm: Vm, scene: Scene): void {
    if (state.lost !== undefined) return;
    state.lost = makeFinding('masterclock-lost', 'error', scene, {
      cause: whyLost(vm.lastRecompute),
      trigger: vm.lastRecompute?.cause?.trigger,
      reason:
        'STABLE is gone from the page: each vCPU keeps time on its own and the guest has to clamp its readings. It did not come back.',
    });
    this.#report(state.lost);
  }

  #regain(state: State, lost: Finding | 'told', vm: Vm, scene: Scene): void {
    if (lost !== 'told') {
      lost.severity = 'warning';
      lost.reason =
        'STABLE is gone from the page: each vCPU keeps time on its own and the guest has to clamp its readings, until the masterclock comes back.';
    }
    state.lost = undefined;
    this.#report(
      makeFinding('masterclock-regained', 'notice', scene, {
        cause: vm.lastRecompute?.cause?.kind ?? 'a masterclock update',
        reason: 'The page is STABLE again: all vCPUs share one reference.',
        trigger: vm.lastRecompute?.cause?.trigger,
      }),
    );
  }

  /** All findings so far were handed out: none of them can be changed any more. */
  release(): void {
    for (const state of this.#states.values()) {
      if (state.lost !== undefined) state.lost = 'told';
    }
  }

  /** The recording ends at `ticks`: what the next masterclock update of each VM will step by. */
  drift(clock: InstantClock, ticks: bigint): void {
    for (const [vm, state] of this.#states) {
      if (!state.contradicted && !vm.ambiguous) {
        this.#drift(clock, ticks, vm, state);
      }
    }
  }

  #drift(clock: InstantClock, ticks: bigint, vm: Vm, { newest }: State): void {
    if (newest === undefined) return;
    const { vcpu, page } = newest;
    const perCycles = rawResidue(page, RATE_CYCLES);
    if (perCycles === undefined || perCycles === 0n) return;
    const tsc = clock.tsc(ticks, vm);
    const offset = vcpu.clock.tscOffset;
    const pending =
      tsc === undefined || offset === undefined
        ? undefined
        : rawResidue(page, tsc + asS64(offset) - page.tscTimestamp);
    const rate = scaleDelta(RATE_CYCLES, page.tscToSystemMul, page.tscShift);
    if (rate === 0n) return;
    const why = {
      cause: `MONOTONIC_RAW runs ${formatRate(perCycles, rate)} against kvmclock`,
      reason: `That is ${formatSignedNs((perCycles * NS_PER_DAY) / rate)} a day, and it comes out as a step at the next masterclock update (if the page's kHz is the host's tsc_khz).`,
    };
    this.#report(makeFinding('drift', 'info', sceneAt(clock, ticks, vm), why, pending));
  }

  /** The VM is gone: it has no next masterclock update. */
  forget(vm: Vm): void {
    this.#states.delete(vm);
  }

  #state(vm: Vm): State {
    let state = this.#states.get(vm);
    if (state === undefined) {
      state = { lost: undefined, newest: undefined, contradicted: false };
      this.#states.set(vm, state);
    }
    return state;
  }
}

/** A reference followed another: did it step by what MONOTONIC_RAW's rate predicts? */
function measure(state: State, change: ClockChange): void {
  if (!isStable(change.from) || !isStable(change.to)) return;
  const predicted = rawResidue(change.from, change.elapsedCycles);
  if (predicted === undefined) return;
  const rest = change.deltaNs - predicted;
  if (rest > 2n || rest < -2n) state.contradicted = true;
}

function whyLost(recompute: Recompute | undefined): string {
  if (recompute?.offBy !== undefined) return recompute.offBy;
  if (recompute === undefined || recompute.useMasterClock) return 'no masterclock update was seen';
  if (!isTscMode(recompute.hostClock)) {
    return "the host's clocksource is not the TSC";
  }
  if (!recompute.offsetMatched) {
    const by = recompute.cause;
    return by?.vcpu === undefined
      ? "the vCPUs' TSCs no longer match"
      : `the vCPUs' TSCs no longer match, after ${by.kind} on vCPU ${by.vcpu}`;
  }
  return 'the host’s TSC went backwards, or vCPU 0 uses the old kvmclock MSR';
}
