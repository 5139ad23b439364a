/**
 * Usual lines, read at one go.
 *
 * Nearly every line of a long recording is an event of the kernel's own text, from a thread and a
 * CPU seen before, with an instant of as many digits as the one before. Such lines are read here, in
 * a single function with all it needs in local variables, which takes a third less time than piece
 * by piece. It takes only what it understands completely and leaves every other line, untouched, to
 * the reader that knows all forms, so it decides nothing that this one would decide otherwise.
 *
 * Where a line ends need not be known for most of it: nothing that is looked for holds a newline.
 * It is searched from what was read on, and often stands there.
 */

import type { EventBatch } from '../../../events/index.ts';
import { COMM_COLUMNS, MAX_FLAGS } from './columns.ts';
import type { LineBuffer } from './lines.ts';
import { matchPattern } from './match.ts';
import type { EventNameTable, NamedEvent } from './names.ts';
import { isDigit } from './numbers.ts';
import type { TextStats } from './stats.ts';
import type { Text } from './text.ts';
import { type PrefixCache, RECORD } from './threads.ts';
import { TickReader } from './ticks.ts';

const NEWLINE = 10;
const CARRIAGE_RETURN = 0x0d;
const BLANK = 0x20;
const DASH = 0x2d;
/** So many bytes behind the CPU are compared with those of an earlier line. */
const FLAG_BYTES = 8;

const { length: LENGTH, flags: FLAGS, flagsLength: FLAGS_LENGTH } = RECORD;
const { commId: COMM_ID, tid: TID, tgid: TGID, cpu: CPU } = RECORD;

/** Reads usual lines. */
export class UsualLines {
  readonly #prefixes: PrefixCache;
  readonly #events: EventNameTable;
  readonly #ticks = new TickReader();

  constructor(prefixes: PrefixCache, events: EventNameTable) {
    this.#prefixes = prefixes;
    this.#events = events;
  }

  /**
   * Reads lines to the rows of a batch until it is full or the next line is not a usual or not a
   * complete one. Returns how many lines these were, all of them events.
   */
  read(lines: LineBuffer, batch: EventBatch, stats: TextStats, maxLength: number): number {
    const { text, end } = lines;
    const { bytes, view } = text;
    const { records } = this.#prefixes;
    const ticks = this.#ticks;
    const { codes, timestampHalves, cpus, tids, tgids, commIds } = batch;
    let start = lines.start;
    let row = batch.length;
    let count = 0;
    let low = 0;
    let high = 0;
    while (row < batch.capacity && start + COMM_COLUMNS < end) {
      if (bytes[start] !== BLANK || bytes[start + COMM_COLUMNS] !== DASH) break;
      const k = this.#prefixes.recordOf(view, start);
      const length = records[k + LENGTH]!;
      if (length === 0) break;
      let p = start + length;
      if (
        view.getInt32(p, true) === records[k + FLAGS] &&
        view.getInt32(p + 4, true) === records[k + FLAGS + 1]
      ) {
        p += records[k + FLAGS_LENGTH]!;
      } else {
        const instant = skipFlags(bytes, p);
        // Bytes that do not reach up to the instant prove nothing about another line.
        if (instant - p <= FLAG_BYTES) {
          records[k + FLAGS] = view.getInt32(p, true);
          records[k + FLAGS + 1] = view.getInt32(p + 4, true);
          records[k + FLAGS_LENGTH] = instant - p;
        }
        p = instant;
      }
      p = ticks.readUsual(bytes, view, p);
      if (p < 0) break;
      let byte = bytes[++p]!;
      while (byte === BLANK) byte = bytes[++p]!;
      const named = this.#events.find(text, p);
      let newline: number;
      if (named === undefined) {
        newline = bytes.indexOf(NEWLINE, p);
        if (newline >= end) break;
      } else {
        p += named.nameLength;
        while (bytes[p] === BLANK) p++;
        if (named.needsEnd) {
          newline = bytes.indexOf(NEWLINE, p);
          if (newline >= end || named.addressed) break;
          const last = bytes[newline - 1] === CARRIAGE_RETURN ? newline - 1 : newline;
          if (matchAny(named, text, p, last, batch, row) < 0) break;
        } else {
          p = matchAny(named, text, p, p, batch, row);
          if (p < 0) break;
          if (bytes[p] === NEWLINE) newline = p;
          else if (bytes[p + 1] === NEWLINE) newline = p + 1;
          else newline = bytes.indexOf(NEWLINE, p + 2);
          if (newline >= end) break;
        }
      }
      if (newline - start > maxLength) break;
      low = ticks.low;
      high = ticks.high;
      if (named !== undefined) {
        codes[row] = named.code;
        timestampHalves[row * 2] = low;
        timestampHalves[row * 2 + 1] = high;
        cpus[row] = records[k + CPU]!;
        tids[row] = records[k + TID]!;
        tgids[row] = records[k + TGID]!;
        commIds[row] = records[k + COMM_ID]!;
        row++;
      }
      start = newline + 1;
      count++;
    }
    batch.length = row;
    lines.start = start;
    if (count > 0) stats.addEvents(count, low, high);
    return count;
  }
}

/** Matches the patterns of an event in turn. Returns the place after the one that fits, or -1. */
function matchAny(
  { patterns }: NamedEvent,
  text: Text,
  at: number,
  end: number,
  batch: EventBatch,
  row: number,
): number {
  for (let k = 0; k < patterns.length; k++) {
    const next = matchPattern(patterns[k]!, text, at, end, batch, row);
    if (next >= 0) return next;
  }
  return -1;
}

/** The place of the instant, or one that is none's where what stands before it are no flags. */
function skipFlags(bytes: Uint8Array, at: number): number {
  let p = at;
  while (bytes[p] === BLANK) p++;
  if (isDigit(bytes[p]!)) return p;
  const flags = p;
  while (bytes[p]! > BLANK) p++;
  if (p === flags || p - flags > MAX_FLAGS) return at;
  while (bytes[p] === BLANK) p++;
  return p;
}
