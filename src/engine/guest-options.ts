/** What a guest is made of, and what is left of it: the data around `Guest`. */
import type { Inspect } from './actor-stepper.ts';

/** What a guest finds when it boots. */
export interface GuestOptions {
  /** CPUID: KVM_FEATURE_CLOCKSOURCE_STABLE_BIT; default true, as KVM has always said. */
  readonly cpuidStableBit?: boolean;
  /** A guest kernel of v4.2, which relies on PVCLOCK_COUNTS_FROM_ZERO; default false. */
  readonly trustsCountsFromZero?: boolean;
  /** CPUID: invariant TSC; default false. */
  readonly invariantTsc?: boolean;
  /** X86_FEATURE_TSC_RELIABLE: TSCs of new CPUs are not compared; default false. */
  readonly tscReliable?: boolean;
  /** CPUID: TSC_ADJUST; default true. */
  readonly cpuidTscAdjust?: boolean;
  /** Where the steal clock leapt it goes on from there (RFC PATCH v3 21/21); default false. */
  readonly stealResync?: boolean;
  /** Told when it clears GUEST_STOPPED in a vCPU's page: the input `guest_clears_stopped`. */
  readonly clearsStopped?: (vcpu: number) => void;
  /** What `persist` of another one told, to go on from there; CPUID is in it. */
  readonly from?: PersistedGuest;
  /** Sees every signal and snapshot of its machine. */
  readonly inspect?: Inspect;
}

/** A guest in JSON: all there is of it. */
export interface PersistedGuest {
  readonly state: Readonly<Record<string, unknown>>;
  readonly memory: Readonly<Record<string, string>>;
  /** vCPU and address of its page, decimal. */
  readonly pages: readonly (readonly [vcpu: number, gpa: string])[];
  /** vCPU, whose steal clock, and address of its record, decimal. */
  readonly steals?: readonly (readonly [vcpu: number, by: StealClock, gpa: string])[];
  readonly wallClockGpa: string;
  readonly reading: { readonly vcpu: number; readonly by: GuestReader };
}

/** A write to an MSR that a guest asks for; fields of the inputs `wrmsr` and `KVM_SET_MSRS`. */
export interface MsrWrite {
  readonly index: number;
  readonly data: bigint;
}

/** Who reads: the clocksource, which looks after watchdogs, or sched_clock, which does not. */
export type GuestReader = 'clocksource' | 'sched_clock';

/** Where a steal clock is kept: KVM's record, or Xen's runstate of a 64-bit guest. */
export type StealClock = 'kvm' | 'xen';
