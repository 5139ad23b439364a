/** A VM: the reference its vCPUs' clocks share, and what its TSCs were last synchronised to. */
import { bool, oneOf, type Struct, s8, s64, struct, u32, u64 } from '../num/index.ts';

/** Global clock updates a VM's loads may ask for in a second (v7.1+): `DEFINE_RATELIMIT_STATE`. */
export const UPDATES_PER_SECOND = 10;

/**
 * The struct of a VM: `struct kvm_arch`, as far as clocks go. u64 cycles and ns wrap.
 *
 * The first fields are the states of the VM's machine; only the engine writes them.
 */
export const VmState = struct('Vm', {
  life: oneOf('absent', 'alive', 'destroyed'),
  masterclock: oneOf('off.unmatched', 'off.hostClock', 'off.backwardsTsc', 'off.oldKvmclock', 'on'),
  hvTscPage: oneOf('unset', 'guestChanged', 'hostChanged', 'set', 'broken'),
  updateWork: oneOf('idle', 'queued'),
  syncWork: oneOf('idle', 'armed'),
  /** ns, added to the base clock. */
  kvmclockOffset: s64,
  /** Base clock of the masterclock reference, ns. */
  masterKernelNs: u64,
  /** Host TSC of the masterclock reference, cycles. */
  masterCycleNow: u64,
  lastTscNsec: u64,
  /** Guest cycles. */
  lastTscWrite: u64,
  lastTscKhz: u32,
  lastTscOffset: u64,
  /** Ratio of the vCPU whose TSC was synchronised last (the KVM clock series). */
  lastTscScalingRatio: u64,
  curTscNsec: u64,
  curTscWrite: u64,
  curTscOffset: u64,
  curTscGeneration: u64,
  /** The synchronisation in progress: value and offset that its vCPU gets, guest cycles. */
  syncTsc: u64,
  syncOffset: u64,
  /** It joined the generation there was. */
  syncMatched: bool,
  /** It changed whether all vCPUs are of one generation. */
  syncChangedMatch: bool,
  /** vCPUs of this generation; the kernel leaves out the one that started it (until series-v6). */
  nrVcpusMatchedTsc: u32,
  /** All vCPUs were of one generation when a TSC was last synchronised. */
  allVcpusMatchedTsc: bool,
  /** All vCPUs have one frequency, as found by a scan or counted at TSC writes. */
  allVcpusMatchedFreq: bool,
  nrVcpusMatchedFreq: u32,
  curTscFreqGeneration: u64,
  /** Frequency that a scan compares the vCPUs' with, kHz. */
  scannedTscKhz: u32,
  /** From host cycles to guest cycles to ns, at the masterclock reference (the series). */
  masterTscScalingRatio: u64,
  masterTscMul: u32,
  masterTscShift: s8,
  createdVcpus: u32,
  onlineVcpus: u32,
  defaultTscKhz: u32,
  userSetTsc: bool,
  backwardsTscObserved: bool,
  bootVcpuRunsOldKvmclock: bool,
  /** Quirks that the VMM has disabled. */
  disabledQuirks: u32,
  /** Start of the second in which loads asked for updates, host cycles; valid with a count. */
  updateWindowTsc: u64,
  /** Updates that loads were granted in it. */
  updatesInWindow: u32,
  /** The MSR HV_X64_MSR_REFERENCE_TSC. */
  hvReferenceTsc: u64,
  hvTscEmulationControl: u64,
  hvReenlightenmentControl: u64,
  hvTscEmulationStatus: u64,
  hvInvtscControl: u64,
  /** Where the reference TSC page was last enabled; its bytes stay there. */
  hvTscGpa: u64,
  hvTscSequence: u32,
  hvTscScale: u64,
  hvTscOffset: s64,
  /** Flags of KVM_XEN_HVM_CONFIG. */
  xenFlags: u32,
  /** Its MSR; with one, vCPUs have runstates instead of steal time. */
  xenMsr: u32,
  /** The guest’s structs are those of 64-bit mode. */
  xenLongMode: bool,
  /** Where Xen’s shared_info page was last placed, and the wall clock in it. */
  xenSharedInfoGpa: u64,
  xenWallClockVersion: u32,
  xenWallClockSec: u64,
  xenWallClockNsec: u32,
  /** The last wall clock written: sec, nsec and version, as in guest memory. */
  wallClockGpa: u64,
  wallClockVersion: u32,
  wallClockSec: u32,
  wallClockNsec: u32,
});

/** A VM. */
export type VmState = Struct<typeof VmState>;
