/**
 * Findings of a world: what a log's inputs, or a scenario's, showed of guests' clocks.
 *
 * The observations that a world makes are those that a recording holds, so the same judge and rules
 * find the same things. But a model ran: which input raised a request, what a reference was taken
 * from and how a TSC is scaled are known, and need no guess. Inputs that show nothing, which are
 * nearly all, are let go at once.
 */
import type { Input, InputOf, InputRows, Observation, ObservationOf } from '../../events/index.ts';
import { checkTscUnstable } from '../../src/clock/index.ts';
import type { Dispatched, World } from '../../src/engine/index.ts';
import { asU64 } from '../../src/num/index.ts';
import type { Cause } from '../causes.ts';
import { Agreement } from '../findings/agreement.ts';
import type { Finding } from '../findings/finding.ts';
import { MasterclockWatch } from '../findings/masterclock.ts';
import type { Reference } from '../findings/reference.ts';
import { DEFAULT_THRESHOLDS, type Thresholds } from '../findings/severity.ts';
import type { VmSummary } from '../identity/vm.ts';
import { Judge } from '../judge.ts';
import { driftOf } from './drift.ts';
import { type FollowedVcpu, FollowedVm } from './followed.ts';
import { knownOf, WorldClock } from './known.ts';
import { masterReference, referenceAt, updateTsc } from './reference-at.ts';
import { isAboutClocks, SILENT, SILENT_OR_ENTRY } from './relevant.ts';
import { causeOf } from './trigger.ts';

/** What decides which findings there are. */
export interface WorldFindingsOptions {
  /** Steps smaller than this are not reported, ns. Default 1. */
  readonly minNs?: bigint;
  /** Report only findings of the VM with this id (and those of no VM). */
  readonly vm?: string;
  readonly thresholds?: Thresholds;
}

type Page = ObservationOf<'kvm_pvclock_update'>;

/** VMs that are gone and still listed. */
const MOST_GONE = 1000;

/** Follows a world input by input. */
export class WorldFindings {
  /** Pages that were written so far. */
  pages = 0;
  readonly #vms = new Map<number, FollowedVm>();
  readonly #gone: VmSummary[] = [];
  #goneCount = 0;
  /** vCPUs whose clock is not the one they last ran with. */
  readonly #changed = new Set<FollowedVcpu>();
  readonly #masterclock: MasterclockWatch;
  readonly #agreement: Agreement;
  readonly #judge: Judge;
  readonly #report: (finding: Finding) => void;
  #isBlind = false;
  readonly #clock = new WorldClock();

  constructor(options: WorldFindingsOptions, report: (finding: Finding) => void) {
    const { minNs = 1n, thresholds = DEFAULT_THRESHOLDS, vm: only } = options;
    this.#report = (finding) => {
      if (only === undefined || finding.vm === undefined || finding.vm.id === only) report(finding);
    };
    this.#masterclock = new MasterclockWatch(this.#report);
    this.#agreement = new Agreement(this.#clock, thresholds, this.#report);
    const rules = {
      masterclock: this.#masterclock,
      agreement: this.#agreement,
      knowledge: knownOf((vcpu) => this.#vms.get(Number(vcpu.vm.id))!.vcpus.get(vcpu.id)!),
    };
    this.#judge = new Judge(this.#clock, { minNs, thresholds }, rules, this.#report);
  }

  /** Entries at which a changed clock could be compared with the one before. */
  get compared(): number {
    return this.#judge.compared;
  }

  get vmCount(): number {
    return this.#goneCount + this.#vms.size;
  }

