/**
 * The types a struct's field can have. A type knows its size, how to read and write one element of
 * the struct's views, and its form in JSON.
 */
import { parseS64, parseU64 } from './u64.ts';

/**
 * Where a struct begins in a buffer, and that buffer as elements of the usual widths; what is signed,
 * or of 16 bits, is made of these. Little-endian, as this module requires of the platform.
 */
export interface StructViews {
  /** Bytes from the buffer's start, a multiple of 8. */
  readonly at: number;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;
}

/** What a field of one element holds. */
export type Scalar = bigint | number | boolean | string;

/** The type of a field of one element, and of the elements of an array. */
export interface Field<T extends Scalar = Scalar> {
  /** Its name in errors: `u32`, `enum`. */
  readonly kind: string;
  /** Its size. */
  readonly bytes: 1 | 2 | 4 | 8;
  /** What its JSON has to be, for errors. */
  readonly json: string;
  /** The element at `index` of the struct, counted in elements of its size. */
  read(views: StructViews, index: number): T;
  /** Writes the element at `index`. */
  write(views: StructViews, index: number, value: T): void;
  encode(value: T): string | number | boolean;
  /** The value of a JSON value, `undefined` when it is none of this type. */
  decode(json: unknown): T | undefined;
}

/** The type of a field of a fixed number of elements. */
export interface ArrayField<T extends Scalar = Scalar> {
  readonly kind: 'array';
  readonly element: Field<T>;
  /** How many elements, always all there. */
  readonly capacity: number;
}

function wide(
  kind: 'u64' | 's64',
  parse: (text: string) => bigint,
  access: Pick<Field<bigint>, 'read' | 'write'>,
): Field<bigint> {
  const decode = (json: unknown): bigint | undefined => {
    if (typeof json !== 'string') return undefined;
    try {
      return parse(json);
    } catch {
      return undefined;
    }
  };
  const json = `${kind} as a decimal string`;
  return { kind, bytes: 8, json, encode: String, decode, ...access };
}

function narrow(
  kind: string,
  bytes: 1 | 2 | 4,
  range: readonly [number, number],
  access: Pick<Field<number>, 'read' | 'write'>,
): Field<number> {
  const [least, most] = range;
  const decode = (json: unknown): number | undefined =>
    typeof json === 'number' && Number.isInteger(json) && json >= least && json <= most
      ? json + 0 // −0 is no integer of the kernel's
      : undefined;
  const json = `an integer in ${least} … ${most}`;
  return { kind, bytes, json, encode: (value) => value, decode, ...access };
}

/** Unsigned 64-bit; written modulo 2^64. */
export const u64: Field<bigint> = wide('u64', parseU64, {
  read: (views, index) => views.u64[(views.at >>> 3) + index]!,
  write: (views, index, value) => {
    views.u64[(views.at >>> 3) + index] = value;
  },
});

/** Signed 64-bit; written modulo 2^64. */
export const s64: Field<bigint> = wide('s64', parseS64, {
  read: (views, index) => BigInt.asIntN(64, views.u64[(views.at >>> 3) + index]!),
  write: (views, index, value) => {
    views.u64[(views.at >>> 3) + index] = value;
  },
});

/** Unsigned 32-bit; written modulo 2^32. */
export const u32: Field<number> = narrow('u32', 4, [0, 0xffff_ffff], {
  read: (views, index) => views.u32[(views.at >>> 2) + index]!,
  write: (views, index, value) => {
    views.u32[(views.at >>> 2) + index] = value;
  },
});

/** Signed 32-bit; written modulo 2^32. */
export const s32: Field<number> = narrow('s32', 4, [-0x8000_0000, 0x7fff_ffff], {
  read: (views, index) => views.u32[(views.at >>> 2) + index]! | 0,
  write: (views, index, value) => {
    views.u32[(views.at >>> 2) + index] = value;
  },
});

/** Unsigned 16-bit; written modulo 2^16. */
export const u16: Field<number> = narrow('u16', 2, [0, 0xffff], {
  read: (views, index) =>
    views.u8[views.at + 2 * index]! | (views.u8[views.at + 2 * index + 1]! << 8),
  write: (views, index, value) => {
    views.u8[views.at + 2 * index] = value;
    views.u8[views.at + 2 * index + 1] = value >>> 8;
  },
});

/** Unsigned 8-bit; written modulo 2^8. */
export const u8: Field<number> = narrow('u8', 1, [0, 0xff], {
  read: (views, index) => views.u8[views.at + index]!,
  write: (views, index, value) => {
    views.u8[views.at + index] = value;
  },
});

/** Signed 8-bit; written modulo 2^8. */
export const s8: Field<number> = narrow('s8', 1, [-0x80, 0x7f], {
  read: (views, index) => (views.u8[views.at + index]! << 24) >> 24,
  write: (views, index, value) => {
    views.u8[views.at + index] = value;
  },
});

/** True or false, one byte; any byte but 0 reads as true. */
export const bool: Field<boolean> = {
  kind: 'bool',
  bytes: 1,
  json: 'true or false',
  read: (views, index) => views.u8[views.at + index] !== 0,
  write: (views, index, value) => {
    views.u8[views.at + index] = value ? 1 : 0;
  },
  encode: (value) => value,
  decode: (json) => (typeof json === 'boolean' ? json : undefined),
};

/**
 * One of some names, kept as its position in one byte; the first is the value of a new struct.
 *
 * Reading a byte that stands for no name and writing a name that is none throw a RangeError.
 *
 * @throws TypeError without names, with more than 256, or with one twice.
 */
export function oneOf<const N extends string>(...names: readonly [N, ...N[]]): Field<N> {
  const codes = new Map<string, number>(names.map((name, code) => [name, code]));
  if (codes.size !== names.length || codes.size === 0 || codes.size > 256) {
    throw new TypeError(`an enum has 1 … 256 different names, found ${names.join(', ')}`);
  }
  const list = names.join(', ');
  const refuse = (views: StructViews, index: number): never => {
    throw new RangeError(`expected a code of ${list}, found ${views.u8[views.at + index]}`);
  };
  return {
    kind: 'enum',
    bytes: 1,
    json: `one of ${list}`,
    // Errors are made apart, so that the read is small enough to be inlined.
    read: (views, index) => names[views.u8[views.at + index]!] ?? refuse(views, index),
    write: (views, index, value) => {
      const code = codes.get(value);
      if (code === undefined) {
        throw new RangeError(`expected one of ${list}, found ${JSON.stringify(value)}`);
      }
      views.u8[views.at + index] = code;
    },
    encode: (value) => value,
    decode: (json) =>
      typeof json === 'string' && codes.has(json) ? names[codes.get(json)!] : undefined,
  };
}

/**
 * A fixed number of elements of one type.
 *
 * @throws RangeError unless `capacity` is an integer of at least 1.
 */
export function array<T extends Scalar>(element: Field<T>, capacity: number): ArrayField<T> {
  if (!Number.isSafeInteger(capacity) || capacity < 1) {
    throw new RangeError(`capacity: expected an integer of at least 1, found ${capacity}`);
  }
  return { kind: 'array', element, capacity };
}
