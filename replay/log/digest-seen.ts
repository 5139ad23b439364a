/** Observations as bytes, for a digest: every field, in the order in which they are declared. */
import { camelCase } from '../../events/event.ts';
import { EVENTS, OBSERVATIONS, type Observation } from '../../events/index.ts';
import { type ByteWriter, setBytes, setU64 } from '../../events/log/bytes.ts';

type Type = 'u8' | 's8' | 'u32' | 's32' | 'u64' | 's64' | 'bool' | 'bytes' | 'text';

/** How values are written: as 32 bits, as 64 bits, or as their length and their bytes. */
const NARROW = 0;
const WIDE = 1;
const BYTES = 2;
const FORMS: Partial<Record<Type, number>> = { u64: WIDE, s64: WIDE, bytes: BYTES, text: BYTES };

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

/** Writes observations of one type: `digest.test.ts` has the same written plainly. */
class SeenWriter {
  /** The type's name. */
  readonly #name: Uint8Array;
  /** By place. */
  readonly #forms: readonly number[];
  /** By name: the places of the vCPU and of the declared fields. */
  readonly #placeOf: ReadonlyMap<string, number>;
  /** The members that the last one had, and their places: mostly the next has the same. */
  readonly #members: string[] = [];
  readonly #places: number[] = [];
  /** The values of one observation, by place; texts as their bytes. */
  readonly #values: unknown[];
  /** What one takes at most, but for the bytes of `bytes` and `text`. */
  readonly #fixedBytes: number;

  constructor(type: Observation['type']) {
    const places = [['vcpu', NARROW] as const, ...fieldsOf(type)];
    this.#name = utf8.encode(`${type}\0`);
    this.#forms = places.map(([, form]) => form);
    this.#placeOf = new Map(places.map(([name], place) => [name, place]));
    this.#values = places.map(() => undefined);
    this.#fixedBytes = this.#name.length + INSTANT_BYTES + VALUE_BYTES * places.length;
  }

  write(out: ByteWriter, tsc: bigint, seen: Observation): void {
    out.reserve(this.#fixedBytes + this.#take(seen));
    const { buffer, view } = out;
    const forms = this.#forms;
    const values = this.#values;
    let at = out.length;
    setBytes(buffer, at, this.#name);
    at += this.#name.length;
    setU64(view, at, tsc);
    at += INSTANT_BYTES;
    for (let place = 0; place < forms.length; place++) {
      const value = values[place];
      buffer[at++] = value === undefined ? 0 : 1;
      if (value === undefined) continue;
      values[place] = undefined;
      const form = forms[place]!;
      if (form === NARROW) {
        view.setInt32(at, Number(value) | 0, true);
        at += 4;
      } else if (form === WIDE) {
        setU64(view, at, value as bigint);
        at += 8;
      } else {
        const bytes = value as Uint8Array;
        view.setInt32(at, bytes.length, true);
        setBytes(buffer, at + 4, bytes);
        at += 4 + bytes.length;
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
    const members = Object.keys(of);
    let length = 0;
    for (let index = 0; index < members.length; index++) {
      const member = members[index]!;
      const place = before[index] === member ? places[index]! : this.#find(index, member);
      if (place === NOWHERE) continue;
      let value = of[member];
      if (this.#forms[place] === BYTES && value !== undefined) {
        if (typeof value === 'string') value = bytesOf(value);
        length += (value as Uint8Array).length;
      }
      this.#values[place] = value;
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
}
