/** Observations as bytes, for a digest: every field, in the order in which they are declared. */
import { camelCase } from '../../events/event.ts';
import { EVENTS, OBSERVATIONS, type Observation } from '../../events/index.ts';
import type { ByteWriter } from '../../events/log/bytes.ts';

type Type = 'u8' | 's8' | 'u32' | 's32' | 'u64' | 's64' | 'bool' | 'bytes' | 'text';

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

function fieldsOf(type: Observation['type']): readonly (readonly [name: string, type: Type])[] {
  const fields = Object.hasOwn(OBSERVATIONS, type)
    ? Object.entries(OBSERVATIONS[type as keyof typeof OBSERVATIONS].fields)
    : Object.entries(EVENTS[type as keyof typeof EVENTS].fields).map(
        ([name, spec]) => [camelCase(name), spec] as const,
      );
  return fields.map(([name, { type }]) => [name, type]);
}

function writeValue(out: ByteWriter, type: Type, value: unknown): void {
  out.u8(value === undefined ? 0 : 1);
  if (value === undefined) return;
  if (type === 'u64' || type === 's64') out.u64(value as bigint);
  else if (type === 'text' || type === 'bytes') {
    const bytes = type === 'text' ? bytesOf(value as string) : (value as Uint8Array);
    out.u32(bytes.length);
    out.raw(bytes);
  } else out.u32(Number(value) >>> 0);
}

/** The place of members that are no field of the type: `type`, `vm` and `vcpu`. */
const NOWHERE = -1;

/** Writes observations of one type. */
class SeenWriter {
  /** The type's name. */
  readonly #name: Uint8Array;
  readonly #types: readonly Type[];
  /** By name: which of the declared fields it is. */
  readonly #placeOf: ReadonlyMap<string, number>;
  /** The members that the last one had, and their places: mostly the next has the same. */
  readonly #members: string[] = [];
  readonly #places: number[] = [];
  /** The values of one observation, by place. */
  readonly #values: unknown[];

  constructor(type: Observation['type']) {
    const fields = fieldsOf(type);
    this.#name = utf8.encode(`${type}\0`);
    this.#types = fields.map(([, type]) => type);
    this.#placeOf = new Map(fields.map(([name], place) => [name, place]));
    this.#values = fields.map(() => undefined);
  }

  write(out: ByteWriter, tsc: bigint, seen: Observation): void {
    this.#take(seen);
    out.raw(this.#name);
    out.u64(tsc);
    writeValue(out, 'u32', seen.vcpu);
    const types = this.#types;
    const values = this.#values;
    for (let place = 0; place < types.length; place++) {
      writeValue(out, types[place]!, values[place]);
      values[place] = undefined;
    }
  }

  /** Goes over the members there are: most of those that may be are not, and to ask for them is slow. */
  #take(seen: Observation): void {
    const of = seen as unknown as Readonly<Record<string, unknown>>;
    const values = this.#values;
    let index = 0;
    for (const member in of) {
      const place =
        this.#members[index] === member ? this.#places[index]! : this.#find(index, member);
      if (place !== NOWHERE) values[place] = of[member];
      index += 1;
    }
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
