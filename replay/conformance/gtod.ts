/**
 * The `gtod` probe of deep recordings: both timekeepers, each time the kernel hands them to KVM.
 *
 * It is a kprobe on `pvclock_gtod_notify()` that whoever records sets up (docs/fidelity.md), not a
 * tracepoint, so it stands in no catalogue of events.
 */

import { FormatError, printable } from '../formats/index.ts';

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

/** Widest shift that the kernel's clocksources have: their multipliers are of 32 bits. */
const MAX_SHIFT = 32n;
const U64_MAX = (1n << 64n) - 1n;
const U32_MAX = (1n << 32n) - 1n;

const LINE = /\s(\d{1,20}): gtod: \([^)]*\)((?: \w+=\d+)+)\s*$/;

/** Reads the members of one line. */
class GtodLine {
  readonly #where: { readonly file: string; readonly line: number };
  readonly #values: ReadonlyMap<string, string>;

  constructor(file: string, line: number, pairs: string) {
    this.#where = { file, line };
    const members = pairs.trim().split(' ');
    this.#values = new Map(members.map((pair) => pair.split('=') as [string, string]));
  }

  wide(name: string, most = U64_MAX): bigint {
    const text = this.#values.get(name);
    const value = text !== undefined && text.length <= 20 ? BigInt(text) : undefined;
    if (value === undefined || value > most) {
      const { file, line } = this.#where;
      const found = text === undefined ? 'none' : printable(text, 40);
      throw new FormatError(file, { line }, `a gtod probe with ${name} up to ${most}`, found);
    }
    return value;
  }

  narrow(name: string, most = U32_MAX): number {
    return Number(this.wide(name, most));
  }
}

function parseLine(text: string, file: string, number: number): Gtod {
  const [, timestamp, pairs] = LINE.exec(text) ?? [];
  if (timestamp === undefined || pairs === undefined) {
    const found = printable(text.trim(), 80);
    throw new FormatError(file, { line: number }, 'a gtod probe with name=number …', found);
  }
  const line = new GtodLine(file, number, `${pairs} timestamp=${timestamp}`);
  return {
    timestamp: line.wide('timestamp'),
    monoCycleLast: line.wide('mono_cycle_last'),
    monoMult: line.narrow('mono_mult'),
    monoShift: line.narrow('mono_shift', MAX_SHIFT),
    monoXtimeNsec: line.wide('mono_xtime_nsec'),
    monoBase: line.wide('mono_base'),
    rawCycleLast: line.wide('raw_cycle_last'),
    rawMult: line.narrow('raw_mult'),
    rawShift: line.narrow('raw_shift', MAX_SHIFT),
    rawXtimeNsec: line.wide('raw_xtime_nsec'),
    rawBase: line.wide('raw_base'),
  };
}

/**
 * The probes in an ftrace text stamped with the TSC.
 *
 * @throws FormatError at a probe that lacks a number.
 */
export const parseGtods = (text: string, file: string): Gtod[] =>
  text
    .split('\n')
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => line.includes(': gtod: ('))
    .map(({ line, number }) => parseLine(line, file, number));
