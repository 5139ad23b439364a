/**
 * Flat structs: named fields over a run of bytes.
 *
 * The state of a host, a VM or a vCPU is a struct, so that a snapshot is a copy of bytes, equality
 * and hash are over bytes, and what a checker compares is what a log stores. Fields are laid out by
 * descending size, in the order of declaration within a size: everything is aligned and there is no
 * padding. Field accessors live on one prototype for each declaration, which lets V8 inline them to
 * a load or store. Structs of one declaration lie side by side (`struct-memory.ts`).
 */

import type { ArrayField, Field, Scalar, StructViews } from './field.ts';
import { FieldArray } from './field-array.ts';
import { hashBytes } from './hash.ts';
import { encodeStruct, reviveStruct } from './struct-json.ts';
import { type MemoryViews, StructMemory, viewsOf } from './struct-memory.ts';

if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) {
  throw new Error('masterclock keeps its state little-endian and this platform is big-endian');
}

/** The declaration of a struct: names and types. */
export type StructFields = Readonly<Record<string, Field | ArrayField>>;

/** Where a field lies. */
export interface FieldPlace {
  readonly name: string;
  readonly field: Field | ArrayField;
  /** Bytes from the struct's start. */
  readonly offset: number;
  /** The same in elements of the field's size, as the field's type counts them. */
  readonly index: number;
}

/** Where all fields lie. */
export interface StructLayout {
  readonly name: string;
  readonly byteLength: number;
  /** In the order of the declaration. */
  readonly fields: ReadonlyMap<string, FieldPlace>;
}

/** What every struct can do. */
export abstract class StructBase implements StructViews {
  /** Where the fields of this struct lie. */
  declare readonly layout: StructLayout;
  /** Where in the views below it begins, bytes: they show the structs beside it too. */
  readonly at: number;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;

  /** @internal */
  constructor({ u8, u32, u64 }: MemoryViews, at: number) {
    this.at = at;
    this.u8 = u8;
    this.u32 = u32;
    this.u64 = u64;
  }

  /**
   * The struct itself: writing here changes it. A view, made anew for each who asks, of a buffer that
   * other structs share: whoever sends it elsewhere sends a copy, `bytes.slice()`.
   */
  get bytes(): Uint8Array {
    return this.u8.subarray(this.at, this.at + this.layout.byteLength);
  }

  /** Another struct with the same bytes. */
  clone(): this {
    const Type = this.constructor as new () => this;
    const copy = new Type();
    copy.copyFrom(this);
    return copy;
  }

  /**
   * Makes this struct's bytes those of `other`.
   *
   * @throws TypeError when `other` comes from another declaration.
   */
  copyFrom(other: this): void {
    if (other.layout !== this.layout) {
      throw new TypeError(`expected a ${this.layout.name}, found a ${other.layout.name}`);
    }
    this.bytes.set(other.bytes);
  }

  /** Whether `other` comes from the same declaration and has the same bytes. */
  equals(other: this): boolean {
    if (other.layout !== this.layout) return false;
    const { byteLength } = this.layout;
    const words = byteLength >>> 2;
    const mine = this.at >>> 2;
    const its = other.at >>> 2;
    for (let i = 0; i < words; i++) {
      if (this.u32[mine + i] !== other.u32[its + i]) return false;
    }
    for (let i = words * 4; i < byteLength; i++) {
      if (this.u8[this.at + i] !== other.u8[other.at + i]) return false;
    }
    return true;
  }

  /** A hash of the bytes, an integer below 2^53; the same on every platform and version. */
  hash(): number {
    return hashBytes(this, this.layout.byteLength);
  }

  /** Fields as JSON has them: 64-bit ones as decimal strings, enums as names, arrays as arrays. */
  toJSON(): Record<string, unknown> {
    return encodeStruct(this, this.layout);
  }
}

type ValueOf<F> =
  F extends ArrayField<infer T> ? FieldArray<T> : F extends Field<infer T> ? T : never;

type ArrayNames<F extends StructFields> = {
  [K in keyof F]: F[K] extends ArrayField ? K : never;
}[keyof F];

/** A struct with the fields `F`. */
export type StructOf<F extends StructFields> = StructBase & {
  -readonly [K in Exclude<keyof F, ArrayNames<F>>]: ValueOf<F[K]>;
} & { readonly [K in ArrayNames<F>]: ValueOf<F[K]> };

/** Values for some fields; arrays may be shorter than their capacity. */
export type StructValues<F extends StructFields> = {
  readonly [K in keyof F]?: F[K] extends ArrayField<infer T> ? readonly T[] : ValueOf<F[K]>;
};