  /** The VMs there are, and of those that are gone the first 1,000. */
  get vms(): readonly VmSummary[] {
    return [...this.#gone, ...[...this.#vms.values()].map(({ vm }) => vm.summary)];
  }

  /** By code: types whose inputs have to be taken now though they show nothing. */
  get silent(): Uint8Array {
    return this.#changed.size > 0 ? SILENT_OR_ENTRY : SILENT;
  }

  /** Takes in what the input of a row came to, right after it was dispatched. */
  take(world: World, inputs: InputRows, row: number, dispatched: Dispatched): void {
    const { index, observations, masterclock } = dispatched;
    if (observations.length === 0 && this.silent[inputs.codeOf(row)] === 0) return;
    if (this.#isBlind) return;
    const input = inputs.at(row);
    this.#clock.world = world;
    let cause: Cause | undefined;
    for (let i = 0; i < observations.length; i++) {
      const seen = observations[i]!;
      if (!isAboutClocks(seen)) continue;
      cause ??= causeOf(input, index);
      this.#see(world, input, seen, cause, masterclock.by);
    }
    this.#settle(world, input, index);
  }

  #see(world: World, input: Input, seen: Observation, cause: Cause, by: string): void {
    switch (seen.type) {
      case 'kvm_pvclock_update':
        this.#page(world, input, seen);
        break;
      case 'kvm_write_tsc_offset': {
        const v = this.#vm(world, seen.vm).vcpu(seen.vcpuId);
        v.vcpu.vm.moves++;
        this.#changed.add(v);
        v.vcpu.clock.writeOffset(seen.previousTscOffset, seen.nextTscOffset);
        if (seen.previousTscOffset !== seen.nextTscOffset) v.wroteOffset = cause;
        break;
      }
      case 'kvm_update_master_clock':
        if (input.type !== 'KVM_CREATE_VM') this.#recompute(world, input, seen, cause, by);
        break;
      case 'kvmclock_offset':
        if (input.type !== 'KVM_CREATE_VM') this.#vm(world, seen.vm).setBy = cause;
        break;
      case 'request':
        if (seen.vcpu !== undefined) {
          this.#asked(this.#vm(world, seen.vm).vcpu(seen.vcpu), seen.name, input, cause);
        }
        break;
    }
  }

  #vm(world: World, id: number): FollowedVm {
    let found = this.#vms.get(id);
    if (found === undefined) {
      found = new FollowedVm(world.vms.get(id)!);
      this.#vms.set(id, found);
    }
    return found;
  }

  /** Remembers what asked; an update that a vCPU serves hands on what asked for it. */
  #asked(v: FollowedVcpu, name: string, input: Input, cause: Cause): void {
    v.ask(name, this.#askedOfServer(input) ?? cause);
  }

