/**
 * A machine's active states in the header of its struct, and back.
 *
 * Each region of a machine is a field of the same name whose values are the region's leaf states,
 * with dots for nesting (`off.unmatched`).
 */
import type { StateValue } from 'xstate';
import type { AnyStructType, StructBase } from '../num/index.ts';

/** A region's value as the path of its leaf state. */
export function leafPath(value: StateValue): string {
  if (typeof value === 'string') return value;
  const entries = Object.entries(value);
  const [name, inner] = entries[0] ?? [];
  if (entries.length !== 1 || name === undefined || inner === undefined) {
    throw new TypeError(`a region has one active state, found ${JSON.stringify(value)}`);
  }
  const rest = leafPath(inner);
  return rest === '' ? name : `${name}.${rest}`;
}

/** The path of a leaf state as its region's value. */
export function leafValue(path: string): StateValue {
  const dot = path.indexOf('.');
  return dot < 0 ? path : { [path.slice(0, dot)]: leafValue(path.slice(dot + 1)) };
}

/** Writes the states into the struct's header. */
export function writeModes(state: StructBase, value: StateValue): void {
  for (const [region, inner] of Object.entries(value as Record<string, StateValue>)) {
    (state as unknown as Record<string, string>)[region] = leafPath(inner);
  }
}

/** The states that the struct's header says, for these regions. */
export function readModes(state: StructBase, regions: readonly string[]): StateValue {
  const fields = state as unknown as Record<string, string>;
  return Object.fromEntries(regions.map((region) => [region, leafValue(fields[region]!)]));
}

/**
 * The byte of a struct in which the state of a region stands.
 *
 * @throws TypeError when the struct has no such field.
 */
export function regionOffset({ layout }: AnyStructType, region: string): number {
  const place = layout.fields.get(region);
  if (place !== undefined && !('element' in place.field)) return place.offset;
  throw new TypeError(`expected ${layout.name} to have a field for ${region}`);
}

/** What stands there for a state. @throws as `regionOffset`, and RangeError for no state of it. */
export function stateByte(type: AnyStructType, region: string, state: string): number {
  const offset = regionOffset(type, region);
  const blank = new type();
  (blank as unknown as Record<string, string>)[region] = state;
  return blank.bytes[offset]!;
}
