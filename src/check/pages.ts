/**
 * The pvclock pages as guests find them, each with what it was computed from: two pages are only
 * comparable when both speak of one reference, and while the TSCs they were made for still run.
 */
import type { Input } from '../../events/index.ts';
import type { HostState, VcpuState, VmState } from '../clock/index.ts';
import { l1Rdtsc } from '../clock/index.ts';
import type { Dispatched } from '../engine/index.ts';
import { PVCLOCK_PAGE_BYTES, type PvclockReference, pvclockRead } from '../num/index.ts';
import { vcpuOf, type WorldCopy } from './copy.ts';

/** A page as it was written. */
export interface PageWrite extends PvclockReference {
  readonly vm: number;
  readonly vcpu: number;
  readonly version: number;
  readonly flags: number;
  /** Computed from the masterclock's reference. */
  readonly master: boolean;
  /** Host TSC of the instant that the page speaks of. */
  readonly hostTsc: bigint;
  /** What must be equal in two pages that are to agree: reference and offset of the VM's clock. */
  readonly epoch: string;
  readonly kvmclockOffset: bigint;
  readonly offsBoot: bigint;
  /** The vCPU's TSC as it was. */
  readonly l1TscOffset: bigint;
  readonly l1TscScalingRatio: bigint;
  /** Frequency that the scale was made for, Hz. */
  readonly hwTscHz: bigint;
  /** The page that this one replaced. */
  readonly previous?: PageWrite;
}

/** A clock read of an input, as told or at its instant. */
export function tscRead(
  input: Input,
  name: 'update.tsc' | 'write.tsc' | 'sync.tsc' | 'getClock.tsc',
) {
  const told = input.readings?.[name];
  return typeof told === 'bigint' ? told : (told?.[0] ?? input.tsc);
}

function pageWrite(
  input: Input,
  vm: Readonly<VmState>,
  vcpu: Readonly<VcpuState>,
  host: Readonly<HostState>,
  names: { vm: number; vcpu: number },
): PageWrite {
  const master = vm.masterclock === 'on';
  const reference = master ? `${vm.masterCycleNow}/${vm.masterKernelNs}` : 'own';
  return {
    ...names,
    version: vcpu.pageVersion,
    flags: vcpu.pageFlags,
    tscTimestamp: vcpu.pageTscTimestamp,
    systemTime: vcpu.pageSystemTime,
    tscToSystemMul: vcpu.pageMul,
    tscShift: vcpu.pageShift,
    master,
    hostTsc: master ? vm.masterCycleNow : tscRead(input, 'update.tsc'),
    epoch: `${reference}/${vm.kvmclockOffset}/${host.offsBoot}`,
    kvmclockOffset: vm.kvmclockOffset,
    offsBoot: host.offsBoot,
    l1TscOffset: vcpu.l1TscOffset,
    l1TscScalingRatio: vcpu.l1TscScalingRatio,
    hwTscHz: vcpu.hwTscHz,
  };
}

const keyOf = (vm: number, vcpu: number): string => `${vm}/${vcpu}`;

/** Keeps the pages of a history. */
export class PageLedger {
  readonly #pages = new Map<string, PageWrite>();

  /** Takes in what a step wrote; returns it. */
  note(input: Input, dispatched: Dispatched, after: WorldCopy): PageWrite[] {
    const written: PageWrite[] = [];
    for (const seen of dispatched.observations) {
      // The tracepoint is also hit for Xen's pages.
      if (seen.type !== 'guest_write' || seen.what !== 'pvclock') continue;
      if (seen.vcpu === undefined || seen.bytes.length !== PVCLOCK_PAGE_BYTES) continue;
      const names = { vm: seen.vm, vcpu: seen.vcpu };
      const vm = after.vms.get(seen.vm);
      const vcpu = vm?.vcpus.get(seen.vcpu);
      if (vm === undefined || vcpu === undefined) continue;
      const previous = this.#pages.get(keyOf(seen.vm, seen.vcpu));
      const page = pageWrite(input, vm.state, vcpu, after.host, names);
      this.#pages.set(keyOf(seen.vm, seen.vcpu), page);
      written.push(previous === undefined ? page : { ...page, previous });
    }
    this.#forget(after);
    return written;
  }

  /** Drops the pages that are no more: off, elsewhere, or their VM gone. */
  #forget(after: WorldCopy): void {
    for (const [key, page] of this.#pages) {
      const vcpu = vcpuOf(after, page.vm, page.vcpu);
      const gone = vcpu === undefined || vcpu.life === 'destroyed' || vcpu.kvmclock === 'off';
      if (gone || vcpu.pageVersion !== page.version) this.#pages.delete(key);
    }
  }

  /** The pages as they are. */
  pages(): PageWrite[] {
    return [...this.#pages.values()];
  }
}

/** Whether the vCPU's TSC still is the one that the page was made for, and one KVM reckons with. */
export const isCurrent = (page: PageWrite, vcpu: Readonly<VcpuState>): boolean =>
  page.l1TscScalingRatio !== 0n &&
  page.l1TscOffset === vcpu.l1TscOffset &&
  page.l1TscScalingRatio === vcpu.l1TscScalingRatio;

/** The page as it is in guest memory now. */
export const pageOf = (vcpu: Readonly<VcpuState>): PvclockReference => ({
  tscTimestamp: vcpu.pageTscTimestamp,
  systemTime: vcpu.pageSystemTime,
  tscToSystemMul: vcpu.pageMul,
  tscShift: vcpu.pageShift,
});

/** What a guest reads from its page at a host TSC, ns. */
export const readAt = (
  vcpu: Readonly<VcpuState>,
  host: Readonly<HostState>,
  hostTsc: bigint,
): bigint => pvclockRead(pageOf(vcpu), l1Rdtsc(vcpu, host, hostTsc));
