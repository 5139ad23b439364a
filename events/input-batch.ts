/**
 * Inputs in rows: how they travel in bulk.
 *
 * Nearly all inputs of a long log are bare, which is to say nothing but their type, instant, VM and
 * vCPU: entries and exits. These have no object and no bigint each, until somebody asks for one.
 *
 * A row is six words of one array, as V8 checks an array's kind, place and length wherever one is
 * used: of a column for each, that took longer than all that was done with them.
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

/** Words of a row, 32 bits each; its instant is a u64 at a multiple of `ROW_WORDS / 2`. */
export const ROW_WORDS = 6;
/** Which word of a row is what. */
export const ROW = {
  /** Halves of the instant, host TSC; the lower one first, as on all platforms that run this. */
  low: 0,
  high: 1,
  /** The VM and the vCPU; 0 where the type names none. */
  vm: 2,
  vcpu: 3,
  /** The code of the type; of an input that came whole, `WHOLE` more. */
  kind: 4,
  /** Of an input that came whole: its place among these. */
  place: 5,
} as const;
const WHOLE = 256;

/** What an input may name. */
interface Names {
  readonly vm?: number;
  readonly vcpu?: number;
}

const FIRST_ROWS = 64;
/** When there is no room left there will be at least so many times as much. */
const GROWTH = 2;

/** Inputs in a row: rows `0 … length-1`. */
export class InputBatch {
  length = 0;
  /** All rows; signed, as V8 need not ask whether a number of them is a small one. */
  words = new Int32Array(FIRST_ROWS * ROW_WORDS);
  /** The same as u64, for the instants. */
  #wides = new BigUint64Array(this.words.buffer);
  /** Inputs that came whole. */
  readonly #whole: Input[] = [];

  /** Has no rows any more, and the room that it had. */
  clear(): void {
    this.#whole.length = 0;
    this.length = 0;
  }

  /** Makes room for so many more. */
  reserve(rows: number): void {
    const needed = (this.length + rows) * ROW_WORDS;
    const { length } = this.words;
    if (needed > length) this.#grow(Math.max(needed, GROWTH * length));
  }

  /**
   * Adds an input, whatever it has.
   *
   * @param code - of its type, for who knows it.
   */
  add(input: Input, code = inputCode(input.type)): void {
    const at = this.#addRow(input.tsc);
    const { words } = this;
    const { vm = 0, vcpu = 0 } = input as Input & Names;
    words[at + ROW.vm] = vm;
    words[at + ROW.vcpu] = vcpu;
    words[at + ROW.kind] = code + WHOLE;
    words[at + ROW.place] = this.#whole.push(input) - 1;
  }

  /** Adds a bare input. */
  addBare(code: number, tsc: bigint, vm: number, vcpu: number): void {
    const at = this.#addRow(tsc);
    const { words } = this;
    words[at + ROW.vm] = vm;
    words[at + ROW.vcpu] = vcpu;
    words[at + ROW.kind] = code;
  }

  /** @returns where its words are. */
  #addRow(tsc: bigint): number {
    this.reserve(1);
    const at = ROW_WORDS * this.length++;
    this.#wides[at >>> 1] = tsc;
    return at;
  }

  #grow(length: number): void {
    const words = new Int32Array(length);
    words.set(this.words);
    this.words = words;
    this.#wides = new BigUint64Array(words.buffer);
  }

  /** The code of a row's type. */
  codeOf(row: number): number {
    return this.words[ROW_WORDS * row + ROW.kind]! & (WHOLE - 1);
  }

  /** Host TSC. */
  tscOf(row: number): bigint {
    return this.#wides[(ROW_WORDS / 2) * row]!;
  }

  /** The VM that a row names; 0 where the type names none. */
  vmOf(row: number): number {
    return this.words[ROW_WORDS * row + ROW.vm]! >>> 0;
  }

  /** The vCPU that a row names; 0 where the type names none. */
  vcpuOf(row: number): number {
    return this.words[ROW_WORDS * row + ROW.vcpu]! >>> 0;
  }

  /** Whether there is no more of an input than its row. */
  isBare(row: number): boolean {
    return this.words[ROW_WORDS * row + ROW.kind]! < WHOLE;
  }

  /** The input of a row that came whole; `undefined` for one that is bare. */
  whole(row: number): Input | undefined {
    if (this.isBare(row)) return undefined;
    return this.#whole[this.words[ROW_WORDS * row + ROW.place]!];
  }

  /** The input of a row. */
  at(row: number): Input {
    return (
      this.whole(row) ??
      bareInput(this.codeOf(row), this.tscOf(row), this.vmOf(row), this.vcpuOf(row))
    );
  }

  /** The inputs of some rows, by default of all. */
  *rows(from = 0, to = this.length): Generator<Input> {
    for (let row = from; row < to; row++) yield this.at(row);
  }
}

/** A batch for those who only read it: what its rows hold is not to be changed either. */
export type InputRows = Readonly<Omit<InputBatch, 'clear' | 'reserve' | 'add' | 'addBare'>>;
