/** Reading ahead changes nothing of what is read, whatever is taken and passed over. */
import { fc, test } from '@fast-check/vitest';
import { expect, test as once } from 'vitest';
import { MemoryBytes } from '../../replay/formats/bytes.ts';
import { FileWindow, PageMemory } from '../../replay/formats/tracedat/file-window.ts';

const content = Uint8Array.from({ length: 3 << 20 }, (_, i) => (i * 2_654_435_761) >>> 24);

/** Takes of a few bytes, of compressed chunks, and of more than is read ahead; and passing over. */
const steps = fc.array(
  fc.record({
    length: fc.oneof(fc.nat(100), fc.nat(60_000), fc.nat(600_000)),
    skip: fc.boolean(),
  }),
  { maxLength: 60 },
);

test.prop([steps, fc.constantFrom(1, 200, 3000), fc.nat(50_000), fc.nat(3 << 20)])(
  'a window delivers the bytes of its stretch in order',
  async (takes, cpus, from, length) => {
    const end = Math.min(from + length, content.length);
    const window = new FileWindow(new MemoryBytes('x', content), from, end, new PageMemory(cpus));
    let at = from;
    for (const { length: wanted, skip } of takes) {
      const there = at + wanted <= end;
      if (skip) expect(window.skip(wanted)).toBe(there);
      else {
        const bytes = await window.take(wanted);
        if (there) expect(Buffer.compare(bytes!, content.subarray(at, at + wanted))).toBe(0);
        else expect(bytes).toBeUndefined();
      }
      if (there) at += wanted;
      expect(window.at).toBe(at);
    }
    window.release();
    expect(window.left).toBe(0);
  },
);

once('a failure of what is read ahead shows when that is asked for', async () => {
  class Failing extends MemoryBytes {
    override async readInto(target: Uint8Array, offset: number, length: number, position: number) {
      if (position > 0) throw new Error('the disk is gone');
      return super.readInto(target, offset, length, position);
    }
  }
  const window = new FileWindow(new Failing('x', content), 0, content.length, new PageMemory(1));
  expect((await window.take(1000))!.length).toBe(1000);
  await new Promise((resolve) => setImmediate(resolve));
  await expect(window.take(500_000)).rejects.toThrow('the disk is gone');
});
