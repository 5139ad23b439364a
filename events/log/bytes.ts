/** Bytes written and read one value after another, little-endian: writer beside reader. */
import { EntryError } from './error.ts';

const FIRST_BYTES = 4096;
/** So many are copied one by one: to call a function for them takes longer. */
const FEW_BYTES = 32;

/** 64 bits and their halves: V8 compiles these inline, but calls a function for `getBigUint64`. */
const HALVES = new Int32Array(2);
const U64 = new BigUint64Array(HALVES.buffer);
const S64 = new BigInt64Array(HALVES.buffer);

/** Writes a u64, modulo 2^64, of which there is room. */
export function setU64(view: DataView, at: number, value: bigint): void {
  U64[0] = value;
  view.setInt32(at, HALVES[0]!, true);
  view.setInt32(at + 4, HALVES[1]!, true);
}

/** Copies bytes to where there is room. */
export function setBytes(target: Uint8Array, at: number, bytes: Uint8Array): void {
  const count = bytes.length;
  if (count > FEW_BYTES) target.set(bytes, at);
  else for (let i = 0; i < count; i++) target[at + i] = bytes[i]!;
}

/** Collects bytes. */
export class ByteWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** All there is room for, for whoever writes many values at once; valid until more is reserved. */
  get buffer(): Uint8Array {
    return this.#bytes;
  }

  /** A view of it, valid as long. */
  get view(): DataView {
    return this.#view;
  }

  /** Collects what was written behind `length` into room that was reserved: `length` is the new one. */
  extend(length: number): void {
    this.#length = length;
  }

  /** What was collected; valid until more is. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  /** Makes room, and returns where it begins. */
  #take(count: number): number {
    const at = this.#length;
    this.reserve(count);
    this.#length = at + count;
    return at;
  }

  /** Makes room for so many more. */
  reserve(count: number): void {
    const length = this.#length + count;
    if (length <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }

  u8(value: number): void {
    const at = this.#take(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    const at = this.#take(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  /** Modulo 2^64. */
  u64(value: bigint): void {
    const at = this.#take(8);
    setU64(this.#view, at, value);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#take(bytes.length);
    setBytes(this.#bytes, at, bytes);
  }

  /** Changes a byte that was written before. */
  patch(at: number, value: number): void {
    this.#bytes[at] = value;
  }
}

/** Reads bytes; never beyond their end. */
export class ByteReader {
  /** All of the buffer: a view of each part that is read would cost more than to read a record. */
  #bytes: Uint8Array;
  #view: DataView;
  /** Where reading began, is and ends in the buffer. */
  #begin = 0;
  #at = 0;
  #end = 0;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#bytes = new Uint8Array(bytes.buffer);
    this.#view = new DataView(bytes.buffer);
    this.over(bytes);
  }

  /** Begins to read other bytes. */
  over(bytes: Uint8Array): this {
    if (bytes.buffer !== this.#bytes.buffer) {
      this.#bytes = new Uint8Array(bytes.buffer);
      this.#view = new DataView(bytes.buffer);
    }
    this.#begin = bytes.byteOffset;
    this.#at = this.#begin;
    this.#end = this.#begin + bytes.length;
    return this;
  }

  /** Bytes read so far. */
  get at(): number {
    return this.#at - this.#begin;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  /** One of the bytes to come; −1 behind the end. */
  peek(ahead: number): number {
    const at = this.#at + ahead;
    return at < this.#end ? this.#bytes[at]! : -1;
  }

  /** A view of the whole buffer, for reading many records whose form is known. */
  get view(): DataView {
    return this.#view;
  }

  /** Where in the buffer the next byte is. */
  get place(): number {
    return this.#at;
  }

  /** Takes bytes that were read from a view. */
  skip(count: number): void {
    this.#take(count);
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) {
      throw new EntryError(undefined, `${count} bytes more`, `${this.left}`, this.at);
    }
    this.#at = at + count;
    return at;
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  s32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  u64(): bigint {
    this.#halves();
    return U64[0]!;
  }

  s64(): bigint {
    this.#halves();
    return S64[0]!;
  }

  #halves(): void {
    const at = this.#take(8);
    HALVES[0] = this.#view.getInt32(at, true);
    HALVES[1] = this.#view.getInt32(at + 4, true);
  }

  /** A count that is kept in 64 bits. */
  count(): number {
    const { at } = this;
    const value = this.u64();
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
    throw new EntryError(undefined, 'a count below 2^53', String(value), at);
  }

  /** The bytes themselves, not a copy. */
  raw(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  /**
   * Bits, lowest first, in as few bytes as hold them.
   *
   * @returns where they are, for `bit`.
   */
  bits(count: number): number {
    const at = this.#take((count + 7) >>> 3);
    const spare = count & 7;
    const last = this.#bytes[this.#at - 1]!;
    if (spare === 0 || last >>> spare === 0) return at;
    throw new EntryError(undefined, `${spare} bits`, `0x${last.toString(16)}`, this.at - 1);
  }

  /** One of the bits at a place. */
  bit(at: number, index: number): boolean {
    return ((this.#bytes[at + (index >>> 3)]! >>> (index & 7)) & 1) === 1;
  }
}
