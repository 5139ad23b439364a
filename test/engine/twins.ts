/** Two worlds that see the same inputs, one stepped by actors and one by tables: are they one? */
import { expect } from 'vitest';
import type { Input } from '../../events/index.ts';
import { type Dispatched, tableStepper, World } from '../../src/engine/index.ts';
import type { StructBase } from '../../src/num/index.ts';
import { seen } from './future.ts';
import { bytesOf } from './snapshot.ts';

/** A dispatch as text, with the clock reads that it derived. */
const seenWithReads = (dispatched: Dispatched): string =>
  `${seen(dispatched)} ${JSON.stringify([...dispatched.derived])}`;

/** The structs of a world. */
const structsOf = (world: World): StructBase[] => [
  world.host,
  ...[...world.vms.values()].flatMap(({ cell, vcpus }) => [
    cell.state,
    ...[...vcpus.values()].map(({ state }) => state),
  ]),
];

const sameBytes = (a: World, b: World): boolean => {
  const others = structsOf(b);
  const structs = structsOf(a);
  return (
    structs.length === others.length && structs.every((struct, i) => struct.equals(others[i]!))
  );
};

/** A world stepped by tables that goes along with another. */
export class Twin {
  readonly #first: World;
  readonly #second: World;
  /** How many inputs were compared. */
  compared = 0;

  /** @param first - in which nothing has happened yet. */
  constructor(first: World) {
    this.#first = first;
    const { switches, host } = first;
    this.#second = new World({ switches, host, stepper: tableStepper() });
  }

  /** After the first world took an input: the second takes it, and both must be the same. */
  readonly follow = (input: Input, dispatched: Dispatched): void => {
    const other = this.#second.dispatch(input);
    this.compared += 1;
    const same =
      sameBytes(this.#first, this.#second) && seenWithReads(other) === seenWithReads(dispatched);
    if (same) return;
    expect(seenWithReads(other), input.type).toBe(seenWithReads(dispatched));
    expect(bytesOf(this.#second), input.type).toEqual(bytesOf(this.#first));
  };
}
