/** Structs in JSON, writer beside reader. */
import { describeValue } from './describe.ts';
import type { ArrayField, Field, StructViews } from './field.ts';
import type { AnyStructType, StructLayout } from './struct.ts';

/** The member that tells a struct's name, by which a reviver knows it. */
const TAG = '$struct';

/** JSON that is no struct of the expected declaration. */
export class StructJsonError extends Error {
  override readonly name = 'StructJsonError';
  /** What it is about: `Page.mode`, `Page.times[2]`. */
  readonly path: string;
  readonly expected: string;
  /** What was found, shortened and printable. */
  readonly found: string;

  /** @internal */
  constructor(path: string, expected: string, found: string) {
    super(`${path}: expected ${expected}, found ${found}`);
    this.path = path;
    this.expected = expected;
    this.found = found;
  }
}

function encodeField(views: StructViews, field: Field | ArrayField, index: number): unknown {
  if (!('element' in field)) return field.encode(field.read(views, index));
  const { element, capacity } = field;
  return Array.from({ length: capacity }, (_, i) => element.encode(element.read(views, index + i)));
}

/** @internal The members of a struct, its name first. */
export function encodeStruct(views: StructViews, layout: StructLayout): Record<string, unknown> {
  const json: Record<string, unknown> = { [TAG]: layout.name };
  for (const { name, field, index } of layout.fields.values()) {
    json[name] = encodeField(views, field, index);
  }
  return json;
}

function reviveScalar(
  views: StructViews,
  field: Field,
  index: number,
  json: unknown,
  path: string,
): void {
  const value = field.decode(json);
  if (value === undefined) throw new StructJsonError(path, field.json, describeValue(json));
  field.write(views, index, value);
}

function reviveField(
  views: StructViews,
  field: Field | ArrayField,
  index: number,
  json: unknown,
  path: string,
): void {
  if (!('element' in field)) {
    reviveScalar(views, field, index, json, path);
    return;
  }
  const { element, capacity } = field;
  if (!Array.isArray(json) || json.length !== capacity) {
    throw new StructJsonError(path, `an array of ${capacity}`, describeValue(json));
  }
  json.forEach((item: unknown, i) => {
    reviveScalar(views, element, index + i, item, `${path}[${i}]`);
  });
}

/** @internal Fills a struct from parsed JSON. The name may be missing but must not be another's. */
export function reviveStruct(views: StructViews, layout: StructLayout, json: unknown): void {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new StructJsonError(layout.name, 'an object', describeValue(json));
  }
  const members = new Map<string, unknown>(Object.entries(json));
  const tag = members.get(TAG);
  if (tag !== undefined && tag !== layout.name) {
    throw new StructJsonError(
      `${layout.name}.${TAG}`,
      JSON.stringify(layout.name),
      describeValue(tag),
    );
  }
  members.delete(TAG);
  for (const { name, field, index } of layout.fields.values()) {
    reviveField(views, field, index, members.get(name), `${layout.name}.${name}`);
    members.delete(name);
  }
  for (const unknown of members.keys()) {
    throw new StructJsonError(layout.name, 'only its own fields', describeValue(unknown));
  }
}

/**
 * A reviver for `JSON.parse` that makes structs of these types wherever they are nested, such as in
 * a persisted XState snapshot.
 *
 * ```ts
 * JSON.parse(text, structReviver(Vm, Vcpu));
 * ```
 *
 * The reviver throws a `StructJsonError` for a struct that is damaged; one of a name that was not
 * given stays a plain object.
 *
 * @throws TypeError when two types have one name.
 */
export function structReviver(
  ...types: readonly AnyStructType[]
): (key: string, value: unknown) => unknown {
  const byName = new Map(types.map((type) => [type.layout.name, type]));
  if (byName.size !== types.length) {
    throw new TypeError(`two of ${types.map((type) => type.layout.name).join(', ')} are alike`);
  }
  return (_key, value): unknown => {
    if (typeof value !== 'object' || value === null || !(TAG in value)) return value;
    const type = byName.get(String(value[TAG]));
    return type === undefined ? value : type.fromJSON(value);
  };
}
