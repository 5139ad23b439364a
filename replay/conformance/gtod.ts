/**
 * The `gtod` probe of deep recordings: both timekeepers, each time the kernel hands them to KVM.
 *
 * It is a kprobe on `pvclock_gtod_notify()` that whoever records sets up (docs/fidelity.md), not a
 * tracepoint, so it stands in no catalogue of events.
 */

/** Both timekeepers, as `timekeeping_update` has them. */
export interface Gtod {
  /** Instant of the probe, ticks of the recording's clock. */
  readonly timestamp: bigint;
  readonly monoCycleLast: bigint;
  readonly monoMult: number;
  readonly monoShift: number;
  readonly monoXtimeNsec: bigint;
  readonly monoBase: bigint;
  readonly rawCycleLast: bigint;
  readonly rawMult: number;
  readonly rawShift: number;
  readonly rawXtimeNsec: bigint;
  readonly rawBase: bigint;
}

const LINE = /\s(\d+): gtod: \([^)]*\)((?: \w+=\d+)+)\s*$/;

function parseLine(line: string): Gtod | undefined {
  const [, timestamp, pairs] = LINE.exec(line) ?? [];
  if (timestamp === undefined || pairs === undefined) return undefined;
  const values = new Map(
    pairs
      .trim()
      .split(' ')
      .map((pair) => pair.split('=') as [string, string]),
  );
  const wide = (name: string): bigint => BigInt.asUintN(64, BigInt(values.get(name) ?? '0'));
  const narrow = (name: string): number => Number(BigInt.asUintN(32, wide(name)));
  return {
    timestamp: BigInt(timestamp),
    monoCycleLast: wide('mono_cycle_last'),
    monoMult: narrow('mono_mult'),
    monoShift: narrow('mono_shift'),
    monoXtimeNsec: wide('mono_xtime_nsec'),
    monoBase: wide('mono_base'),
    rawCycleLast: wide('raw_cycle_last'),
    rawMult: narrow('raw_mult'),
    rawShift: narrow('raw_shift'),
    rawXtimeNsec: wide('raw_xtime_nsec'),
    rawBase: wide('raw_base'),
  };
}

/** The probes in an ftrace text stamped with the TSC. */
export function parseGtods(text: string): Gtod[] {
  const found: Gtod[] = [];
  for (const line of text.split('\n')) {
    if (!line.includes(': gtod: ')) continue;
    const gtod = parseLine(line);
    if (gtod !== undefined) found.push(gtod);
  }
  return found;
}
