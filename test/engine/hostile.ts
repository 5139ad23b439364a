/** Inputs that nobody should send: bad orders, unknown ids, values out of range, garbage. */
import fc from 'fast-check';
import { INPUTS, type InputType, MSRS, READINGS, type ValueType } from '../../events/index.ts';
import { s64s, u32s, u64s } from '../num/arbitraries.ts';

/** No value that a field could have. */
const garbage: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, Number.NaN, -0.5, -1, 2 ** 32, 1e308, '', '1', -1n),
  fc.constantFrom<unknown>(2n ** 64n, -(2n ** 63n) - 1n, [], {}, [1n], Symbol('x'), () => 1n),
  fc.constant(Object.create(null)),
  fc.string({ maxLength: 8 }),
);

const SMALL = fc.integer({ min: 0, max: 3 });

const VALUES: Readonly<Record<ValueType, fc.Arbitrary<unknown>>> = {
  u64: u64s,
  s64: s64s,
  u32: fc.oneof(u32s, SMALL, fc.constantFrom(...Object.values(MSRS))),
  s32: fc.integer(),
  bool: fc.boolean(),
  bytes: fc.uint8Array({ maxLength: 4 }),
  text: fc.string({ maxLength: 4 }),
};

const readings: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  fc.dictionary(fc.constantFrom(...Object.keys(READINGS)), fc.oneof(u64s, fc.array(u64s)), {
    maxKeys: 4,
  }),
  fc.dictionary(fc.string(), garbage, { maxKeys: 2 }),
);

const types = Object.keys(INPUTS) as InputType[];

/** How far the input's instant lies from the last one, cycles. */
export interface Hostile {
  readonly after: bigint;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** An input whose fields all are of their types, wherever it comes from. */
const wellTyped: fc.Arbitrary<Hostile> = fc.constantFrom(...types).chain((type) => {
  const { target, fields } = INPUTS[type];
  const entries = Object.entries(fields as Record<string, { type: ValueType }>);
  const values = Object.fromEntries(entries.map(([name, field]) => [name, VALUES[field.type]]));
  return fc.record({
    after: fc.oneof({ weight: 6, arbitrary: fc.bigInt(0n, 1n << 33n) }, s64s),
    fields: fc.record({
      type: fc.constant(type),
      ...(target === 'host' ? {} : { vm: fc.oneof({ weight: 8, arbitrary: SMALL }, u32s) }),
      ...(target === 'vcpu' ? { vcpu: fc.oneof({ weight: 8, arbitrary: SMALL }, u32s) } : {}),
      ...values,
      readings,
    }),
  });
});

/** The same with a field that is no value at all, missing, or too many. */
const illTyped: fc.Arbitrary<Hostile> = fc
  .tuple(wellTyped, fc.nat(), garbage, fc.constantFrom('extra', '__proto__', 'constructor', 'type'))
  .map(([{ after, fields }, at, value, name]) => {
    const names = [...Object.keys(fields), name];
    return { after, fields: { ...fields, [names[at % names.length]!]: value } };
  });

/** Any input that a caller without types could make. */
export const hostileInputs: fc.Arbitrary<Hostile> = fc.oneof(
  { weight: 3, arbitrary: wellTyped },
  illTyped,
);

/** Things that are no objects, or strange ones. */
export const NO_INPUTS: readonly unknown[] = [
  undefined,
  null,
  0,
  'suspend',
  Symbol('suspend'),
  [],
  {},
  Object.create(null),
  { type: Object.create(null), tsc: 0n },
  { type: Symbol('suspend'), tsc: 0n },
  { type: '__proto__', tsc: 0n },
  { type: 'toString', tsc: 0n },
  { type: 'suspend', tsc: 0n, readings: 5 },
  { type: 'suspend', tsc: 0n, readings: { __proto__: null, run_delay: 'x' } },
];
