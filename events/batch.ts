import { EVENT_CODES, EVENT_NAMES, EVENTS, type EventName } from './catalog.ts';
import { camelCase, type TraceEvent } from './event.ts';
import type { FieldSpec } from './spec.ts';

/** Where a field of an event stands in its row: the kind of column and the place in it. */
export interface FieldSlot {
  /** The kernel's name. */
  readonly name: string;
  readonly spec: FieldSpec;
  /** True: a 64-bit column; false: a 32-bit one. */
  readonly wide: boolean;
  readonly slot: number;
}

const isWide = (spec: FieldSpec): boolean => spec.type === 'u64' || spec.type === 's64';

function layout(fields: Readonly<Record<string, FieldSpec>>): readonly FieldSlot[] {
  let wides = 0;
  let narrows = 0;
  return Object.entries(fields).map(([name, spec]) =>
    isWide(spec)
      ? { name, spec, wide: true, slot: wides++ }
      : { name, spec, wide: false, slot: narrows++ },
  );
}

/** The columns of each kind of event, by event code. */
export const LAYOUTS: readonly (readonly FieldSlot[])[] = EVENT_NAMES.map((name) =>
  layout(EVENTS[name].fields),
);

const columns = (wide: boolean): number =>
  Math.max(...LAYOUTS.map((slots) => slots.filter((s) => s.wide === wide).length));

/** 64-bit columns of a row. */
export const WIDE_COLUMNS = columns(true);
/** 32-bit columns of a row. */
export const NARROW_COLUMNS = columns(false);

/** The place of a field in its event's row, for code that reads columns directly. */
export function slotOf<N extends EventName>(
  event: N,
  field: keyof (typeof EVENTS)[N]['fields'] & string,
): number {
  const found = LAYOUTS[EVENT_CODES[event]]?.find((s) => s.name === field);
  if (found === undefined) throw new TypeError(`${event} has no field ${field}`);
  return found.slot;
}

/**
 * Events in columns: how they travel in bulk, with no object and no bigint per event.
 *
 * A reader fills rows `0 … length-1` and a consumer reads them; `event(row)` makes the typed event
 * of one row. Thread names are interned per recording: `comms[commIds[row]]`.
 */
export class EventBatch {
  /** Rows in use. */
  length = 0;
  readonly capacity: number;
  /** Event codes (`EVENT_CODES`). */
  readonly codes: Uint8Array;
  /** Instants, ticks of the recording's clock. */
  readonly timestamps: BigUint64Array;
  /** The same instants as pairs of 32-bit halves, low half first: for writing without bigints. */
  readonly timestampHalves: Uint32Array;
  readonly cpus: Uint32Array;
  readonly tids: Int32Array;
  /** Process ids; 0 where unknown. */
  readonly tgids: Int32Array;
  readonly commIds: Uint32Array;
  /** 64-bit fields, `WIDE_COLUMNS` a row; `s64` as two's complement. */
  readonly wides: BigUint64Array;
  /** The same fields as 32-bit halves, low half first. */
  readonly wideHalves: Uint32Array;
  /** 32-bit and smaller fields, `NARROW_COLUMNS` a row; unsigned ones read with `>>> 0`. */
  readonly narrows: Int32Array;
  /** Strings of events that carry one. */
  readonly texts: string[];
  /** Interned thread names; the reader's own, shared by all its batches. */
  comms: readonly string[] = [];

  constructor(capacity = 4096) {
    this.capacity = capacity;
    this.codes = new Uint8Array(capacity);
    this.timestamps = new BigUint64Array(capacity);
    this.timestampHalves = new Uint32Array(this.timestamps.buffer);
    this.cpus = new Uint32Array(capacity);
    this.tids = new Int32Array(capacity);
    this.tgids = new Int32Array(capacity);
    this.commIds = new Uint32Array(capacity);
    this.wides = new BigUint64Array(capacity * WIDE_COLUMNS);
    this.wideHalves = new Uint32Array(this.wides.buffer);
    this.narrows = new Int32Array(capacity * NARROW_COLUMNS);
    this.texts = new Array<string>(capacity).fill('');
  }

  get full(): boolean {
    return this.length === this.capacity;
  }

  /** The typed event in `row`. @throws RangeError if the row is not in use. */
  event(row: number): TraceEvent {
    if (!(row >= 0 && row < this.length)) {
      throw new RangeError(`row ${row} of a batch of ${this.length} events`);
    }
    const code = this.codes[row]!;
    const name = EVENT_NAMES[code]!;
    const event: Record<string, unknown> = {
      type: name,
      timestamp: this.timestamps[row]!,
      cpu: this.cpus[row]!,
      tid: this.tids[row]!,
      tgid: this.tgids[row]!,
      comm: this.comms[this.commIds[row]!] ?? '',
    };
    for (const slot of LAYOUTS[code]!) event[camelCase(slot.name)] = this.field(row, slot);
    if ('text' in EVENTS[name]) event['text'] = this.texts[row]!;
    return event as unknown as TraceEvent;
  }

  /** One field of one row: bigint, number or boolean by its type. */
  field(row: number, { wide, slot, spec }: FieldSlot): bigint | number | boolean {
    if (wide) {
      const value = this.wides[row * WIDE_COLUMNS + slot]!;
      return spec.type === 's64' ? BigInt.asIntN(64, value) : value;
    }
    const value = this.narrows[row * NARROW_COLUMNS + slot]!;
    if (spec.type === 'bool') return value !== 0;
    return spec.type === 'u32' ? value >>> 0 : value;
  }
}
