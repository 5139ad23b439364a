/**
 * What a vCPU's entry into the guest shows: compares the clock it had when it last ran with the one
 * it enters with, and reports what the guest could see of the difference.
 */

import { PVCLOCK_TSC_STABLE_BIT } from '../src/num/index.ts';
import type { Agreement } from './findings/agreement.ts';
import { asCounted, type Circumstances, explain, type Knowledge } from './findings/explain.ts';
import { type Finding, makeFinding, type Scene } from './findings/finding.ts';
import { type ClockChange, clockChange, trusted } from './findings/jump.ts';
import type { MasterclockWatch } from './findings/masterclock.ts';
import { formatCycles } from './findings/rate.ts';
import { type InstantClock, sceneAt, sceneOf } from './findings/scene.ts';
import { stepSeverity, type Thresholds } from './findings/severity.ts';
import { unseenMove } from './findings/unseen-move.ts';
import { printable } from './formats/error.ts';
import { sameScale, tscChange } from './guest-clock.ts';
import { scaledHz } from './host-clock.ts';
import type { Vcpu } from './identity/vm.ts';
import { count, formatRate } from './quantity.ts';

export interface JudgeOptions {
  readonly thresholds: Thresholds;
  /** Smaller steps are not reported, ns. */
  readonly minNs: bigint;
}

/** Where findings go. */
export type Report = (finding: Finding) => void;

const FLAG_NAMES = ['PVCLOCK_TSC_STABLE_BIT', 'PVCLOCK_GUEST_STOPPED', 'PVCLOCK_COUNTS_FROM_ZERO'];

const UNSEEN_MOVE =
  'The recording has no kvm_write_tsc_offset that says by how much, so by how much the guest’s clock moved is unknown. Record all events of KVM (-e kvm).';

const NO_PAGE =
  'Its page is not in the recording, if it has one: by how much the guest’s clock moved is unknown. Start recording before the guest boots, with all events of KVM (-e kvm), and lose none.';
const MAY_HAVE_RUN =
  'The recording has no kvm_entry that shows whether its guest ran before its page followed. If it did, its clock jumped by that much, and by as much back with the page. Record all events of KVM (-e kvm).';

export class Judge {
  /** Entries at which an old clock could be compared with a new one. */
  compared = 0;
  /** Instant at which the host last went to sleep, ticks. */
  lastSuspend: bigint | undefined;
  readonly #clock: InstantClock;
  readonly #options: JudgeOptions;
  readonly #report: Report;
  readonly #masterclock: MasterclockWatch;
  readonly #agreement: Agreement;
  readonly #knowledge: Knowledge;

  constructor(
    clock: InstantClock,
    options: JudgeOptions,
    rules: {
      readonly masterclock: MasterclockWatch;
      readonly agreement: Agreement;
      readonly knowledge: Knowledge;
    },
    report: Report,
  ) {
    this.#clock = clock;
    this.#options = options;
    this.#masterclock = rules.masterclock;
    this.#agreement = rules.agreement;
    this.#knowledge = rules.knowledge;
    this.#report = report;
  }

  /** `vcpu` enters the guest at `ticks` (or, in a recording without entries, may have). */
  enter(vcpu: Vcpu, ticks: bigint, visibility: Finding['visibility']): void {
    const { clock } = vcpu;
    const { dirty } = clock;
    if (dirty) {
      if (!vcpu.ambiguous) this.#compare(vcpu, ticks, visibility);
      clock.enter();
    } else if (typeof clock.page === 'object' && vcpu.pageEpoch !== vcpu.vm.epoch) {
      this.#agreement.checkStale(vcpu, ticks, visibility);
    }
    vcpu.entered(ticks);
    if (dirty && !vcpu.ambiguous) this.#agreement.check(vcpu, ticks, visibility);
  }

