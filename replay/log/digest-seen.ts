/** Observations as bytes, for a digest, and counted: every field, in the order of the declaration. */
import { camelCase } from '../../events/event.ts';
import { EVENTS, OBSERVATIONS, type Observation } from '../../events/index.ts';
import { type ByteWriter, setBytes, setU64 } from '../../events/log/bytes.ts';

type Type = 'u8' | 's8' | 'u32' | 's32' | 'u64' | 's64' | 'bool' | 'bytes' | 'text';

/** How values are written: as 32 bits, or 1 and 0; as 64 bits; or as their length and their bytes. */
const NARROW = 0;
const FLAG = 1;
const WIDE = 2;
const BYTES = 3;
const FORMS: Partial<Record<Type, number>> = {
  bool: FLAG,
  u64: WIDE,
  s64: WIDE,
  bytes: BYTES,
  text: BYTES,
};

/** Bytes of an instant; what a value takes at most, but for the bytes of `bytes` and `text`. */
const INSTANT_BYTES = 8;
const VALUE_BYTES = 9;

const utf8 = new TextEncoder();

/** Texts of observations, as bytes: they are names that the model's code has, few and short. */
const TEXTS = new Map<string, Uint8Array>();

function bytesOf(text: string): Uint8Array {
  let bytes = TEXTS.get(text);
  if (bytes === undefined) {
    bytes = utf8.encode(text);
    TEXTS.set(text, bytes);
  }
  return bytes;
}

function fieldsOf(type: Observation['type']): readonly (readonly [name: string, form: number])[] {
  const fields: readonly (readonly [string, { readonly type: Type }])[] = Object.hasOwn(
    OBSERVATIONS,
    type,
  )
    ? Object.entries(OBSERVATIONS[type as keyof typeof OBSERVATIONS].fields)
    : Object.entries(EVENTS[type as keyof typeof EVENTS].fields).map(
        ([name, spec]) => [camelCase(name), spec] as const,
      );
  return fields.map(([name, { type }]): readonly [string, number] => [name, FORMS[type] ?? NARROW]);
}

/** The place of members that are no field of the type: `type` and `vm`. */
const NOWHERE = -1;

/** The values of one observation by place: numbers as such, so that no collector has to know of them. */
class Values {
  /** 1 where there is one, until it was written. */
  readonly present: Uint8Array;
  readonly narrow: Int32Array;
  readonly wide: BigUint64Array;
  /** The same, each in two halves, the lower one first. */
  readonly halves: Int32Array;
  /** Bytes, those of texts too. */
  readonly bytes: (Uint8Array | undefined)[];

  constructor(places: number) {
    this.present = new Uint8Array(places);
    this.narrow = new Int32Array(places);
    this.wide = new BigUint64Array(places);
    this.halves = new Int32Array(this.wide.buffer);
    this.bytes = Array.from({ length: places }, () => undefined);
  }
}

/** Writes observations of one type: `digest.test.ts` has the same written plainly. */
class SeenWriter {
  /** How many were written. */
  times = 0;
  /** The type's name. */
  readonly #name: Uint8Array;
  /** By place. */
  readonly #forms: Uint8Array;
  /** By name: the places of the vCPU and of the declared fields. */
  readonly #placeOf: ReadonlyMap<string, number>;
  /** The members that the last one had, and their places: mostly the next has the same. */
  readonly #members: string[] = [];
  readonly #places: number[] = [];
  readonly #values: Values;
  /** What one takes at most, but for the bytes of `bytes` and `text`. */
  readonly #fixedBytes: number;

  constructor(type: Observation['type']) {
    const places = [['vcpu', NARROW] as const, ...fieldsOf(type)];
    this.#name = utf8.encode(`${type}\0`);
    this.#forms = Uint8Array.from(places, ([, form]) => form);
    this.#placeOf = new Map(places.map(([name], place) => [name, place]));
    this.#values = new Values(places.length);
    this.#fixedBytes = this.#name.length + INSTANT_BYTES + VALUE_BYTES * places.length;
  }

  write(out: ByteWriter, tsc: bigint, seen: Observation): void {
    out.reserve(this.#fixedBytes + this.#take(seen));
    this.times += 1;
    const { buffer, view } = out;
    const forms = this.#forms;
    const { present, narrow, halves, bytes } = this.#values;
    let at = out.length;
    setBytes(buffer, at, this.#name);
    at += this.#name.length;
    setU64(view, at, tsc);
    at += INSTANT_BYTES;
    for (let place = 0; place < forms.length; place++) {
      const isThere = present[place]!;
      buffer[at++] = isThere;
      if (isThere === 0) continue;
      present[place] = 0;
      const form = forms[place]!;
      if (form === WIDE) {
        view.setInt32(at, halves[2 * place]!, true);
        view.setInt32(at + 4, halves[2 * place + 1]!, true);
        at += 8;
      } else if (form === BYTES) {
        const some = bytes[place]!;
        view.setInt32(at, some.length, true);
        setBytes(buffer, at + 4, some);
        at += 4 + some.length;
      } else {
        view.setInt32(at, narrow[place]!, true);
        at += 4;
      }
    }
    out.extend(at);
  }

  /**
   * Goes over the members there are: most of those that may be are not, and to ask for them is slow.
   *
   * @returns how many bytes there are in `bytes` and `text`.
   */
  #take(seen: Observation): number {
    const of = seen as unknown as Readonly<Record<string, unknown>>;
    const places = this.#places;
    const before = this.#members;
    const forms = this.#forms;
    const { present, narrow, wide, bytes } = this.#values;
    let length = 0;
    let index = -1;
    for (const member in of) {
      index += 1;
      const place = before[index] === member ? places[index]! : this.#find(index, member);
      const value = of[member];
      if (place === NOWHERE || value === undefined) continue;
      const form = forms[place]!;
      if (form === NARROW) narrow[place] = value as number;
      else if (form === WIDE) wide[place] = value as bigint;
      else if (form === FLAG) narrow[place] = value === true ? 1 : 0;
      else {
        const some = typeof value === 'string' ? bytesOf(value) : (value as Uint8Array);
        bytes[place] = some;
        length += some.length;
      }
      present[place] = 1;
    }
    return length;
  }

  #find(index: number, member: string): number {
    const place = this.#placeOf.get(member) ?? NOWHERE;
    this.#members[index] = member;
    this.#places[index] = place;
    return place;
  }
}

/** Writes observations of all types. */
export class SeenWriters {
  readonly #writers = new Map<Observation['type'], SeenWriter>();

  /** Writes one, of an input at an instant: its type, that instant, its vCPU and its fields. */
  write(out: ByteWriter, tsc: bigint, seen: Observation): void {
    let writer = this.#writers.get(seen.type);
    if (writer === undefined) {
      writer = new SeenWriter(seen.type);
      this.#writers.set(seen.type, writer);
    }
    writer.write(out, tsc, seen);
  }

  /** How many of each type were written, in the order in which the first of each was. */
  get times(): ReadonlyMap<Observation['type'], number> {
    return new Map([...this.#writers].map(([type, { times }]) => [type, times]));
  }
}
