/**
 * Inputs in columns: how they travel in bulk.
 *
 * Nearly all inputs of a long log are bare, which is to say nothing but their type, instant, VM and
 * vCPU: entries and exits. These have no object and no bigint each, until somebody asks for one.
 */
import { INPUTS, type Input, type InputType } from './inputs.ts';
import type { InputSpec } from './model-spec.ts';

/** The types of inputs, by code. */
export const INPUT_TYPES = Object.freeze(Object.keys(INPUTS)) as readonly InputType[];

const CODES: ReadonlyMap<string, number> = new Map(INPUT_TYPES.map((type, code) => [type, code]));

/** The code of a type, which is its place among them. */
export const inputCode = (type: InputType): number => CODES.get(type)!;

/** The types whose inputs may have nothing but an instant, a VM and a vCPU. */
export const BARE_TYPES: ReadonlySet<InputType> = new Set(
  INPUT_TYPES.filter((type) => {
    const { target, fields }: InputSpec = INPUTS[type];
    return target === 'vcpu' && Object.values(fields).every(({ optional }) => optional);
  }),
);

/** An input of such a type that has nothing else. */
export const bareInput = (code: number, tsc: bigint, vm: number, vcpu: number): Input =>
  ({ type: INPUT_TYPES[code]!, tsc, vm, vcpu }) as Input;

const FIRST_ROWS = 64;
/** When there is no room left there will be at least so many times as much. */
const GROWTH = 2;

/** Inputs in a row: rows `0 … length-1`. */
export class InputBatch {
  length = 0;
  /** Of their types. */
  codes = new Uint8Array(FIRST_ROWS);
  /** Host TSC. */
  tscs = new BigUint64Array(FIRST_ROWS);
  /** The VM and the vCPU; 0 where the type names none. */
  vms = new Uint32Array(FIRST_ROWS);
  vcpus = new Uint32Array(FIRST_ROWS);
  /** Halves of the instants, the lower one first (as on all platforms that run this): no bigints. */
  halves = new Int32Array(this.tscs.buffer);
  /** Inputs that came whole. */
  readonly #whole: Input[] = [];
  /** By row: which of them it is, counted from 1; 0 for one of which there are only the columns. */
  #places = new Uint32Array(FIRST_ROWS);

  /** Has no rows any more, and the room that it had. */
  clear(): void {
    this.#places.fill(0, 0, this.length);
    this.#whole.length = 0;
    this.length = 0;
  }

  /** Makes room for so many more. */
  reserve(rows: number): void {
    const needed = this.length + rows;
    const { length } = this.codes;
    if (needed > length) this.#grow(Math.max(needed, GROWTH * length));
  }

  /**
   * Adds an input, whatever it has.
   *
   * @param code - of its type, for who knows it.
   */
  add(input: Input, code = inputCode(input.type)): void {
    this.reserve(1);
    const row = this.length++;
    this.codes[row] = code;
    this.tscs[row] = input.tsc;
    this.vms[row] = 'vm' in input ? input.vm : 0;
    this.vcpus[row] = 'vcpu' in input ? input.vcpu : 0;
    this.#places[row] = this.#whole.push(input);
  }

  /** Counts in bare inputs: rows behind the last, of which the columns were filled. */
  addBare(rows: number): void {
    this.length += rows;
  }

  #grow(rows: number): void {
    const { codes, tscs, vms, vcpus } = this;
    this.codes = new Uint8Array(rows);
    this.codes.set(codes);
    this.tscs = new BigUint64Array(rows);
    this.tscs.set(tscs);
    this.vms = new Uint32Array(rows);
    this.vms.set(vms);
    this.vcpus = new Uint32Array(rows);
    this.vcpus.set(vcpus);
    const places = this.#places;
    this.#places = new Uint32Array(rows);
    this.#places.set(places);
    this.halves = new Int32Array(this.tscs.buffer);
  }

  /** Whether there are only the columns of a row. */
  isBare(row: number): boolean {
    return this.#places[row] === 0;
  }

  /** The input of a row that came whole; `undefined` for one that is bare. */
  whole(row: number): Input | undefined {
    return this.isBare(row) ? undefined : this.#whole[this.#places[row]! - 1];
  }

  /** The input of a row. */
  at(row: number): Input {
    const { codes, tscs, vms, vcpus } = this;
    return this.whole(row) ?? bareInput(codes[row]!, tscs[row]!, vms[row]!, vcpus[row]!);
  }

  /** The inputs of some rows, by default of all. */
  *rows(from = 0, to = this.length): Generator<Input> {
    for (let row = from; row < to; row++) yield this.at(row);
  }
}

/** A batch for those who only read it: what its columns hold is not to be changed either. */
export type InputRows = Readonly<Omit<InputBatch, 'clear' | 'reserve' | 'add' | 'addBare'>>;
