/**
 * A machine's active states in the header of its struct, and back.
 *
 * Each region of a machine is a field of the same name whose values are the region's leaf states,
 * with dots for nesting (`off.unmatched`).
 */
import type { StateValue } from 'xstate';
import type { StructBase } from '../num/index.ts';

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
