/** A migration in a test, and what is read off it. */
import { expect } from 'vitest';
import type { Input } from '../../../events/index.ts';
import type { VmmPolicyId } from '../../../src/engine/index.ts';
import {
  type ProfileId,
  profile,
  type Switches,
  withSwitches,
} from '../../../src/profiles/index.ts';
import {
  MIGRATION_DEFAULTS,
  type MigrationNumbers,
} from '../../../src/scenarios/migration/options.ts';
import { judgeMigration, type MigrationVerdict } from '../../../src/scenarios/migration/rows.ts';
import { Simulation } from '../../../src/scenarios/simulation.ts';

export const MS = 1_000_000n;
export const SECOND = 1_000_000_000n;
export const DAY = 86_400n * SECOND;

/** A migration by a policy; a short life keeps out what depends on it. */
export function migrate(
  policy: VmmPolicyId,
  numbers: Partial<MigrationNumbers> = {},
  id: ProfileId = 'v7.3',
  set: Partial<Switches> = {},
): MigrationVerdict {
  const kernel = withSwitches(profile(id), set);
  const base = { ...MIGRATION_DEFAULTS, uptimeNs: 10n * SECOND };
  const options = { ...base, ...numbers, policy, from: kernel, to: kernel };
  return judgeMigration(options, (...host) => new Simulation(...host));
}

type IoctlType = 'KVM_GET_CLOCK' | 'KVM_SET_CLOCK' | 'KVM_GET_MSRS' | 'KVM_SET_MSRS';

/** Instants of an ioctl at one side, in ns by the host's own kernel: of vCPUs' TSCs where it is an MSR. */
export function timesOf(
  { journey }: MigrationVerdict,
  side: 'out' | 'into',
  type: IoctlType,
): bigint[] {
  const { sourceKhz, destinationKhz } = journey.options;
  const khz = BigInt(side === 'out' ? sourceKhz : destinationKhz);
  const isIt = (input: Input) =>
    input.type === type && (!('index' in input) || input.index === 0x10);
  return journey[side].inputs
    .map(({ input }) => input)
    .filter(isIt)
    .map(({ tsc }) => (tsc * 1_000_000n) / khz);
}

/** What passed between two instants of different hosts. */
export function between(
  { journey: { source, destination, options } }: MigrationVerdict,
  out: bigint,
  into: bigint,
): bigint {
  const at = (khz: number, ns: bigint) => (ns * BigInt(khz)) / 1_000_000n;
  return (
    destination.timeAt(at(options.destinationKhz, into)) - source.timeAt(at(options.sourceKhz, out))
  );
}

export const near = (found: bigint, expected: bigint, slack = 2n): void => {
  const off = found - expected;
  expect(off <= slack && off >= -slack, `${found} is ${off} off ${expected}`).toBe(true);
};

/** kvmclock's rate is exact to a part in 2^31: so much may it lose in a time. */
export const rateSlack = (ns: bigint): bigint => 2n + ns / (1n << 31n);

/** (P2 − P1) − (P4 − P3): what kvmclock gains on the TSC by which the others are set. */
export function staggerOf(verdict: MigrationVerdict): bigint {
  const [p1 = 0n] = timesOf(verdict, 'out', 'KVM_GET_MSRS');
  const p2 = timesOf(verdict, 'out', 'KVM_GET_CLOCK').at(-1)!;
  const p3 = timesOf(verdict, 'into', 'KVM_SET_MSRS').at(-verdict.rows.length)!;
  const p4 = timesOf(verdict, 'into', 'KVM_SET_CLOCK').at(-1)!;
  return p2 - p1 - (p4 - p3);
}
