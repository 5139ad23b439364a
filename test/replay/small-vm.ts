import type { Finding } from '../../replay/index.ts';
import { replayText } from './fixtures.ts';
import { TraceText } from './trace-text.ts';

/** Host TSC at which the VM of these recordings was created; its guest's TSC was 0 then. */
export const BORN = 1_000_000n;
export const MS = 2_000_000n;

/** A VM whose vCPU 0 got its first page after 10 ms. */
export function vm(clock: 'tsc' | 'ns' = 'tsc'): TraceText {
  return new TraceText(clock)
    .offset(BORN, 0n, -BORN)
    .masterclock(at(9n), 1)
    .page(at(10n), pageAt(9n))
    .entry(at(10n) + 100n)
    .exit(at(11n));
}

/** The thread that runs vCPU 1. */
export const SECOND = { tid: 101, cpu: 1 };

export const at = (ms: bigint): bigint => BORN + ms * MS;

/** kvmclock when the guest's TSC was 0. */
export const BASE_NS = 10_000_000_000n;

/** The page after `ms` milliseconds that reads `stepNs` more than vCPU 0's first page. */
export const pageAt = (ms: bigint, stepNs = 0n) => ({
  tsc: ms * MS,
  ns: BASE_NS + ms * 1_000_000n + stepNs,
});

export const of = async (trace: TraceText, ...rules: Finding['rule'][]) => {
  const { findings } = await replayText(String(trace));
  return findings.filter((f) => rules.includes(f.rule));
};
