import fc from 'fast-check';
import {
  array,
  bool,
  oneOf,
  type Struct,
  s8,
  s32,
  s64,
  struct,
  u8,
  u16,
  u32,
  u64,
} from '../../src/num/index.ts';
import { s64s, u32s, u64s } from './arbitraries.ts';

/** A struct with a field of every type. */
export const Vcpu = struct('Vcpu', {
  mode: oneOf('out', 'in', 'parked'),
  flags: u8,
  tscOffset: u64,
  adjust: s64,
  khz: u32,
  cpu: s32,
  port: u16,
  shift: s8,
  catchup: bool,
  times: array(u64, 3),
  seen: array(bool, 2),
  phases: array(oneOf('a', 'b'), 2),
});
export type Vcpu = Struct<typeof Vcpu>;

/** Values for some of its fields. */
export const values = fc.record(
  {
    mode: fc.constantFrom('out' as const, 'in' as const, 'parked' as const),
    flags: fc.nat({ max: 255 }),
    tscOffset: u64s,
    adjust: s64s,
    khz: u32s,
    cpu: u32s.map((x) => x | 0),
    port: fc.nat({ max: 65535 }),
    shift: fc.integer({ min: -128, max: 127 }),
    catchup: fc.boolean(),
    times: fc.array(u64s, { maxLength: 3 }),
    seen: fc.array(fc.boolean(), { maxLength: 2 }),
    phases: fc.array(fc.constantFrom('a' as const, 'b' as const), { maxLength: 2 }),
  },
  { requiredKeys: [] },
);
