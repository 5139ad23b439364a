/** Digests of recordings beside the same written plainly: one run of bytes, in the order of things. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EVENT_CODES, EventBatch, type EventName, LAYOUTS } from '../../events/index.ts';
import { Digest } from '../../replay/digest.ts';
import { makeFinding } from '../../replay/findings/finding.ts';
import { Vm } from '../../replay/identity/vm.ts';

/** What a digest covers, and the codes that stand for it; of a `kvm_exit` nothing is. */
const TAGS: readonly (readonly [EventName, number | undefined])[] = [
  ['kvm_pvclock_update', 1],
  ['kvm_write_tsc_offset', 2],
  ['kvm_update_master_clock', 3],
  ['kvm_track_tsc', 4],
  ['kvm_exit', undefined],
];

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const row = fc.record({
  kind: fc.constantFrom(...TAGS),
  tid: fc.nat(0x7fff_ffff),
  timestamp: u64,
  wides: fc.array(u64, { minLength: 8, maxLength: 8 }),
  narrows: fc.array(fc.integer(), { minLength: 12, maxLength: 12 }),
  times: fc.constantFrom(1, 1, 1, 3000),
});
const finding = fc.record({
  // A guest's name comes from the recording, and may be of any length and letters.
  vm: fc.string({ maxLength: 40, unit: 'grapheme' }),
  long: fc.constantFrom(1, 1, 1, 1000, 30_000),
  timestamp: u64,
});

const little = (bytes: number, value: bigint): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt.asUintN(64, value));
  return buffer.subarray(0, bytes);
};

it('is that of the rows and findings as they come, whatever comes together', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(row, finding), { maxLength: 12 }), (things) => {
      const digest = new Digest({ minNs: '1' });
      const plain = createHash('sha256').update('{"schema":1,"minNs":"1"}');
      const batch = new EventBatch(1);
      for (const thing of things) {
        if ('kind' in thing) {
          const [name, tag] = thing.kind;
          const code = EVENT_CODES[name];
          batch.codes[0] = code;
          batch.tids[0] = thing.tid;
          batch.timestamps[0] = thing.timestamp;
          const values = LAYOUTS[code]!.map(({ wide, slot }) => {
            if (wide) batch.wides[slot] = thing.wides[slot]!;
            else batch.narrows[slot] = thing.narrows[slot]!;
            return wide ? little(8, thing.wides[slot]!) : little(4, BigInt(thing.narrows[slot]!));
          });
          const head = [little(4, BigInt(tag ?? 0)), little(4, BigInt(thing.tid))];
          const bytes = Buffer.concat([...head, little(8, thing.timestamp), ...values]);
          for (let i = 0; i < thing.times; i++) {
            digest.addRow(batch, 0);
            if (tag !== undefined) plain.update(bytes);
          }
          continue;
        }
        const id = thing.vm.repeat(thing.long);
        const { timestamp } = thing;
        const vm = new Vm(id, 'ioctls', 'vmm', 1);
        const instant = { vm, vcpu: 2, timestamp, tsc: timestamp, timeNs: 1n };
        const why = { cause: 'a cause', reason: 'a reason', mechanism: 'set-clock' } as const;
        digest.addFinding(
          makeFinding('jump', 'warning', { ...instant, visibility: 'entry' }, why, -7n),
        );
        plain.update(`jump warning ${id} 2 ${timestamp} -7 set-clock entry\n`);
      }
      expect(digest.finish()).toBe(`sha256:${plain.digest('hex')}`);
    }),
    { numRuns: 200 },
  );
});
