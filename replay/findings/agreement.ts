/**
 * Do the vCPUs of a VM agree?
 *
 * With STABLE all of them read one clock: a guest thread that moves from one vCPU to another must
 * not see time step, so any disagreement counts. Pages are compared within one epoch (since the
 * VM's last masterclock update), between vCPUs that have run in it; a vCPU that has not run yet gets
 * its page when it does. Without STABLE, pages are written at different instants and the guest
 * clamps; then only vCPUs in the guest at the same time are compared, from 1 µs on.
 */
import { asU64 } from '../../src/num/index.ts';
import { guestTscAt, isStable, kvmclockAt, type Page } from '../guest-clock.ts';
import type { Vcpu, Vm } from '../identity/vm.ts';
import { formatNs } from '../quantity.ts';
import { type Finding, makeFinding, type Scene } from './finding.ts';
import { type InstantClock, sceneOf } from './scene.ts';
import { stepSeverity, type Thresholds } from './severity.ts';

/** Two readings of one clock differ by this where references differ: each is rounded down. */
const ROUNDING_NS = 1n;

const size = (n: bigint): bigint => (n < 0n ? -n : n);

export class Agreement {
  readonly #clock: InstantClock;
  readonly #limits: Thresholds;
  readonly #report: (finding: Finding) => void;
  /** The vCPU that entered last with a page of its own, by VM. */
  readonly #lastEntered = new Map<Vm, Vcpu>();
  /** The disagreement last reported of a vCPU, ns. */
  readonly #reported = new WeakMap<Vcpu, bigint>();
  readonly #staleEpochs = new WeakMap<Vcpu, number>();

  constructor(clock: InstantClock, limits: Thresholds, report: (finding: Finding) => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#report = report;
  }

  /** `vcpu` entered at `ticks` with a clock that it did not have before. */
  check(vcpu: Vcpu, ticks: bigint, visibility: Finding['visibility']): void {
    const { vm } = vcpu;
    const other = this.#lastEntered.get(vm);
    this.#lastEntered.set(vm, vcpu);
    if (other === undefined || other.id === vcpu.id || vm.ambiguous || vm !== other.vm) return;
    const mine = readable(vcpu);
    const theirs = readable(other);
    if (mine === undefined || theirs === undefined) return;
    if (!comparable(vcpu, mine, other, theirs)) return;
    const scene = sceneOf(this.#clock, ticks, vcpu, visibility);
    this.#compare({ vcpu, page: mine }, { vcpu: other, page: theirs }, scene);
  }

  #compare(mine: Clock, theirs: Clock, scene: Scene): void {
    const { vcpu, page } = mine;
    const other = theirs.vcpu;
    const tsc = this.#clock.tsc(scene.timestamp, vcpu.vm);
    if (tsc === undefined || vcpu.scaled || other.scaled) return;
    const at = ({ vcpu: { clock }, page }: Clock): bigint =>
      asU64(kvmclockAt(page, guestTscAt(clock, tsc)!));
    const apart = at(mine) - at(theirs);
    const before = this.#reported.get(vcpu) ?? 0n;
    const stable = isStable(page);
    const least = stable ? ROUNDING_NS + 1n : this.#limits.noticeNs;
    if (size(apart) < least || size(apart - before) < least) {
      if (size(apart) < least) this.#reported.delete(vcpu);
      return;
    }
    this.#reported.set(vcpu, apart);
    const why = {
      cause: `against vCPU ${other.id}`,
      reason: `At one host TSC vCPU ${vcpu.id} reads ${formatNs(size(apart))} ${apart < 0n ? 'behind' : 'ahead of'} vCPU ${other.id}, ${stable ? 'and both pages say STABLE' : 'without STABLE, so the guest clamps'}.`,
    };
    // A thread can move either way, so one of its ways is backwards.
    const severity = stepSeverity(-size(apart), stable, this.#limits);
    this.#report(makeFinding('cross-vcpu', severity, scene, why, apart));
  }

  /** `vcpu` enters with a page from before the VM's last masterclock update. */
  checkStale(vcpu: Vcpu, ticks: bigint, visibility: Finding['visibility']): void {
    const { vm } = vcpu;
    if (vm.ambiguous || this.#staleEpochs.get(vcpu) === vm.epoch || vcpu.clock.inDoubt) return;
    this.#staleEpochs.set(vcpu, vm.epoch);
    this.#report(
      makeFinding('stale', 'notice', sceneOf(this.#clock, ticks, vcpu, visibility), {
        cause: 'its page was not rewritten after a masterclock update',
        reason:
          'Every masterclock update makes each vCPU rewrite its page before it enters again; this one entered without. It may have no page any more (a reset turns it off unseen).',
      }),
    );
  }

  /** The VM is gone. */
  forget(vm: Vm): void {
    this.#lastEntered.delete(vm);
  }
}

/** A vCPU's page that can be read. */
interface Clock {
  readonly vcpu: Vcpu;
  readonly page: Page;
}

/** A vCPU's page, if it and its offset are known and in force. */
function readable({ clock }: Vcpu): Page | undefined {
  const { page, tscOffset, dirty, inDoubt } = clock;
  return typeof page === 'object' && tscOffset !== undefined && !dirty && !inDoubt
    ? page
    : undefined;
}

function comparable(vcpu: Vcpu, mine: Page, other: Vcpu, theirs: Page): boolean {
  if (isStable(mine) !== isStable(theirs)) return false;
  if (!isStable(mine)) return other.running && other.exits;
  if (other.entryEpoch !== vcpu.entryEpoch) return false;
  if (vcpu.vm.epochIsSeen) return true;
  // Where updates were not seen, pages show by the host TSC of their reference that they are of one.
  const reference = vcpu.clock.referenceTsc;
  return reference !== undefined && reference === other.clock.referenceTsc;
}
