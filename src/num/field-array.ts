import type { ArrayField, Field, Scalar, StructViews } from './field.ts';

/**
 * An array field of one struct: a view, so what it reads and writes are the struct's bytes.
 *
 * Getting the field makes the view; keep it for the length of a loop.
 */
export class FieldArray<T extends Scalar> implements Iterable<T> {
  /** Number of elements. */
  readonly length: number;
  readonly #views: StructViews;
  readonly #element: Field<T>;
  readonly #first: number;

  /** @internal */
  constructor(views: StructViews, field: ArrayField<T>, first: number) {
    this.#views = views;
    this.#element = field.element;
    this.#first = first;
    this.length = field.capacity;
  }

  #place(index: number): number {
    if ((index | 0) !== index || index < 0 || index >= this.length) {
      throw new RangeError(`expected an index in 0 … ${this.length - 1}, found ${index}`);
    }
    return this.#first + index;
  }

  /**
   * The element at `index`.
   *
   * @throws RangeError when there is none.
   */
  get(index: number): T {
    return this.#element.read(this.#views, this.#place(index));
  }

  /**
   * Writes the element at `index`.
   *
   * @throws RangeError when there is none, or an enum has no such name.
   */
  set(index: number, value: T): void {
    this.#element.write(this.#views, this.#place(index), value);
  }

  /**
   * Writes `values` from the start on; elements beyond them keep theirs.
   *
   * @throws RangeError when they are more than `length`, before anything is written.
   */
  assign(values: readonly T[]): void {
    if (values.length > this.length) {
      throw new RangeError(`expected at most ${this.length} values, found ${values.length}`);
    }
    values.forEach((value, index) => {
      this.set(index, value);
    });
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let index = 0; index < this.length; index++) yield this.get(index);
  }
}
