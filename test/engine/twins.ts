/** Two worlds that see the same inputs, one stepped by actors and one by tables: are they one? */
import { expect } from 'vitest';
import type { Input } from '../../events/index.ts';
import { type Dispatched, tableStepper, World } from '../../src/engine/index.ts';
import type { StructBase } from '../../src/num/index.ts';
import { Footsteps } from './footsteps.ts';
import { seen } from './future.ts';
import { bytesOf } from './snapshot.ts';

/** The structs of a world. */
const structsOf = (world: World): StructBase[] => [
  world.host,
  ...[...world.vms.values()].flatMap(({ cell, vcpus }) => [
    cell.state,
    ...[...vcpus.values()].map(({ state }) => state),
  ]),
];

/** What is true after an input: what was seen, clock reads derived so far, what each step left, and a hash of all bytes. */
export const markOf = (dispatched: Dispatched, steps: Footsteps, world: World): string =>
  [
    seen(dispatched),
    JSON.stringify([...world.derived]),
    steps.take(),
    ...structsOf(world).map((struct) => struct.hash()),
  ].join('; ');

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
  readonly #steps: Footsteps;
  readonly #second: World;
  readonly #otherSteps = new Footsteps(tableStepper());
  /** How many inputs were compared. */
  compared = 0;

  /** @param first - in which nothing has happened yet, stepped by `steps`. */
  constructor(first: World, steps: Footsteps) {
    this.#first = first;
    this.#steps = steps;
    const { switches, host } = first;
    this.#second = new World({ switches, host, stepper: this.#otherSteps.stepper });
  }

  /** After the first world took an input: the second takes it, and both must be the same. */
  readonly follow = (input: Input, dispatched: Dispatched): void => {
    const other = this.#second.dispatch(input);
    this.compared += 1;
    const [mark, otherMark] = [
      markOf(dispatched, this.#steps, this.#first),
      markOf(other, this.#otherSteps, this.#second),
    ];
    if (mark === otherMark && sameBytes(this.#first, this.#second)) return;
    expect(otherMark, input.type).toBe(mark);
    expect(bytesOf(this.#second), input.type).toEqual(bytesOf(this.#first));
  };
}
