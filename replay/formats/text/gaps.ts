/**
 * Lines by which a tracer says that events are missing.
 *
 *     CPU:1 [LOST 123 EVENTS]             trace_pipe: the reader was too slow
 *     CPU:1 [LOST EVENTS]                 the same, not counted (since Linux 5.6)
 *     CPU:1 [123 EVENTS DROPPED]          trace-cmd report
 *     CPU:1 [EVENTS DROPPED]
 *     ##### CPU 1 buffer started ####     trace: this CPU's earlier events were overwritten
 *
 * Each stands before the first event of that CPU that is there again and has no instant of its own:
 * a gap takes the instant of the next event, or of the last one where none follows. The last form is
 * printed only if some buffer overran, and not for the CPU with which the text begins.
 *
 * That a CPU is empty (`CPU 1 is empty`, at the head of trace-cmd's text) says that nothing happened
 * there, not that something is missing.
 */
import type { Text } from './text.ts';

/** What one such line says. */
export interface GapNotice {
  readonly cpu: number;
  /** How many events; 0 where the tracer does not know. */
  readonly lost: bigint;
  /** The line. */
  readonly text: string;
}

const FORMS = [
  /^CPU:(?<cpu>\d{1,9}) \[LOST (?:(?<lost>\d{1,20}) )?EVENTS\]$/,
  /^CPU:(?<cpu>\d{1,9}) \[(?:(?<lost>\d{1,20}) )?EVENTS DROPPED\]$/,
  /^##### CPU (?<cpu>\d{1,9}) buffer started ####$/,
];
const MAX_LENGTH = 80;
const MAX_U64 = 0xffffffffffffffffn;

/** Reads a line from `start` to `end`; `undefined` if it is no such line. */
export function readGap({ bytes }: Text, start: number, end: number): GapNotice | undefined {
  let first = start;
  while (first < end && bytes[first] === 0x20) first++;
  const opening = bytes[first];
  if (opening !== 0x43 && (opening !== 0x23 || bytes[first + 1] !== 0x23)) return undefined;
  if (end - first > MAX_LENGTH) return undefined;
  const text = bytes.toString('latin1', first, end).trimEnd();
  for (const form of FORMS) {
    const groups = form.exec(text)?.groups;
    if (groups === undefined) continue;
    const lost = BigInt(groups['lost'] ?? 0);
    if (lost <= MAX_U64) return { cpu: Number(groups['cpu']), lost, text };
  }
  return undefined;
}

/**
 * Gaps that wait for the next event. Two of one CPU with no event between them are one gap, so their
 * number is bounded by the number of CPUs; Linux has at most 8192.
 */
export class PendingGaps {
  readonly #byKey = new Map<number, GapNotice>();
  static readonly #MAX_CPUS = 8192;

  get size(): number {
    return this.#byKey.size;
  }

  /** Takes a notice. Returns whether it is a gap of its own. `key` is what it may be joined by. */
  add(notice: GapNotice, key = notice.cpu): boolean {
    const earlier = this.#byKey.get(key);
    if (earlier === undefined && this.size >= PendingGaps.#MAX_CPUS) return false;
    const total = (earlier?.lost ?? 0n) + notice.lost;
    const lost = total > MAX_U64 ? MAX_U64 : total;
    this.#byKey.set(key, earlier === undefined ? notice : { ...earlier, lost });
    return earlier === undefined;
  }

  /** Removes and returns the first; call only if there is one. */
  shift(): GapNotice {
    const [key, notice] = this.#byKey.entries().next().value!;
    this.#byKey.delete(key);
    return notice;
  }
}
