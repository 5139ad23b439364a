/** Whether a value from anywhere is an input at all: its type, its names and its fields' ranges. */
import {
  INPUTS,
  type Input,
  type InputRows,
  type InputSpec,
  type InputType,
  READINGS,
  type Readings,
  type ValueType,
} from '../../events/index.ts';
import { InputError, type InputPlace } from './input-error.ts';

interface Kind {
  readonly expected: string;
  readonly is: (value: unknown) => boolean;
}

/** Comparing with a truncation costs a fifth of comparing with two limits. */
const isU64 = (value: unknown): value is bigint =>
  typeof value === 'bigint' && BigInt.asUintN(64, value) === value;
const isS64 = (value: unknown): value is bigint =>
  typeof value === 'bigint' && BigInt.asIntN(64, value) === value;
const isU32 = (value: unknown): value is number =>
  typeof value === 'number' && value >>> 0 === value;
const isS32 = (value: unknown): value is number =>
  typeof value === 'number' && (value | 0) === value;

const U64: Kind = { expected: 'a u64 as a bigint', is: isU64 };
const U32: Kind = { expected: 'a u32', is: isU32 };

const KINDS: Readonly<Record<ValueType, Kind>> = {
  u64: U64,
  s64: { expected: 'an s64 as a bigint', is: isS64 },
  u32: U32,
  s32: { expected: 'an s32', is: isS32 },
  bool: { expected: 'true or false', is: (value) => typeof value === 'boolean' },
  bytes: { expected: 'bytes', is: (value) => value instanceof Uint8Array },
  text: { expected: 'text', is: (value) => typeof value === 'string' },
};

const describe = (value: unknown): string =>
  typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : value === undefined
      ? 'nothing'
      : typeof value === 'string'
        ? JSON.stringify(value.slice(0, 40))
        : typeof value;

const isReading = (value: unknown): boolean =>
  Array.isArray(value) ? value.every((item) => item === undefined || isU64(item)) : isU64(value);

function checkReadings(readings: unknown, at: InputPlace): asserts readings is Readings {
  if (typeof readings !== 'object' || readings === null) {
    throw new InputError('bad-value', at, 'readings by name', describe(readings));
  }
  for (const name in readings) {
    const value = (readings as Record<string, unknown>)[name];
    if (!Object.hasOwn(READINGS, name)) {
      throw new InputError('bad-value', at, 'the name of a reading', describe(name));
    }
    if (value !== undefined && !isReading(value)) {
      throw new InputError('bad-value', at, `readings.${name} as u64 bigints`, describe(value));
    }
  }
}

/** A field of an input beside its instant and the VM and vCPU it names. */
interface FieldShape {
  readonly name: string;
  readonly kind: Kind;
  readonly optional: boolean;
}

/** What the inputs of one type have. */
export interface Shape {
  readonly type: InputType;
  readonly hasVm: boolean;
  readonly hasVcpu: boolean;
  readonly fields: readonly FieldShape[];
  /** How many members are there at least. */
  readonly least: number;
  /** All names that may be there. */
  readonly names: ReadonlySet<string>;
}

/** The shape that a type's declaration says. */
export function shapeOf(type: InputType): Shape {
  const { target, fields }: InputSpec = INPUTS[type];
  const own = Object.entries(fields).map(([name, { type, optional }]) => ({
    name,
    kind: KINDS[type],
    optional: optional === true,
  }));
  const hasVm = target !== 'host';
  const hasVcpu = target === 'vcpu';
  const named = [...(hasVm ? ['vm'] : []), ...(hasVcpu ? ['vcpu'] : [])];
  const names = new Set(['type', 'readings', 'tsc', ...named, ...own.map(({ name }) => name)]);
  const least = 2 + named.length + own.filter(({ optional }) => !optional).length;
  return { type, hasVm, hasVcpu, fields: own, least, names };
}

/**
 * What all inputs have: looked up once, as looking up a member of an object that can have any of
 * some forty shapes takes as long as most of what is done with it.
 */
export class InputHead {
  /** A bigint that an older object points to costs the collector more than all the rest. */
  readonly #tsc = new BigUint64Array(1);
  /** The VM and vCPU it names; those of the input before where it names none. */
  vm = 0;
  vcpu = 0;
  readings: Readings | undefined = undefined;

  /** The input's instant. */
  get tsc(): bigint {
    return this.#tsc[0]!;
  }

  set tsc(tsc: bigint) {
    this.#tsc[0] = tsc;
  }

