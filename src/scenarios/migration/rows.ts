/** What a migration comes to, in the words of its table. */
import { ERRNO } from '../../../events/index.ts';
import { decimal, formatNs } from '../../../replay/quantity.ts';
import { VMM_POLICIES, type VmmPolicyId } from '../../engine/index.ts';
import { errorsOf, spread, type VcpuErrors } from './errors.ts';
import type { MigrationOptions } from './options.ts';
import { type Journey, type MakeHost, type Refusal, runMigration } from './run.ts';

/** A clock against what it should read. */
type Direction = 'exact' | 'ahead' | 'behind';

/** What became of PVCLOCK_TSC_STABLE_BIT. */
type StableBit = 'kept' | 'lost' | 'gained' | 'never set';

/** One vCPU after a migration. */
export interface MigrationRow extends VcpuErrors {
  readonly policy: VmmPolicyId;
  readonly tscDirection: Direction;
  readonly kvmclockDirection: Direction;
  readonly stableBit: StableBit;
  /** What its guest would notice, worst first; empty: nothing. */
  readonly notices: readonly string[];
}

/** A migration, judged. */
export interface MigrationVerdict {
  readonly journey: Journey;
  readonly rows: readonly MigrationRow[];
}

/** Steps that Linux or a person can tell from a slow moment. */
const LEAST_NOTICED_NS = 1_000n;
/** What a rate must change by, parts in 10^9, for a clock that was set by the TSC to need setting anew. */
const LEAST_NOTICED_PPB = 1_000n;
/** When Linux's soft lockup detector speaks up: twice `watchdog_thresh`. */
const SOFT_LOCKUP_NS = 20_000_000_000n;

const directionOf = (ns: bigint): Direction =>
  // An instant is rounded to a cycle and back to a nanosecond.
  ns > 1n ? 'ahead' : ns < -1n ? 'behind' : 'exact';

function stableBitOf({ stable, stableBefore }: VcpuErrors): StableBit {
  if (stable) return stableBefore ? 'kept' : 'gained';
  return stableBefore ? 'lost' : 'never set';
}

const size = (ns: bigint): bigint => (ns < 0n ? -ns : ns);

const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ERRNO).map(([name, errno]) => [errno, name]),
);

const refusalText = ({ at, ioctl }: Refusal): string =>
  ioctl === undefined
    ? `KVM_GET_CLOCK tells no time at the ${at}`
    : `${ioctl.name} fails at the ${at} (${ERRNO_NAMES.get(-ioctl.ret) ?? `errno ${-ioctl.ret}`})`;

/** What holds for the whole VM. */
function vmNotices(all: readonly VcpuErrors[]): string[] {
  const notices: string[] = [];
  const apart = spread(all.map(({ against }) => against.advance.tscCycles));
  if (apart !== 0n) notices.push(`TSCs of vCPUs are ${apart} cycles apart`);
  const warp = spread(all.map(({ against }) => against.advance.kvmclockNs));
  if (warp > 1n && all.every(({ stable }) => stable)) {
    notices.push(`kvmclock differs by ${formatNs(warp)} between vCPUs that trust it`);
  }
  return notices;
}

/** What one vCPU's guest would notice. */
function vcpuNotices(errors: VcpuErrors): string[] {
  const { firstStepNs, laterStepNs, driftNs, tscRatePpb } = errors;
  const { stable, stableBefore, toldStopped } = errors;
  const notices: string[] = [];
  if (firstStepNs < 0n) notices.push(`kvmclock goes back by ${formatNs(-firstStepNs)}`);
  if (laterStepNs < 0n) {
    const clamp = stable ? 'and nothing clamps it' : 'which the guest clamps';
    notices.push(`kvmclock then goes back by ${formatNs(-laterStepNs)}, ${clamp}`);
  }
  if (stableBefore && !stable) notices.push('no vDSO clock any more: every read is clamped');
  if (firstStepNs >= SOFT_LOCKUP_NS && !toldStopped) {
    notices.push(`soft lockups reported: kvmclock leaps by ${formatNs(firstStepNs)}, untold`);
  } else if (firstStepNs >= LEAST_NOTICED_NS) {
    notices.push(`kvmclock leaps by ${formatNs(firstStepNs)}`);
  }
  if (size(driftNs) >= LEAST_NOTICED_NS) {
    notices.push(
      `kvmclock ${driftNs > 0n ? 'gains' : 'loses'} ${formatNs(size(driftNs))} on the TSC`,
    );
  }
  if (size(tscRatePpb) >= LEAST_NOTICED_PPB) {
    const ppm = decimal(size(tscRatePpb), 1, 3);
    notices.push(`the TSC runs ${ppm} ppm ${tscRatePpb > 0n ? 'fast' : 'slow'}`);
  }
  return notices;
}

/** The rows of one migration. */
function rowsOf(journey: Journey): readonly MigrationRow[] {
  const all = journey.vcpus.map((vcpu) => errorsOf(journey, vcpu));
  const refused = [...new Set(journey.refused.map(refusalText))];
  const gaveUp = refused.map((text) => `${text}: the VMM gives up`);
  const forAll = vmNotices(all);
  return all.map((errors) => ({
    ...errors,
    policy: journey.options.policy,
    tscDirection: directionOf(errors.tscNs),
    kvmclockDirection: directionOf(errors.kvmclockNs),
    stableBit: stableBitOf(errors),
    notices: gaveUp.length > 0 ? gaveUp : [...forAll, ...vcpuNotices(errors)],
  }));
}

/** Runs a migration and judges it. */
export function judgeMigration(options: MigrationOptions, make: MakeHost): MigrationVerdict {
  const journey = runMigration(options, make);
  return { journey, rows: rowsOf(journey) };
}

/** What a policy means time to do, as the table has it. */
export const intentOf = (policy: VmmPolicyId): string => {
  const { tsc, kvmclock } = VMM_POLICIES[policy];
  return tsc === kvmclock ? tsc : `TSC ${tsc}, kvmclock ${kvmclock}`;
};
