import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StructJsonError, struct, structReviver, u8 } from '../../src/num/index.ts';
import { Vcpu, values } from './vcpu.ts';

describe('JSON', () => {
  it('comes back as the same bytes', () => {
    fc.assert(
      fc.property(values, (init) => {
        const v = Vcpu.of(init);
        const text = JSON.stringify(v);
        expect(Vcpu.fromJSON(JSON.parse(text)).equals(v)).toBe(true);
        const nested = JSON.stringify({ status: 'active', context: { s: v }, list: [v, null] });
        const revived = JSON.parse(nested, structReviver(Vcpu));
        expect(revived.context.s).toBeInstanceOf(Vcpu);
        expect(revived.list[0].equals(v)).toBe(true);
        expect(JSON.stringify(revived)).toBe(nested);
      }),
      { numRuns: 1000 },
    );
  });

  it('reads well', () => {
    const v = Vcpu.of({ adjust: -3n, tscOffset: 2n ** 64n - 1n, mode: 'in', seen: [true] });
    expect(v.toJSON()).toStrictEqual({
      $struct: 'Vcpu',
      mode: 'in',
      flags: 0,
      tscOffset: '18446744073709551615',
      adjust: '-3',
      khz: 0,
      cpu: 0,
      port: 0,
      shift: 0,
      catchup: false,
      times: ['0', '0', '0'],
      seen: [true, false],
      phases: ['a', 'a'],
    });
    const { $struct: _, ...untagged } = v.toJSON();
    expect(Vcpu.fromJSON(untagged).equals(v)).toBe(true);
  });

  it.each<[string, Record<string, unknown>, string]>([
    [
      'a number for a u64',
      { tscOffset: 5 },
      'Vcpu.tscOffset: expected u64 as a decimal string, found 5',
    ],
    ['a u64 too large', { tscOffset: '18446744073709551616' }, 'Vcpu.tscOffset: expected u64'],
    ['a negative u64', { tscOffset: '-1' }, 'found "-1"'],
    [
      'an s64 in hex',
      { adjust: '0x5' },
      'Vcpu.adjust: expected s64 as a decimal string, found "0x5"',
    ],
    ['a u32 too large', { khz: 4294967296 }, 'Vcpu.khz: expected an integer in 0 … 4294967295'],
    ['a fraction', { khz: 1.5 }, 'found 1.5'],
    [
      'an s8 too small',
      { shift: -129 },
      'Vcpu.shift: expected an integer in -128 … 127, found -129',
    ],
    ['a number for a bool', { catchup: 1 }, 'Vcpu.catchup: expected true or false, found 1'],
    [
      'a name the enum lacks',
      { mode: 'up' },
      'Vcpu.mode: expected one of out, in, parked, found "up"',
    ],
    ['a code for an enum', { mode: 1 }, 'found 1'],
    ['null', { flags: null }, 'Vcpu.flags: expected an integer in 0 … 255, found null'],
    ['an absent field', { flags: undefined }, 'found nothing'],
    ['a short array', { times: ['1'] }, 'Vcpu.times: expected an array of 3, found an array of 1'],
    ['no array', { times: {} }, 'Vcpu.times: expected an array of 3, found an object'],
    ['a bad element', { times: ['1', '2', 'x'] }, 'Vcpu.times[2]: expected u64'],
    ['an unknown field', { extra: 1 }, 'Vcpu: expected only its own fields, found "extra"'],
    ['another struct', { $struct: 'Vm' }, 'Vcpu.$struct: expected "Vcpu", found "Vm"'],
    ['escapes', { mode: '\u001b[31m\u202e' }, 'found "\\u001b[31m\\u202e"'],
  ])('refuses %s', (_, change, message) => {
    const json = { ...new Vcpu().toJSON(), ...change };
    expect(() => Vcpu.fromJSON(json)).toThrow(StructJsonError);
    expect(() => Vcpu.fromJSON(json)).toThrow(message);
  });

  it.each([null, 5, 'x', [], undefined])('refuses %j for a struct', (json) => {
    expect(() => Vcpu.fromJSON(json)).toThrow('Vcpu: expected an object');
  });

  it('says where, what was expected and what was found', () => {
    const json = { ...new Vcpu().toJSON(), seen: [true, 0] };
    let caught: unknown;
    try {
      JSON.parse(JSON.stringify({ deep: [json] }), structReviver(Vcpu));
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({
      name: 'StructJsonError',
      path: 'Vcpu.seen[1]',
      expected: 'true or false',
      found: '0',
    });
  });

  it('leaves structs it was not told of, and needs different names', () => {
    const text = JSON.stringify(new Vcpu());
    expect(JSON.parse(text, structReviver())).toStrictEqual(JSON.parse(text));
    expect(() => structReviver(Vcpu, struct('Vcpu', { a: u8 }))).toThrow(TypeError);
  });

  it('keeps a stray zero sign out of the bytes', () => {
    const v = Vcpu.fromJSON({ ...new Vcpu().toJSON(), shift: -0 });
    expect(v.equals(new Vcpu())).toBe(true);
  });
});
