/** Generated histories: kernels, hosts, and what happens on them. */
import fc from 'fast-check';
import type { HistorySpec } from './history.ts';

/** Kernels that histories run on. */
export const HISTORY_PROFILES = [
  'v4.9',
  'v5.10',
  'v5.15',
  'v6.1',
  'v6.8',
  'v6.15',
  'v7.3',
  'v4.2-cfz',
  'precise-tsc',
  'rfc-v3',
  'series-v6',
] as const;

const hosts: fc.Arbitrary<HistorySpec['host']> = fc.record({
  tscKhz: fc.constantFrom(2_500_000, 2_000_000, 3_000_000, 2_593_906, 800_000),
  vendor: fc.constantFrom('vmx', 'svm'),
  hasTscControl: fc.boolean(),
  constantTsc: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
  staleKhz: fc.constantFrom(0, 0, 9, -2),
  preemptionTimer: fc.boolean(),
});

/** A history that can happen, of up to `most` inputs. */
export const histories = (
  most = 80,
  profiles: readonly string[] = HISTORY_PROFILES,
): fc.Arbitrary<HistorySpec> =>
  fc.record({
    profile: fc.constantFrom(...profiles),
    host: hosts,
    steps: fc.array(fc.nat(0xffff_ffff), { minLength: 10, maxLength: most, size: 'max' }),
  });

/** So many runs, the same ones each time. */
export const runs = (numRuns: number): { numRuns: number; seed: number } => ({
  numRuns,
  seed: 20_261_121,
});
