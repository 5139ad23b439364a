/**
 * Threads: a recording has a few dozen of them on millions of lines, so a line's beginning, with the
 * thread's name, its id and the CPU, is usually one that was read before.
 *
 * The cache holds beginnings of 32 bytes and what they mean. It compares all of these bytes, so it
 * never changes what is read. Names are decoded as UTF-8; bytes that are none become U+FFFD.
 */
import type { Text } from './text.ts';

/** Bytes that are compared: up to the flags in the kernel's text, where the CPU is followed by them. */
export const PREFIX_BYTES = 32;
export const SLOT_BITS = 10;
/**
 * No host has so many names; a text made up to have them must not fill the memory. Beyond it the
 * table begins anew with the next batch.
 */
const MAX_NAMES = 65536;

/** The names of a recording's threads, by id. */
export class ThreadNames {
  #names: string[] = [];
  readonly #ids = new Map<string, number>();

  /** Ids hold for as long as this array is the same. */
  get list(): readonly string[] {
    return this.#names;
  }

  get full(): boolean {
    return this.#names.length > MAX_NAMES;
  }

  clear(): void {
    this.#names = [];
    this.#ids.clear();
  }

  /** Id of the name between two places, without the blanks that pad it. */
  intern(text: Text, start: number, end: number): number {
    let first = start;
    while (first < end && text.bytes[first] === 0x20) first++;
    return this.add(text.bytes.toString('utf8', first, end));
  }

  add(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = this.#names.push(name) - 1;
    this.#ids.set(name, id);
    return id;
  }
}

/** The 32-bit numbers of a record of the cache: the bytes themselves, and what they mean. */
export const RECORD = {
  /** Length of the beginning up to the closing bracket of the CPU; 0 where it is not known. */
  length: 8,
  commId: 9,
  tid: 10,
  tgid: 11,
  cpu: 12,
  /** The flags that followed it last: eight bytes, and how many of them stand before the instant. */
  flags: 13,
  flagsLength: 15,
} as const;
const RECORD_BITS = 4;
/** 32-bit numbers of all records. */
export const PREFIX_RECORDS = 1 << (SLOT_BITS + RECORD_BITS);

/**
 * What beginnings of lines mean. Direct-mapped: a new beginning displaces another. A record is 64
 * bytes, so that a line touches one line of the processor's cache here.
 */
export class PrefixCache {
  records: Int32Array = new Int32Array(PREFIX_RECORDS);

  /** Moves the records to `place`, which others may read as well. */
  moveTo(place: Int32Array): void {
    place.set(this.records);
    this.records = place;
  }

  clear(): void {
    this.records.fill(0);
  }

  /** The record of the beginning at a place; if it was another's, its length is 0 now. */
  recordOf(view: DataView, at: number): number {
    const a = view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    const c = view.getInt32(at + 8, true);
    const d = view.getInt32(at + 12, true);
    const e = view.getInt32(at + 16, true);
    const f = view.getInt32(at + 20, true);
    const g = view.getInt32(at + 24, true);
    const h = view.getInt32(at + 28, true);
    const names = a ^ Math.imul(b, 3) ^ Math.imul(c, 17) ^ Math.imul(d, 257);
    const ids = e ^ Math.imul(f, 5) ^ Math.imul(g, 65) ^ Math.imul(h, 1025);
    const slot = Math.imul(names ^ Math.imul(ids, 0x85ebca6b), 0x9e3779b1) >>> (32 - SLOT_BITS);
    const k = slot << RECORD_BITS;
    const { records } = this;
    if (
      records[k] !== a ||
      records[k + 1] !== b ||
      records[k + 2] !== c ||
      records[k + 3] !== d ||
      records[k + 4] !== e ||
      records[k + 5] !== f ||
      records[k + 6] !== g ||
      records[k + 7] !== h
    ) {
      records.set([a, b, c, d, e, f, g, h, 0], k);
    }
    return k;
  }
}
