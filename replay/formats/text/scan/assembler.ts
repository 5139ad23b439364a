/**
 * Just enough of WebAssembly to write a function in: expressions are bytes, joined by functions named
 * after what they do. Core specification 2.0, chapter 5 (binary format), and the SIMD instructions.
 */

/** Instructions as they stand in a module: bytes, nested as they were written. */
export type Code = readonly (number | Code)[];

/** The bytes in a row: joined once at the end, as joining at each step takes ten times as long. */
function bytesOf(code: Code, bytes: number[] = []): readonly number[] {
  for (const part of code) {
    if (typeof part === 'number') bytes.push(part);
    else bytesOf(part, bytes);
  }
  return bytes;
}

/** Value types by their byte. */
const TYPE = { i32: 0x7f, i64: 0x7e } as const;
export type Type = keyof typeof TYPE;

const EMPTY_BLOCK = 0x40;
const END = 0x0b;

/** LEB128, unsigned and signed. */
function unsigned(value: number): Code {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

function signed(value: bigint): Code {
  const bytes: number[] = [];
  let rest = value;
  for (; rest < -64n || rest > 63n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest & 0x7fn)];
}

export const i32 = (value: number): Code => [0x41, ...signed(BigInt(value | 0))];
export const i64 = (value: bigint): Code => [0x42, ...signed(BigInt.asIntN(64, value))];

const unary =
  (...opcode: number[]) =>
  (a: Code): Code => [a, ...opcode];
const binary =
  (...opcode: number[]) =>
  (a: Code, b: Code): Code => [a, b, ...opcode];
/** With an alignment, which is a hint only, and an offset. */
const load =
  (...opcode: number[]) =>
  (at: Code, offset = 0): Code => [at, ...opcode, 0, unsigned(offset)];
const store =
  (opcode: number) =>
  (at: Code, value: Code, offset = 0): Code => [at, value, opcode, 0, unsigned(offset)];

export const load8 = load(0x2d);
export const load16 = load(0x2f);
export const load32 = load(0x28);
export const load64 = load(0x29);
export const load128 = load(0xfd, 0x00);
export const store8 = store(0x3a);
export const store32 = store(0x36);
export const store64 = store(0x37);

/** Instructions on `i32`; `or`, `and` also join conditions. */
export const isZero = unary(0x45);
export const equal = binary(0x46);
export const unequal = binary(0x47);
export const below = binary(0x49);
export const belowSigned = binary(0x48);
export const aboveSigned = binary(0x4a);
export const above = binary(0x4b);
export const atLeast = binary(0x4f);
export const trailingZeros = unary(0x68);
export const add = binary(0x6a);
export const sub = binary(0x6b);
export const mul = binary(0x6c);
export const and = binary(0x71);
export const or = binary(0x72);
export const xor = binary(0x73);
export const shr = binary(0x76);

/** The same on `i64`. */
export const equal64 = binary(0x51);
export const unequal64 = binary(0x52);
export const add64 = binary(0x7c);
export const sub64 = binary(0x7d);
export const mul64 = binary(0x7e);
export const and64 = binary(0x83);
export const or64 = binary(0x84);
export const xor64 = binary(0x85);
export const shl64 = binary(0x86);
export const shr64 = binary(0x88);
export const low = unary(0xa7);
export const widen = unary(0xad);

/** Sixteen bytes at once: all of one value; which are equal; a bit for each. */
export const splat8 = unary(0xfd, 0x0f);
export const equal8s = binary(0xfd, 0x23);
export const bits8 = unary(0xfd, 0x64);

/** A parameter or a local variable. */
export class Local {
  readonly get: Code;
  readonly #index: Code;
  readonly type: Type;

  constructor(index: number, type: Type) {
    this.#index = unsigned(index);
    this.get = [0x20, this.#index];
    this.type = type;
  }

  set(value: Code): Code {
    return [value, 0x21, this.#index];
  }

  /** Sets it and is the value. */
  tee(value: Code): Code {
    return [value, 0x22, this.#index];
  }
}

/** A variable of the module. */
export class Global {
  readonly get: Code;
  readonly #index: Code;

  constructor(index: number) {
    this.#index = unsigned(index);
    this.get = [0x23, this.#index];
  }

  set(value: Code): Code {
    return [value, 0x24, this.#index];
  }
}

/** A place that can be branched to: how many blocks were open around it. */
export type Label = { readonly depth: number };

/** A function of `i32`s that returns one. */
export class Func {
  readonly params: readonly Local[];
  readonly #locals: Local[] = [];
  /** Blocks open where code is being written. */
  #depth = 0;
  #body: Code = [];

  constructor(params: number) {
    this.params = Array.from({ length: params }, (_, k) => new Local(k, 'i32'));
  }

  local(type: Type): Local {
    const local = new Local(this.params.length + this.#locals.length, type);
    this.#locals.push(local);
    return local;
  }

  /** Code that a branch to the label leaves. */
  block(body: (leave: Label) => Code): Code {
    return this.#nested(0x02, body);
  }

  /** Code that a branch to the label begins again. */
  loop(body: (again: Label) => Code): Code {
    return this.#nested(0x03, body);
  }

  when(condition: Code, body: () => Code): Code {
    return [condition, this.#nested(0x04, body)];
  }

  #nested(opcode: number, body: (label: Label) => Code): Code {
    const code = body({ depth: ++this.#depth });
    this.#depth--;
    return [opcode, EMPTY_BLOCK, code, END];
  }

  go({ depth }: Label): Code {
    return [0x0c, unsigned(this.#depth - depth)];
  }

  goIf({ depth }: Label, condition: Code): Code {
    return [condition, 0x0d, unsigned(this.#depth - depth)];
  }

  /** Its code: leaves the result. */
  body(code: Code): this {
    this.#body = code;
    return this;
  }

  get bytes(): Code {
    const locals = this.#locals.map(({ type }) => [1, TYPE[type]]);
    return sized([unsigned(this.#locals.length), locals, this.#body, END]);
  }
}

/** Returns from the function. */
export const result = unary(0x0f);
export const call = (index: number, ...args: Code[]): Code => [args, 0x10, unsigned(index)];

function sized(code: Code): Code {
  const bytes = bytesOf(code);
  return [unsigned(bytes.length), bytes];
}

const section = (id: number, ...items: Code[]): Code => [
  id,
  sized([unsigned(items.length), items]),
];

const name = (text: string): Code => [text.length, ...new TextEncoder().encode(text)];

const ZERO: Readonly<Record<Type, Code>> = { i32: i32(0), i64: i64(0n) };
const MUTABLE = 1;
const FUNCTION = 0x60;
const MAGIC_AND_VERSION = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

/**
 * A module: it imports its memory as `host.memory` and exports the last function as `run`. `globals`:
 * types of the variables, all of which begin at 0.
 */
export function assemble(functions: readonly Func[], globals: readonly Type[]): Uint8Array {
  const types = functions.map(({ params }) => [
    [FUNCTION, params.length, params.map(() => TYPE.i32)],
    [1, TYPE.i32],
  ]);
  const variables = globals.map((type) => [TYPE[type], MUTABLE, ZERO[type], END]);
  const module = [
    MAGIC_AND_VERSION,
    section(1, ...types),
    section(2, [name('host'), name('memory'), 2, 0, 1]),
    section(3, ...functions.map((_, index) => unsigned(index))),
    section(6, ...variables),
    section(7, [name('run'), 0, unsigned(functions.length - 1)]),
    section(10, ...functions.map((f) => f.bytes)),
  ];
  return Uint8Array.from(bytesOf(module));
}
