/**
 * Where structs lie: those of one declaration side by side in a buffer that they share.
 *
 * A buffer of its own and three views of it would be more memory than most structs are themselves,
 * take longer to make, and leave less room in a processor's caches for the state of other VMs.
 */
import type { StructViews } from './field.ts';

/** Some bytes of a buffer in elements of the usual widths. */
export type MemoryViews = Omit<StructViews, 'at'>;

/**
 * The views of a part of a buffer, each up to the last whole element in it.
 *
 * @throws RangeError when the buffer is too short or the offset is no multiple of 8.
 */
export function viewsOf(buffer: ArrayBuffer, byteOffset: number, byteLength: number): MemoryViews {
  if (byteOffset < 0 || byteOffset % 8 !== 0 || byteOffset + byteLength > buffer.byteLength) {
    throw new RangeError(
      `expected ${byteLength} bytes at a multiple of 8, ` +
        `found offset ${byteOffset} in a buffer of ${buffer.byteLength}`,
    );
  }
  return {
    u8: new Uint8Array(buffer, byteOffset, byteLength),
    u32: new Uint32Array(buffer, byteOffset, byteLength >>> 2),
    u64: new BigUint64Array(buffer, byteOffset, byteLength >>> 3),
  };
}

const viewsOfNew = (byteLength: number): MemoryViews =>
  viewsOf(new ArrayBuffer(byteLength), 0, byteLength);

/** A buffer has room for this many structs at first, and then for twice as many as the one before. */
const FIRST_ROOM = 4;
/** No buffer is made larger for more structs: all of it is kept as long as one of its structs is. */
const MOST_BYTES = 1 << 13;

/** Room for structs of one size. */
export class StructMemory {
  #views = viewsOfNew(0);
  readonly #stride: number;
  #next = 0;

  constructor(byteLength: number) {
    // Each begins at a multiple of 8, as its largest fields have to.
    this.#stride = (byteLength + 7) & ~7;
  }

  /** The buffer that `take` last took from. */
  get views(): MemoryViews {
    return this.#views;
  }

  /** @returns where in `views` a new struct begins; all of it is 0. */
  take(): number {
    const { length } = this.#views.u8;
    if (this.#next + this.#stride > length) {
      const most = Math.max(MOST_BYTES, this.#stride);
      const room = Math.max(FIRST_ROOM * this.#stride, 2 * length);
      this.#views = viewsOfNew(Math.min(room, most));
      this.#next = 0;
    }
    const at = this.#next;
    this.#next += this.#stride;
    return at;
  }
}
