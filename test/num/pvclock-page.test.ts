import { describe, expect, it } from 'vitest';
import { decodePvclockPage, encodePvclockPage } from '../../src/num/index.ts';

describe('the pvclock page in memory', () => {
  const page = {
    version: 0x01020304,
    tscTimestamp: 0x1112131415161718n,
    systemTime: 0x2122232425262728n,
    tscToSystemMul: 0xf1f2f3f4,
    tscShift: -2,
    flags: 3,
  };
  it('has the layout of the ABI', () => {
    const bytes = new Uint8Array(40).fill(0xee);
    encodePvclockPage(page, bytes, 4);
    expect(Buffer.from(bytes).toString('hex')).toBe(
      'eeeeeeee' +
        '0403020100000000' +
        '1817161514131211' +
        '2827262524232221' +
        'f4f3f2f1fe030000' +
        'eeeeeeee',
    );
    expect(decodePvclockPage(bytes, 4)).toStrictEqual(page);
    expect(decodePvclockPage(bytes.subarray(4))).toStrictEqual(page);
  });

  it('writes nothing of a page it refuses', () => {
    const bytes = new Uint8Array(32);
    expect(() => encodePvclockPage({ ...page, flags: 256 }, bytes)).toThrow(/flags/);
    expect(() => encodePvclockPage({ ...page, tscShift: 128 }, bytes)).toThrow(/tscShift/);
    expect(() => encodePvclockPage(page, bytes, 1)).toThrow(/32 bytes/);
    expect(() => decodePvclockPage(bytes, -1)).toThrow(/32 bytes/);
    expect(() => decodePvclockPage(bytes, 0.5)).toThrow(/32 bytes/);
    expect(bytes).toStrictEqual(new Uint8Array(32));
  });
});
