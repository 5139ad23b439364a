/** A host to begin with: its hardware, and its clocks at one instant. */
import { HostState, isTscMode, MAX_HOST_CPUS } from '../clock/index.ts';
import {
  clocksourceMultShift,
  describeValue,
  S64_MAX,
  S64_MIN,
  SVM_MAX_TSC_RATIO,
  SVM_TSC_FRAC_BITS,
  TSC_TOLERANCE_PPM,
  U64_MAX,
  VMX_MAX_TSC_RATIO,
  VMX_TSC_FRAC_BITS,
} from '../num/index.ts';
import { HOST_RULES } from './host-rules.ts';

/** What a host is like. */
export interface HostOptions {
  /** Frequency of its TSC, kHz. */
  readonly tscKhz: number;
  /** Whose virtualization; default `vmx`. */
  readonly vendor?: 'vmx' | 'svm';
  /** Whether the hardware scales a guest's TSC; default true. */
  readonly hasTscControl?: boolean;
  /** X86_FEATURE_CONSTANT_TSC; default true. */
  readonly constantTsc?: boolean;
  /** The copy of the frequency that KVM took when it was loaded, kHz; default `tscKhz`. */
  readonly cpuTscKhz?: number;
  /**
   * Frequency that new vCPUs get, taken when KVM was loaded, kHz; from v5.19 on only where the TSC is
   * not constant; default `tscKhz`.
   */
  readonly maxTscKhz?: number;
  /** Host CPUs online; default 4. */
  readonly cpus?: number;
  /** Host TSC at which the clocks are given; default 0. */
  readonly tsc?: bigint;
  /** CLOCK_MONOTONIC and CLOCK_MONOTONIC_RAW then, ns; default 0. */
  readonly monotonicNs?: bigint;
  readonly monotonicRawNs?: bigint;
  /** Time slept, ns; default 0. */
  readonly offsBoot?: bigint;
  /** CLOCK_REALTIME − CLOCK_MONOTONIC, ns; default 0. */
  readonly offsReal?: bigint;
  /** vDSO clock mode: 1 tsc (default), 0 none, 2 pvclock, 3 hvclock. */
  readonly vclockMode?: number;
  /** VMX with a preemption timer: it counts once in 2^this cycles (0 … 31); default: none. */
  readonly preemptionTimerRate?: number;
  /** `lapic_timer_advance_ns`, kept as it is; default 0. */
  readonly timerAdvanceNs?: number;
  /** Whether the TSC was found unstable already; default false. */
  readonly tscUnstable?: boolean;
  /** The kvm module's parameter; default true. */
  readonly kvmclockPeriodicSync?: boolean;
  /** The kvm module's parameter; default 250. */
  readonly tscTolerancePpm?: number;
}

/** Largest frequency user space may ask for: what the largest ratio reaches, as an s32. */
function maxGuestTscKhz(tscKhz: number, maxRatio: bigint, fracBits: number): number {
  const reach = (maxRatio * BigInt(tscKhz)) >> BigInt(fracBits);
  return reach > 0x7fff_ffffn ? 0x7fff_ffff : Number(reach);
}

type Whole = number | bigint;

const U32_MAX = 0xffff_ffff;

/** What whole numbers may be; others would wrap and become another host. */
const RANGES: readonly (readonly [name: keyof HostOptions, least: Whole, most: Whole])[] = [
  ['cpus', 1, MAX_HOST_CPUS],
  ['preemptionTimerRate', 0, 31],
  ['vclockMode', 0, 3],
  ['cpuTscKhz', 0, U32_MAX],
  ['maxTscKhz', 0, U32_MAX],
  ['timerAdvanceNs', 0, U32_MAX],
  ['tscTolerancePpm', 0, U32_MAX],
  ['tsc', 0n, U64_MAX],
  ['monotonicNs', 0n, U64_MAX],
  ['monotonicRawNs', 0n, U64_MAX],
  ['offsBoot', S64_MIN, S64_MAX],
  ['offsReal', S64_MIN, S64_MAX],
];

const isWithin = (value: unknown, least: Whole, most: Whole): boolean =>
  (typeof value === 'bigint' || Number.isInteger(value)) &&
  typeof value === typeof least &&
  (value as Whole) >= least &&
  (value as Whole) <= most;

function checkOptions(options: HostOptions): void {
  for (const [name, least, most] of RANGES) {
    const value = options[name];
    if (value === undefined || isWithin(value, least, most)) continue;
    throw new RangeError(`${name}: expected ${least} … ${most}, found ${describeValue(value)}`);
  }
  const { vendor = 'vmx' } = options;
  if (vendor !== 'vmx' && vendor !== 'svm') {
    throw new RangeError(`vendor: expected vmx or svm, found ${describeValue(vendor)}`);
  }
}

/**
 * A host.
 *
 * @throws RangeError for a frequency that no clocksource can be made of, and for what is out of its
 * range: too many CPUs, a clock mode or a preemption timer that there is none of.
 */
export function makeHost(options: HostOptions): HostState {
  checkOptions(options);
  const { tscKhz, vendor = 'vmx', cpus = 4, tsc = 0n } = options;
  const fracBits = vendor === 'vmx' ? VMX_TSC_FRAC_BITS : SVM_TSC_FRAC_BITS;
  const maxRatio = vendor === 'vmx' ? VMX_MAX_TSC_RATIO : SVM_MAX_TSC_RATIO;
  const { mult, shift } = clocksourceMultShift(tscKhz);
  const vclockMode = options.vclockMode ?? 1;
  const host = HostState.of({
    clocksource: isTscMode(vclockMode) ? 'tsc' : 'other',
    tsc: options.tscUnstable === true ? 'unstable' : 'stable',
    vclockMode,
    tscKhz,
    maxTscKhz: options.maxTscKhz ?? 0,
    constantTsc: options.constantTsc ?? true,
    hasTscControl: options.hasTscControl ?? true,
    tscScalingRatioFracBits: fracBits,
    maxTscScalingRatio: maxRatio,
    maxGuestTscKhz: maxGuestTscKhz(tscKhz, maxRatio, fracBits),
    tscTolerancePpm: options.tscTolerancePpm ?? TSC_TOLERANCE_PPM,
    hasPreemptionTimer: options.preemptionTimerRate !== undefined,
    preemptionTimerRate: options.preemptionTimerRate ?? 0,
    timerAdvanceNs: options.timerAdvanceNs ?? 0,
    kvmclockPeriodicSync: options.kvmclockPeriodicSync ?? true,
    monoCycleLast: tsc,
    monoMult: mult,
    monoShift: shift,
    monoBase: options.monotonicNs ?? 0n,
    rawCycleLast: tsc,
    rawMult: mult,
    rawShift: shift,
    rawBase: options.monotonicRawNs ?? 0n,
    offsBoot: options.offsBoot ?? 0n,
    offsReal: options.offsReal ?? 0n,
    cpuTscKhz: new Array<number>(cpus).fill(options.cpuTscKhz ?? tscKhz),
  });
  for (const [field, expected, holds] of HOST_RULES) {
    if (holds(host, host)) continue;
    throw new RangeError(`${field}: expected ${expected}, found ${describeValue(host[field])}`);
  }
  return host;
}