/** A declared struct: the class of its instances. */
export interface StructType<F extends StructFields> {
  /**
   * A struct of zeros, or a view of the bytes at `byteOffset` of a buffer.
   *
   * @throws RangeError when the buffer is too short or the offset is no multiple of 8.
   */
  new (buffer?: ArrayBuffer, byteOffset?: number): StructOf<F>;
  readonly layout: StructLayout;
  /** Size of an instance, bytes. */
  readonly byteLength: number;
  /**
   * A struct with some fields set, the others 0.
   *
   * @throws TypeError for a name that is no field; RangeError as the fields themselves throw.
   */
  of(values: StructValues<F>): StructOf<F>;
  /**
   * The struct that `toJSON()` wrote, from parsed JSON.
   *
   * @throws StructJsonError when a field is missing, unknown or has no value of its type.
   */
  fromJSON(json: unknown): StructOf<F>;
}

/** A declared struct, whatever its fields. */
export interface AnyStructType {
  new (buffer?: ArrayBuffer, byteOffset?: number): StructBase;
  readonly layout: StructLayout;
  readonly byteLength: number;
  fromJSON(json: unknown): StructBase;
}

/** The instances of a declared struct: `Struct<typeof Page>`. */
export type Struct<T extends AnyStructType> = InstanceType<T>;

const elementOf = (field: Field | ArrayField): Field =>
  'element' in field ? field.element : field;

const RESERVED = new Set(['at', 'u8', 'u32', 'u64', 'layout']);

function checkName(struct: string, name: string): void {
  if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name) || RESERVED.has(name) || name in StructBase.prototype) {
    throw new TypeError(`${struct}.${name}: this name cannot be a field's`);
  }
}

function layOut(name: string, fields: StructFields): StructLayout {
  const entries = Object.entries(fields);
  const placed = new Map<string, FieldPlace>();
  let offset = 0;
  for (const size of [8, 4, 2, 1]) {
    for (const [key, field] of entries) {
      if (elementOf(field).bytes !== size) continue;
      placed.set(key, { name: key, field, offset, index: offset / size });
      offset += size * ('element' in field ? field.capacity : 1);
    }
  }
  const inOrder = entries.map(([key]) => [key, placed.get(key)!] as const);
  return { name, byteLength: offset, fields: new Map(inOrder) };
}

function accessor({ field, index }: FieldPlace): PropertyDescriptor & ThisType<StructBase> {
  if ('element' in field) {
    return {
      get() {
        return new FieldArray(this, field, index);
      },
    };
  }
  const { read, write } = field;
  return {
    get() {
      return read(this, index);
    },
    set(value: Scalar) {
      write(this, index, value);
    },
  };
}

/**
 * Declares a struct.
 *
 * ```ts
 * const Page = struct('Page', { version: u32, systemTime: u64, mode: oneOf('off', 'on') });
 * type Page = Struct<typeof Page>;
 * const page = Page.of({ systemTime: 5n });
 * ```
 *
 * Integers are written modulo the size of their field, as an assignment in C does.
 *
 * @param name - the struct's name in JSON and in errors.
 * @throws TypeError for a field name that is no identifier or is one of a struct's own members.
 */
export function struct<const F extends StructFields>(name: string, fields: F): StructType<F> {
  for (const key of Object.keys(fields)) checkName(name, key);
  const layout = layOut(name, fields);
  const { byteLength } = layout;
  const memory = new StructMemory(byteLength);
  class Instance extends StructBase {
    static readonly layout = layout;
    static readonly byteLength = byteLength;
    static of(values: StructValues<F>): Instance {
      const instance = new Instance();
      for (const [key, value] of Object.entries(values)) {
        const place = layout.fields.get(key);
        if (place === undefined) throw new TypeError(`${name} has no field ${key}`);
        if (value === undefined) continue;
        const { field, index } = place;
        if ('element' in field) new FieldArray(instance, field, index).assign(value as Scalar[]);
        else field.write(instance, index, value as Scalar);
      }
      return instance;
    }
    static fromJSON(json: unknown): Instance {
      const instance = new Instance();
      reviveStruct(instance, layout, json);
      return instance;
    }
    constructor(buffer?: ArrayBuffer, byteOffset = 0) {
      if (buffer === undefined && byteOffset === 0) {
        const at = memory.take();
        super(memory.views, at);
      } else {
        super(viewsOf(buffer ?? new ArrayBuffer(byteLength), byteOffset, byteLength), 0);
      }
    }
  }
  Object.defineProperty(Instance, 'name', { value: name });
  Object.defineProperty(Instance.prototype, 'layout', { value: layout });
  for (const place of layout.fields.values()) {
    Object.defineProperty(Instance.prototype, place.name, accessor(place));
  }
  return Instance as unknown as StructType<F>;
}
