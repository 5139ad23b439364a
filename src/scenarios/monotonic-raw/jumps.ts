/** What tables of jumps say. */
import type { Finding } from '../../../replay/index.ts';

const PPT = 1_000_000_000_000n;

/** By how much a vCPU's clock jumped altogether, ns. */
export const jumpsOf = (findings: readonly Finding[], vcpu: number): bigint =>
  findings
    .filter((f) => (f.rule === 'jump' || f.rule === 'tsc-jump') && f.vcpu === vcpu)
    .reduce((sum, { deltaNs = 0n }) => sum + deltaNs, 0n);

/** What so many parts in 10^12 of a time are. */
export const partsPerTrillion = (ns: bigint, ppt: bigint): bigint => (ns * ppt) / PPT;
