import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { array, type FieldArray, oneOf, struct, u8, u64 } from '../../src/num/index.ts';
import { Vcpu, values } from './vcpu.ts';

describe('layout', () => {
  it('goes by size without padding, and fields keep their order', () => {
    const places = [...Vcpu.layout.fields.values()].map(({ name, offset }) => [name, offset]);
    expect(places).toStrictEqual([
      ['mode', 50],
      ['flags', 51],
      ['tscOffset', 0],
      ['adjust', 8],
      ['khz', 40],
      ['cpu', 44],
      ['port', 48],
      ['shift', 52],
      ['catchup', 53],
      ['times', 16],
      ['seen', 54],
      ['phases', 56],
    ]);
    expect(Vcpu.byteLength).toBe(58);
  });

  it('is little-endian', () => {
    const v = Vcpu.of({
      tscOffset: 0x0102030405060708n,
      khz: 0x0a0b0c0d,
      shift: -1,
      mode: 'parked',
    });
    expect(Buffer.from(v.bytes.subarray(0, 8)).toString('hex')).toBe('0807060504030201');
    expect(Buffer.from(v.bytes.subarray(40, 44)).toString('hex')).toBe('0d0c0b0a');
    expect([v.bytes[50], v.bytes[52]]).toStrictEqual([2, 255]);
  });

  it('can lie in a larger buffer', () => {
    const buffer = new ArrayBuffer(128);
    const first = new Vcpu(buffer, 0);
    const second = new Vcpu(buffer, 64);
    second.adjust = -5n;
    expect(first.adjust).toBe(0n);
    expect(new Vcpu(buffer, 64).adjust).toBe(-5n);
    expect(() => new Vcpu(buffer, 4)).toThrow(/multiple of 8/);
    expect(() => new Vcpu(buffer, 72)).toThrow(RangeError);
    expect(() => new Vcpu(buffer, -8)).toThrow(RangeError);
    expect(() => new Vcpu(undefined, 8)).toThrow('found offset 8 in a buffer of 58');
    second.bytes.fill(0xff);
    expect(first.adjust).toBe(0n);
    expect(new Uint8Array(buffer, 64 + Vcpu.byteLength).every((byte) => byte === 0)).toBe(true);
  });

  it('may overlap another in a buffer: what is copied is what was there', () => {
    const buffer = Uint8Array.from({ length: 72 }, (_, i) => i).buffer;
    const [low, high] = [new Vcpu(buffer, 0), new Vcpu(buffer, 8)];
    high.copyFrom(low);
    expect([...high.bytes]).toStrictEqual([...Array(Vcpu.byteLength).keys()]);
  });

  it('may be larger than many others together', () => {
    const Large = struct('Large', { words: array(u64, 5000), last: u8 });
    const [one, other] = [new Large(), new Large()];
    one.words.set(4999, 7n);
    one.last = 9;
    expect([one.words.get(4999), one.last, one.clone().last]).toStrictEqual([7n, 9, 9]);
    expect(other.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('is made of nothing but zeros, and no struct reaches into another', () => {
    const blank = new Uint8Array(Vcpu.byteLength);
    const many = Array.from({ length: 3000 }, () => {
      const one = new Vcpu();
      expect(one.bytes).toStrictEqual(blank);
      one.bytes.fill(0xff);
      return one;
    });
    for (const [i, one] of many.entries()) one.tscOffset = BigInt(i);
    const full = Vcpu.of({});
    full.bytes.fill(0xff);
    for (const [i, one] of many.entries()) {
      full.tscOffset = BigInt(i);
      expect(one.equals(full)).toBe(true);
    }
  });

  it('lies in whatever room a struct may have: each field at each place reads alike', () => {
    fc.assert(
      fc.property(values, fc.nat({ max: 5 }), (init, eighth) => {
        const elsewhere = new Vcpu(new ArrayBuffer(Vcpu.byteLength + 8 * eighth), 8 * eighth);
        const v = Vcpu.of(init);
        elsewhere.copyFrom(v);
        expect(elsewhere.toJSON()).toStrictEqual(v.toJSON());
        expect(elsewhere.hash()).toBe(v.hash());
        expect(elsewhere.bytes).toStrictEqual(v.bytes);
      }),
    );
  });

  it.each([
    'clone',
    'bytes',
    'u64',
    'u32',
    'u8',
    'at',
    'layout',
    'toString',
    'constructor',
    '__proto__',
    '1st',
    'a b',
  ])('has no field %s', (name) => {
    expect(() => struct('Bad', Object.fromEntries([[name, u8]]))).toThrow(TypeError);
  });
});

describe('fields', () => {
  it('have types of their own', () => {
    const v = new Vcpu();
    expectTypeOf(v.mode).toEqualTypeOf<'out' | 'in' | 'parked'>();
    expectTypeOf(v.tscOffset).toEqualTypeOf<bigint>();
    expectTypeOf(v.khz).toEqualTypeOf<number>();
    expectTypeOf(v.catchup).toEqualTypeOf<boolean>();
    expectTypeOf(v.times).toEqualTypeOf<FieldArray<bigint>>();
    expectTypeOf(v.clone()).toExtend<Vcpu>();
    expect(v.mode).toBe('out');
  });

  it('hold what is written, and nothing else changes', () => {
    fc.assert(
      fc.property(values, (init) => {
        const v = Vcpu.of(init);
        for (const [name, value] of Object.entries(init)) {
          const got = v[name as keyof typeof init];
          if (Array.isArray(value)) {
            expect([...(got as FieldArray<bigint>)].slice(0, value.length)).toStrictEqual(value);
          } else expect(got).toStrictEqual(value);
        }
        const written = new Set(Object.keys(init));
        for (const name of ['tscOffset', 'adjust'] as const) {
          if (!written.has(name)) expect(v[name]).toBe(0n);
        }
        for (const name of ['khz', 'cpu', 'port', 'shift', 'flags'] as const) {
          if (!written.has(name)) expect(v[name]).toBe(0);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('wrap as an assignment in C does', () => {
    const v = new Vcpu();
    v.tscOffset = -1n;
    v.adjust = 2n ** 63n;
    v.khz = 2 ** 32 + 5;
    v.cpu = 2 ** 31;
    v.shift = 255;
    v.flags = 256;
    v.port = 65537;
    expect([v.tscOffset, v.adjust, v.khz, v.cpu]).toStrictEqual([
      2n ** 64n - 1n,
      -(2n ** 63n),
      5,
      -(2 ** 31),
    ]);
    expect([v.shift, v.flags, v.port]).toStrictEqual([-1, 0, 1]);
  });

  it('refuse names and codes that an enum does not have', () => {
    const v = new Vcpu();
    const set = () => {
      (v as { mode: string }).mode = 'sideways';
    };
    expect(set).toThrow('expected one of out, in, parked, found "sideways"');
    expect(set).toThrow(RangeError);
    v.bytes[Vcpu.layout.fields.get('mode')!.offset] = 3;
    expect(() => v.mode).toThrow('expected a code of out, in, parked, found 3');
    expect(() => oneOf('x', 'x')).toThrow(TypeError);
  });

  it.each([-1, 3, 0.5, Number.NaN, 2 ** 32])('have no element %d', (index) => {
    const v = Vcpu.of({ times: [1n, 2n, 3n] });
    expect(() => v.times.get(index)).toThrow(RangeError);
    expect(() => v.times.set(index, 9n)).toThrow('expected an index in 0 … 2');
    expect([...v.times]).toStrictEqual([1n, 2n, 3n]);
  });

  it('take no more elements than they have', () => {
    const v = new Vcpu();
    expect(() => v.times.assign([1n, 2n, 3n, 4n])).toThrow('expected at most 3 values, found 4');
    expect([...v.times]).toStrictEqual([0n, 0n, 0n]);
    v.phases.set(1, 'b');
    expect([...v.phases]).toStrictEqual(['a', 'b']);
    expect(() => array(u8, 0)).toThrow(RangeError);
    expect(() => Vcpu.of({ nope: 1 } as never)).toThrow('Vcpu has no field nope');
  });
});

describe('bytes', () => {
  it('are the whole state: clone, copyFrom, equals, hash', () => {
    fc.assert(
      fc.property(
        values,
        fc.nat({ max: Vcpu.byteLength - 1 }),
        fc.nat({ max: 7 }),
        (init, at, bit) => {
          const v = Vcpu.of(init);
          const copy = v.clone();
          expect(copy).toBeInstanceOf(Vcpu);
          expect(copy.bytes).toStrictEqual(v.bytes);
          expect(copy.equals(v)).toBe(true);
          expect(copy.hash()).toBe(v.hash());
          copy.bytes[at]! ^= 1 << bit;
          expect(copy.equals(v)).toBe(false);
          expect(copy.hash()).not.toBe(v.hash());
          copy.copyFrom(v);
          expect(copy.equals(v)).toBe(true);
          expect(Number.isSafeInteger(v.hash()) && v.hash() >= 0).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('of another declaration are refused', () => {
    const Other = struct('Other', { tscOffset: u64 });
    const other = new Other() as unknown as Vcpu;
    expect(() => new Vcpu().copyFrom(other)).toThrow('expected a Vcpu, found a Other');
    expect(new Vcpu().equals(other)).toBe(false);
  });

  it('hash alike for ever', () => {
    expect(new Vcpu().hash()).toMatchInlineSnapshot(`8528417824655674`);
    expect(Vcpu.of({ tscOffset: 1n, phases: ['b', 'b'] }).hash()).toMatchInlineSnapshot(
      `2215291288295290`,
    );
  });

  it('hash without collisions over neighbouring states, in few or many bits', () => {
    const v = new Vcpu();
    const hashes = new Set<number>();
    const buckets = new Uint32Array(1024);
    for (let i = 0; i < 200_000; i++) {
      v.tscOffset = BigInt(i % 500);
      v.khz = Math.floor(i / 500);
      const hash = v.hash();
      hashes.add(hash);
      buckets[hash % 1024]! += 1;
    }
    expect(hashes.size).toBe(200_000);
    expect(Math.max(...buckets)).toBeLessThan(300);
    expect(Math.min(...buckets)).toBeGreaterThan(110);
  });
});