  #compare(vcpu: Vcpu, ticks: bigint, visibility: Finding['visibility']): void {
    const { clock } = vcpu;
    const { seen, current } = clock;
    if (typeof current.page !== 'object') {
      this.#withoutPage(vcpu, ticks, visibility);
      return;
    }
    const { scaled } = vcpu;
    if (!scaled) this.#masterclock.follow(vcpu, current.page);
    if (clock.inDoubt) {
      const seenSince = clock.settleDoubt();
      if (seenSince === 'missed') {
        this.#unmeasured(sceneOf(this.#clock, ticks, vcpu, visibility), true);
      }
      if (seenSince === 'unsettled') this.#withoutPage(vcpu, ticks, visibility);
      if (seenSince !== 'complete') return;
    }
    if (seen.page === 'unknown' && !clock.born) {
      this.#unmeasured(sceneOf(this.#clock, ticks, vcpu, visibility), false);
    }
    const hostTsc = scaled ? undefined : this.#clock.tsc(ticks, vcpu.vm);
    const change = clockChange(seen, current, hostTsc);
    if (change === undefined) return;
    this.compared++;
    const scene = sceneOf(this.#clock, ticks, vcpu, visibility);
    const moved = unseenMove(vcpu, change);
    if (moved === 'back') this.#tscMoved(scene, 'back', UNSEEN_MOVE);
    else if (moved !== undefined)
      this.#tscMoved(scene, `by about ${formatCycles(moved)}`, UNSEEN_MOVE);
    else if (this.#isDoubtful(vcpu, change)) this.#unmeasured(scene, true);
    else this.#jump(vcpu, scene, change);
    if (!sameScale(change.from, change.to)) this.#rate(scene, change);
    if (change.from.flags !== change.to.flags) this.#flags(scene, change);
    this.#masterclock.see(vcpu, change, scene);
  }

  /** Its TSC may have moved under a page that the recording does not show. */
  #withoutPage(vcpu: Vcpu, ticks: bigint, visibility: Finding['visibility']): void {
    const { clock } = vcpu;
    const { seen, current } = clock;
    if (current.page === 'off' || (clock.born && !clock.inDoubt)) return;
    const cycles = tscChange(seen, current, undefined);
    if (cycles === 0n) return;
    const scene = sceneOf(this.#clock, ticks, vcpu, visibility);
    this.#tscMoved(scene, `by ${formatCycles(cycles)}`, NO_PAGE);
  }

  /** Without entries: the TSC of `vcpu` was moved at `ticks`, and its page is written only now. */
  mayHaveRun(vcpu: Vcpu, ticks: bigint): void {
    const { seen, current } = vcpu.clock;
    const cycles = tscChange(seen, current, undefined);
    if (cycles === 0n || vcpu.ambiguous || typeof seen.page !== 'object') return;
    const scene = sceneOf(this.#clock, ticks, vcpu, 'unknown');
    this.#tscMoved(scene, `by ${formatCycles(cycles)}`, MAY_HAVE_RUN);
  }

  /** Events are missing at `ticks`: `lost` of them, 0 if nobody knows how many. */
  gap(ticks: bigint, lost: bigint, reason: string): void {
    this.#report(
      makeFinding('gap', 'notice', sceneAt(this.#clock, ticks, undefined), {
        cause: lost > 0n ? `${count(lost, 'event')} lost` : 'events lost',
        reason: `${printable(reason)}. What was known of clocks before no longer holds until their pages are written again.`,
      }),
    );
  }

  #jump(vcpu: Vcpu, scene: Scene, recorded: ClockChange): void {
    const { staleCycles } = vcpu;
    const around: Circumstances = {
      vcpu,
      staleCycles,
      slept: this.#slept(recorded, vcpu),
      knowledge: this.#knowledge,
    };
    const change = asCounted(recorded, around);
    vcpu.staleCycles = change.pageChanged ? 0n : staleCycles + change.offsetCycles;
    const { deltaNs } = change;
    const size = deltaNs < 0n ? -deltaNs : deltaNs;
    if (size === 0n || size < this.#options.minNs) return;
    const rule = change.pageChanged ? 'jump' : 'tsc-jump';
    const severity = change.wraps
      ? 'error'
      : stepSeverity(deltaNs, trusted(change), this.#options.thresholds);
    this.#report(makeFinding(rule, severity, scene, explain(change, around), deltaNs));
  }

  /** After a loss: the step may be no more than an offset of which nothing was seen. */
  #isDoubtful({ clock }: Vcpu, { deltaNs }: ClockChange): boolean {
    const size = deltaNs < 0n ? -deltaNs : deltaNs;
    return size >= this.#options.thresholds.noticeNs && size <= 2n * clock.slackNs;
  }

  /** The host went to sleep after the old page's reference was taken. */
  #slept({ from }: ClockChange, { clock, vm }: Vcpu): boolean {
    if (this.lastSuspend === undefined || clock.seenOffset === undefined) return false;
    const slept = this.#clock.tsc(this.lastSuspend, vm);
    const taken = BigInt.asUintN(64, from.tscTimestamp - clock.seenOffset);
    return slept !== undefined && taken < slept;
  }

