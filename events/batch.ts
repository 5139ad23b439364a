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

const DEFAULT_CAPACITY = 4096;
/** Timestamp and 64-bit columns; 32-bit ones with cpu, tid, tgid and comm; code. */
const BYTES_PER_ROW = 8 * (1 + WIDE_COLUMNS) + 4 * (NARROW_COLUMNS + 4) + 1;

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
  capacity: number;
  /** Event codes (`EVENT_CODES`). */
  codes: Uint8Array;
  /** Instants, ticks of the recording's clock. */
  timestamps: BigUint64Array;
  /** The same instants as pairs of 32-bit halves, low half first: for writing without bigints. */
  timestampHalves: Uint32Array;
  cpus: Uint32Array;
  tids: Int32Array;
  /** Process ids; 0 where unknown. */
  tgids: Int32Array;
  commIds: Uint32Array;
  /** 64-bit fields, `WIDE_COLUMNS` a row; `s64` as two's complement. */
  wides: BigUint64Array;
  /** The same fields as 32-bit halves, low half first. */
  wideHalves: Uint32Array;
  /** 32-bit and smaller fields, `NARROW_COLUMNS` a row; unsigned ones read with `>>> 0`. */
  narrows: Int32Array;
  /** Strings of events that carry one. */
  texts: string[];
  /** Interned thread names; the reader's own, shared by all its batches. */
  comms: readonly string[] = [];

  /**
   * `buffer`: where the columns stand, `EventBatch.byteLength(capacity)` bytes. In a
   * SharedArrayBuffer one thread can fill what another reads; strings are no part of it. `offset`:
   * where they begin there, a multiple of 8.
   */
  constructor(
    capacity = DEFAULT_CAPACITY,
    buffer: ArrayBufferLike = new ArrayBuffer(EventBatch.byteLength(capacity)),
    offset = 0,
  ) {
    this.capacity = capacity;
    let end = offset;
    const place = (bytesPerRow: number): number => {
      end += bytesPerRow * capacity;
      return end - bytesPerRow * capacity;
    };
    // Widest first, so that every column is aligned.
    const timestamps = place(8);
    const wides = place(8 * WIDE_COLUMNS);
    this.timestamps = new BigUint64Array(buffer, timestamps, capacity);
    this.timestampHalves = new Uint32Array(buffer, timestamps, capacity * 2);
    this.wides = new BigUint64Array(buffer, wides, capacity * WIDE_COLUMNS);
    this.wideHalves = new Uint32Array(buffer, wides, capacity * WIDE_COLUMNS * 2);
    this.narrows = new Int32Array(buffer, place(4 * NARROW_COLUMNS), capacity * NARROW_COLUMNS);
    this.cpus = new Uint32Array(buffer, place(4), capacity);
    this.tids = new Int32Array(buffer, place(4), capacity);
    this.tgids = new Int32Array(buffer, place(4), capacity);
    this.commIds = new Uint32Array(buffer, place(4), capacity);
    this.codes = new Uint8Array(buffer, place(1), capacity);
    this.texts = new Array<string>(capacity).fill('');
  }

  /** Bytes that the columns of so many rows take. */
  static byteLength(capacity = DEFAULT_CAPACITY): number {
    return capacity * BYTES_PER_ROW;
  }

  /** Shows the rows of `other` from here on, without copying: its columns become this one's. */
  show(other: EventBatch): void {
    Object.assign(this, other);
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
