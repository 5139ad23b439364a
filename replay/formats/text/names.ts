/**
 * Which event a line speaks of, found by the name's first bytes.
 *
 * The kernel's own text has three forms: `kvm_exit: args`, and for system calls `sys_ioctl(args)`
 * and `sys_ioctl -> result`, which stand for the events sys_enter_ioctl and sys_exit_ioctl. What is
 * written to trace_marker shows as `tracing_mark_write: text`, because the kernel prints the symbol
 * of the writing function there; trace-cmd prints the event's name, `print`, and the address or
 * symbol before the text.
 *
 * Only events that were asked for are in the table, so that all others, more than half of a usual
 * recording, are left after one look at three bytes.
 */
import {
  EVENT_CODES,
  EVENT_NAMES,
  EVENTS,
  type EventName,
  type EventSpec,
} from '../../../events/index.ts';
import type { Pattern } from './match.ts';
import { patternsOf } from './patterns.ts';
import { Literal, type Text } from './text.ts';

/** An event under one of its names in text. */
export interface NamedEvent {
  readonly code: number;
  /** The name with what ends it: `kvm_exit:`, `sys_ioctl(`, `sys_ioctl ->`. */
  readonly opening: Literal;
  /** How many bytes of `opening` belong to the name; the arguments begin after them. */
  readonly nameLength: number;
  /** Whether an address or a symbol stands before the text. */
  readonly addressed: boolean;
  readonly patterns: readonly Pattern[];
}

/**
 * Bytes that stand where a name should begin and hide it: `trace-cmd report --ts-diff` has a bracket
 * here, with the time since the line before, and a terminal's colours begin with ESC.
 */
export const NO_NAME: readonly number[] = [0x28, 0x1b];

const TABLE_MASK = 255;

/** Byte 0, and 4 and 5: nearly all of the names begin with `kvm_` or `sys_`. */
const hash = (first: number, fifth: number, sixth: number): number =>
  (first + fifth * 5 + sixth * 3) & TABLE_MASK;

const keyOf = (opening: string): number =>
  hash(opening.charCodeAt(0), opening.charCodeAt(4), opening.charCodeAt(5));

/** The names of the events that are asked for. */
export class EventNameTable {
  readonly all: readonly NamedEvent[];
  readonly #buckets: (readonly NamedEvent[] | undefined)[];

  constructor(only: readonly EventName[] = EVENT_NAMES) {
    const buckets = new Array<NamedEvent[] | undefined>(TABLE_MASK + 1).fill(undefined);
    this.all = [...new Set(only)].flatMap(namesOf);
    for (const named of this.all) {
      const key = keyOf(named.opening.text);
      buckets[key] ??= [];
      buckets[key].push(named);
    }
    this.#buckets = buckets;
  }

  /** The event whose name stands at a place, if it is asked for. */
  find(text: Text, at: number): NamedEvent | undefined {
    const { bytes } = text;
    const bucket = this.#buckets[hash(bytes[at]!, bytes[at + 4]!, bytes[at + 5]!)];
    if (bucket === undefined) return undefined;
    for (let k = 0; k < bucket.length; k++) {
      if (bucket[k]!.opening.isAt(text, at)) return bucket[k];
    }
    return undefined;
  }
}

function namesOf(name: EventName): NamedEvent[] {
  const spec: EventSpec = EVENTS[name];
  const patterns = patternsOf(name);
  const make = (word: string, end: string, nameEnd = 0): NamedEvent => ({
    code: EVENT_CODES[name],
    opening: new Literal(word + end),
    nameLength: word.length + nameEnd,
    addressed: word === 'print',
    patterns,
  });
  const aliases = (spec.aliases ?? []).map((alias) => make(alias, ':', 1));
  // `marker` and `gap` are our own words: a probe that someone called so is no such event.
  if (spec.role === 'tracer') return aliases;
  const plain = [make(name, ':', 1), ...aliases];
  if (name.startsWith('sys_enter_')) plain.push(make(name.replace('enter_', ''), '('));
  if (name.startsWith('sys_exit_')) plain.push(make(name.replace('exit_', ''), ' ->'));
  return plain;
}