  /** Of a vCPU that serves its requests in this input: what asked for the broadest of them. */
  #askedOfServer(input: Input): Cause | undefined {
    if (input.type !== 'kvm_entry' && input.type !== 'vcpu_requests') return undefined;
    const v = this.#vms.get(input.vm)?.vcpus.get(input.vcpu);
    return v?.askedMasterclock ?? v?.askedGlobal;
  }

  #recompute(
    world: World,
    input: Input,
    seen: ObservationOf<'kvm_update_master_clock'>,
    cause: Cause,
    by: string,
  ): void {
    const followed = this.#vm(world, seen.vm);
    const why = this.#askedOfServer(input) ?? cause;
    followed.vm.moves++;
    followed.vm.beginEpoch({
      timestamp: input.tsc,
      useMasterClock: seen.useMasterClock,
      hostClock: seen.hostClock,
      offsetMatched: seen.offsetMatched,
      cause: why,
      ...(seen.useMasterClock ? {} : { offBy: by.replace(/^off: /, '') }),
    });
    followed.reference = masterReference(world, followed, why);
  }

  #page(world: World, input: Input, seen: Page): void {
    const followed = this.#vm(world, seen.vm);
    const v = followed.vcpu(seen.vcpuId);
    const { version, tscTimestamp, systemTime, tscToSystemMul, tscShift, flags } = seen;
    this.pages++;
    followed.vm.pages++;
    this.#changed.add(v);
    v.vcpu.clock.writePage({ version, tscTimestamp, systemTime, tscToSystemMul, tscShift, flags });
    v.vcpu.pageEpoch = followed.vm.epoch;
    v.updatedBy = v.askedClock;
    const offsetNs = followed.state.kvmclockOffset;
    if (followed.reference?.offsetNs !== offsetNs && followed.reference !== undefined) {
      followed.reference = { ...followed.reference, offsetNs, setBy: followed.setBy };
    }
    v.reference = followed.reference ?? this.#ownReference(world, input, followed, v, seen);
  }

  /** A page that is written without masterclock has a reference of its own. */
  #ownReference(
    world: World,
    input: Input,
    followed: FollowedVm,
    { askedClock }: FollowedVcpu,
    { systemTime }: Page,
  ): Reference {
    const cause = this.#askedOfServer(input) ?? askedClock;
    const kernelNs = asU64(systemTime - followed.state.kvmclockOffset);
    const at = { hostTsc: updateTsc(input), kernelNs };
    return referenceAt(world, followed, at, world.switches.otherBase, cause);
  }

  /** What is in force after an input. */
  #settle(world: World, input: Input, index: number): void {
    switch (input.type) {
      case 'resume':
      case 'cpu_online':
        this.#loseTsc(world);
        break;
      case 'KVM_CREATE_VM':
        this.#vm(world, input.vm);
        break;
      case 'destroy_vm':
        this.#forget(input.vm);
        break;
      case 'kvm_entry':
        this.#enter(this.#vm(world, input.vm), input);
        break;
      case 'vcpu_requests':
        this.#vm(world, input.vm).vcpu(input.vcpu).served();
        break;
      case 'KVM_CREATE_VCPU':
      case 'KVM_SET_TSC_KHZ': {
        const v = this.#vm(world, input.vm).vcpu(input.vcpu);
        v.vcpu.clock.born ||= input.type === 'KVM_CREATE_VCPU';
        if (!v.takeScale(world.host.tscScalingRatioFracBits)) break;
        v.wroteOffset = causeOf(input, index);
        this.#changed.add(v);
        break;
      }
      case 'wrmsr':
      case 'KVM_SET_MSRS':
      case 'vcpu_reset':
        this.#turnOff(this.#vm(world, input.vm).vcpu(input.vcpu));
        break;
      case 'guest_clears_stopped':
        this.#vm(world, input.vm).vcpu(input.vcpu).vcpu.clock.clearStopped();
        break;
    }
  }

  #turnOff(v: FollowedVcpu): void {
    if (v.turnOff()) this.#changed.add(v);
  }

  #enter(followed: FollowedVm, { vcpu, tsc }: InputOf<'kvm_entry'>): void {
    const v = followed.vcpu(vcpu);
    v.served();
    if (!v.runs || !this.#changed.delete(v)) return;
    if (followed.last !== undefined) followed.last.vcpu.running = followed.last.runs;
    this.#judge.enter(v.vcpu, tsc, 'entry');
    followed.last = v;
    v.seenReference = v.reference;
    v.wroteOffset = undefined;
  }

  /**
   * The host's TSC lost time while it slept, which KVM gives back to each vCPU's offset: that the two
   * cancel out is nothing a guest sees.
   */
  #loseTsc({ host, switches }: World): void {
    const lost = checkTscUnstable(host, switches) ? 0n : host.tscDeficit;
    if (lost === 0n) return;
    this.#clock.lostTsc += lost;
    for (const followed of this.#vms.values()) followed.loseTsc(lost);
  }

  #forget(id: number): void {
    const followed = this.#vms.get(id);
    if (followed === undefined) return;
    this.#vms.delete(id);
    this.#goneCount += 1;
    if (this.#gone.length < MOST_GONE) this.#gone.push(followed.vm.summary);
    for (const v of followed.vcpus.values()) this.#changed.delete(v);
    this.#masterclock.forget(followed.vm);
    this.#agreement.forget(followed.vm);
  }

  /** Inputs are missing: nothing is known until `restored`. */
  lose(tsc: bigint, lost: bigint, reason: string): void {
    this.#isBlind = true;
    this.#judge.gap(tsc, lost, reason);
    for (const { vcpus } of this.#vms.values()) {
      for (const { vcpu } of vcpus.values()) vcpu.clock.loseTrack();
    }
  }

  /** A checkpoint told what `world` is like after inputs were lost. */
  restored(world: World): void {
    this.#isBlind = false;
    this.#clock.world = world;
    for (const id of [...this.#vms.keys()]) {
      if (!world.vms.has(id)) this.#forget(id);
    }
    for (const of of world.vms.values()) {
      const followed = this.#vm(world, of.id);
      followed.resume(of, world.host.tscScalingRatioFracBits);
      followed.reference = masterReference(world, followed, undefined);
      for (const v of followed.vcpus.values()) {
        v.reference = followed.reference;
        this.#changed.add(v);
      }
    }
  }

  /** All findings so far were handed out: none of them can be changed any more. */
  release(): void {
    this.#masterclock.release();
  }

  /** Nothing follows: what the next masterclock update of each VM would step by. */
  finish(): void {
    const { world } = this.#clock;
    if (world === undefined || this.#isBlind) return;
    for (const followed of this.#vms.values()) {
      const { host, lastTsc, switches } = world;
      const drift = driftOf(followed, host, switches.masterBase, lastTsc, this.#clock);
      if (drift !== undefined) this.#report(drift);
    }
  }
}