  /** Takes that of a bare input. */
  takeRow(rows: InputRows, row: number): void {
    this.#tsc[0] = rows.tscOf(row);
    this.vm = rows.vmOf(row);
    this.vcpu = rows.vcpuOf(row);
    this.readings = undefined;
  }

  /** Takes that of another one of the same VM. */
  passTo(rows: InputRows, row: number, vcpu: number): void {
    this.#tsc[0] = rows.tscOf(row);
    this.vcpu = vcpu;
  }
}

/** The members of a value, of which nothing is known yet. */
type Members = { readonly [name: string]: unknown } & {
  readonly [name in keyof InputHead]: unknown;
};

function refuse(name: string, { expected }: Kind, found: unknown, at: InputPlace): never {
  throw new InputError('bad-value', at, `${name} ${expected}`, describe(found));
}

/** The members that an input need not have: its readings, and none but those of its type. */
function checkMore(members: Members, { names }: Shape, head: InputHead, at: InputPlace): void {
  for (const name in members) {
    if (names.has(name)) continue;
    throw new InputError('bad-value', at, `only the fields of ${at.type}`, describe(name));
  }
  const { readings } = members;
  if (readings === undefined) return;
  checkReadings(readings, at);
  head.readings = readings;
}

/**
 * Checks that a value has what an input of its type has, and no more.
 *
 * @param head - takes what all inputs have.
 * @param index - how many inputs came before, for the error.
 * @throws InputError for a missing or unknown field, or a value out of range.
 */
export function checkShape(value: Input, shape: Shape, head: InputHead, index: number): void {
  const members = value as unknown as Members;
  const { type, fields } = shape;
  /** Members that none of what must be there accounts for. */
  let more = -shape.least;
  for (const _ in members) more += 1;
  const { tsc } = members;
  if (!isU64(tsc)) refuse('tsc', U64, tsc, { index, type });
  head.tsc = tsc;
  if (shape.hasVm) {
    const { vm } = members;
    if (!isU32(vm)) refuse('vm', U32, vm, { index, type });
    head.vm = vm;
  }
  if (shape.hasVcpu) {
    const { vcpu } = members;
    if (!isU32(vcpu)) refuse('vcpu', U32, vcpu, { index, type });
    head.vcpu = vcpu;
  }
  for (let i = 0; i < fields.length; i++) {
    const { name, kind, optional } = fields[i]!;
    const found = members[name];
    if (optional && found === undefined) continue;
    if (!kind.is(found)) refuse(name, kind, found, { index, type });
    if (optional) more -= 1;
  }
  head.readings = undefined;
  if (more !== 0) checkMore(members, shape, head, { index, type });
}

/** Type, instant, VM and vCPU. */
const BARE_MEMBERS = 4;

/**
 * Takes the instant and the names of a value that has no other members, as nearly all inputs have
 * none. The names are good once there is a VM and a vCPU that they are the ids of.
 *
 * As it is asked of types only that may be so, V8 knows the few forms that such objects come in.
 *
 * @returns whether it is so far; otherwise `checkShape` tells what is wrong.
 */
export function takeBare(value: Input, head: InputHead): boolean {
  const { tsc, vm, vcpu } = value as Input & { readonly vm: number; readonly vcpu: number };
  if (typeof tsc !== 'bigint' || BigInt.asUintN(64, tsc) !== tsc) return false;
  let members = 0;
  for (const _ in value) members += 1;
  head.tsc = tsc;
  head.vm = vm;
  head.vcpu = vcpu;
  head.readings = undefined;
  return members === BARE_MEMBERS;
}

/** Takes from a valid input what all inputs have. */
export function readHead(input: Input, { hasVm, hasVcpu }: Shape, head: InputHead): void {
  const members = input as Input & { readonly vm: number; readonly vcpu: number };
  head.tsc = members.tsc;
  if (hasVm) head.vm = members.vm;
  if (hasVcpu) head.vcpu = members.vcpu;
  head.readings = members.readings;
}

/** The type that a value says to have, as far as it is a value with members. */
export function typeOf(value: unknown, index: number): unknown {
  if (typeof value === 'object' && value !== null) return (value as { type?: unknown }).type;
  throw new InputError('unknown-input', { index, type: '' }, 'an input', describe(value));
}

/** Says that a type is none. */
export function refuseType(type: unknown, index: number): never {
  const at = { index, type: typeof type === 'string' ? type.slice(0, 40) : '' };
  throw new InputError('unknown-input', at, 'a known type', describe(type));
}