  #rate(scene: Scene, { from, to }: ClockChange): void {
    const before = scaledHz(from.tscToSystemMul, from.tscShift);
    const after = scaledHz(to.tscToSystemMul, to.tscShift);
    const by =
      before === undefined || after === undefined
        ? 'to a scale that fits no frequency'
        : `by ${formatRate(after - before, before)}: the page is now for a TSC of ${after} Hz, not ${before} Hz`;
    this.#report(
      makeFinding('rate', 'notice', scene, {
        cause: 'the page was computed from another TSC frequency',
        reason: `Multiplier and shift changed ${by}.`,
      }),
    );
  }

  #flags(scene: Scene, { from, to }: ClockChange): void {
    // STABLE has rules of its own.
    const changed = (from.flags ^ to.flags) & ~PVCLOCK_TSC_STABLE_BIT;
    if (changed === 0) return;
    const names = [0, 1, 2, 3, 4, 5, 6, 7]
      .filter((bit) => (changed >> bit) & 1)
      .map(
        (bit) => `${FLAG_NAMES[bit] ?? `bit ${bit}`} ${(to.flags >> bit) & 1 ? 'set' : 'cleared'}`,
      );
    this.#report(
      makeFinding('flags', 'info', scene, {
        cause: names.join(', '),
        reason: `Flags went from ${from.flags} to ${to.flags}.`,
      }),
    );
  }

  /** `vcpu` can't be told from others that thread `tid` carries, from `ticks` on. */
  mixed(tid: number, vcpu: Vcpu, ticks: bigint): void {
    this.#report(
      makeFinding('unmeasured', 'notice', sceneOf(this.#clock, ticks, vcpu, undefined), {
        cause: `thread ${tid} carries several vCPUs ${vcpu.id}`,
        reason:
          'They are of several VMs that can’t be told apart here, so no jump is reported on them. Record the ioctls too (-e syscalls:sys_enter_ioctl -e syscalls:sys_exit_ioctl).',
      }),
    );
  }

  /** What a move of its TSC came to can't be told. */
  #tscMoved(scene: Scene, how: string, reason: string): void {
    const cause = `its TSC moved ${how}`;
    this.#report(makeFinding('unmeasured', 'notice', scene, { cause, reason }));
  }

  #unmeasured(scene: Scene, lost: boolean): void {
    this.#report(
      makeFinding('unmeasured', 'info', scene, {
        cause: lost ? 'events were lost before it' : 'the first page in this recording',
        reason: lost
          ? 'The page changed while events were lost, so how far the clock moved is unknown. Record with a larger buffer (trace-cmd record -b 20000).'
          : 'What the guest read before this page was written is not in the recording. Start recording before the guest boots, or before what you want to see acts a second time.',
      }),
    );
  }
}
