/** A log's VMs and vCPUs, with what the model tells of them beyond what a recording would show. */
import type { VcpuCell, VmOf } from '../../src/engine/index.ts';
import { defaultTscRatio, type PvclockPage } from '../../src/num/index.ts';
import type { Cause } from '../causes.ts';
import type { Reference } from '../findings/reference.ts';
import type { TscScale } from '../guest-clock.ts';
import { type Vcpu, Vm } from '../identity/vm.ts';

/** A vCPU, and where its page's time comes from. */
export class FollowedVcpu {
  readonly vcpu: Vcpu;
  #cell: VcpuCell;
  /** Of the page there is, and of the one that was in force when it last ran. */
  reference: Reference | undefined;
  seenReference: Reference | undefined;
  /** What asked for the requests that it holds. */
  askedMasterclock: Cause | undefined;
  askedGlobal: Cause | undefined;
  askedClock: Cause | undefined;
  /** What wrote its TSC offset since it last ran. */
  wroteOffset: Cause | undefined;
  /** Why its page was last written. */
  updatedBy: Cause | undefined;

  constructor(vcpu: Vcpu, cell: VcpuCell) {
    this.vcpu = vcpu;
    this.#cell = cell;
    // A world knows when its vCPUs are in the guest.
    vcpu.exits = true;
  }

  get state(): VcpuCell['state'] {
    return this.#cell.state;
  }

  /** It is in the guest now. */
  get runs(): boolean {
    return this.state.run === 'guest';
  }

  /** Something asked it for a request. */
  ask(name: string, by: Cause): void {
    if (name === 'MASTERCLOCK_UPDATE') this.askedMasterclock = by;
    else if (name === 'GLOBAL_CLOCK_UPDATE') this.askedGlobal = by;
    else if (name === 'CLOCK_UPDATE') this.askedClock = by;
  }

  /** It served its requests. */
  served(): void {
    this.askedMasterclock = undefined;
    this.askedGlobal = undefined;
    this.askedClock = undefined;
  }

  /** Takes the scale there is now. @returns whether it is another one. */
  takeScale(fracBits: number): boolean {
    const { clock } = this.vcpu;
    const scale = this.#scale(fracBits);
    if (clock.tscScale?.ratio === scale?.ratio) return false;
    clock.setScale(scale);
    return true;
  }

  /** Takes its page to be off, if that is what it is now. @returns whether it was not before. */
  turnOff(): boolean {
    const { clock } = this.vcpu;
    if (this.state.kvmclock !== 'off' || typeof clock.page !== 'object') return false;
    clock.turnOff();
    return true;
  }

  /** How its TSC is scaled; a ratio of 0, where none was ever set, leaves the hardware unscaled. */
  #scale(fracBits: number): TscScale | undefined {
    const ratio = this.state.l1TscScalingRatio;
    return ratio === 0n || ratio === defaultTscRatio(fracBits) ? undefined : { ratio, fracBits };
  }

  /**
   * After inputs were lost: goes on with what a checkpoint tells. What changed meanwhile shows at the
   * next entry, if versions prove that no page was missed.
   */
  resume(cell: VcpuCell, fracBits: number): void {
    const { clock } = this.vcpu;
    const { kvmclock, l1TscOffset, pageVersion } = cell.state;
    this.#cell = cell;
    clock.loseTrack();
    if (kvmclock === 'off') {
      if (typeof clock.page === 'object') clock.turnOff();
    } else if (typeof clock.page !== 'object' || clock.page.version !== pageVersion) {
      clock.writePage(pageOf(cell.state));
    }
    clock.writeOffset(clock.writtenOffset ?? l1TscOffset, l1TscOffset);
    this.takeScale(fracBits);
  }
}

const earlier = (reference: Reference | undefined, lost: bigint): Reference | undefined =>
  reference && { ...reference, hostTsc: reference.hostTsc - lost };

const pageOf = (state: VcpuCell['state']): PvclockPage => ({
  version: state.pageVersion,
  tscTimestamp: state.pageTscTimestamp,
  systemTime: state.pageSystemTime,
  tscToSystemMul: state.pageMul,
  tscShift: state.pageShift,
  flags: state.pageFlags,
});

/** A VM. */
export class FollowedVm {
  readonly vm: Vm;
  readonly vcpus = new Map<number, FollowedVcpu>();
  /** The masterclock's reference, while it is on. */
  reference: Reference | undefined;
  /** What last set the VM's clock. */
  setBy: Cause | undefined;
  /** The vCPU that last entered with a clock that it did not have before. */
  last: FollowedVcpu | undefined;
  #of: VmOf;

  constructor(of: VmOf) {
    this.#of = of;
    this.vm = new Vm(String(of.id), 'log', '', 0);
  }

  get state(): VmOf['cell']['state'] {
    return this.#of.cell.state;
  }

  /** The host's TSC lost so many cycles: what was reckoned by it is reckoned by the new one. */
  loseTsc(lost: bigint): void {
    this.reference = earlier(this.reference, lost);
    for (const v of this.vcpus.values()) {
      v.reference = earlier(v.reference, lost);
      v.seenReference = earlier(v.seenReference, lost);
      v.vcpu.clock.loseTsc(lost);
    }
  }

  /** After inputs were lost: goes on with the VM of a checkpoint, under its vCPUs too. */
  resume(of: VmOf, fracBits: number): void {
    this.#of = of;
    for (const [id, cell] of of.vcpus) this.vcpu(id).resume(cell, fracBits);
  }

  /** The vCPU of that id; it exists in the world. */
  vcpu(id: number): FollowedVcpu {
    let found = this.vcpus.get(id);
    if (found === undefined) {
      found = new FollowedVcpu(this.vm.vcpu(id), this.#of.vcpus.get(id)!);
      this.vcpus.set(id, found);
    }
    return found;
  }
}
