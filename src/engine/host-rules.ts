/** What must hold of structs beyond the types of their fields, as recipes count on it; of hosts first. */
import type { HostState } from '../clock/index.ts';

/** Something that must hold of a struct, and how an error names it. */
export type Rule<S> = readonly [
  field: string & keyof S,
  expected: string,
  holds: (state: S, host: HostState) => boolean,
];

/** Largest multiple of the host's frequency that a ratio of 64 bits can express (VMX). */
export const MOST_RATIO = 65_536;

/** Of a host. */
export const HOST_RULES: readonly Rule<HostState>[] = [
  ['tscKhz', 'a frequency', (h) => h.tscKhz > 0],
  ['tscScalingRatioFracBits', '32 or 48', (h) => [32, 48].includes(h.tscScalingRatioFracBits)],
  ['maxGuestTscKhz', 'what a ratio can express', (h) => h.maxGuestTscKhz <= h.tscKhz * MOST_RATIO],
  ['tscTolerancePpm', 'at most 1000000', (h) => h.tscTolerancePpm <= 1_000_000],
  ['monoShift', 'below 64', (h) => h.monoShift < 64],
  ['rawShift', 'below 64', (h) => h.rawShift < 64],
];
