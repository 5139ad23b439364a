/** A Linux guest's accounting of stolen time, and what a steal clock that goes back does to it. */
import { describe, expect, test } from 'vitest';
import type { Observation } from '../../events/index.ts';
import { Guest, type StealClock } from '../../src/engine/index.ts';

const GPA = 0x3000n;
const MS = 1_000_000n;
const TICK = 4n * MS;

/** KVM's record, or Xen's runstate with all of it waited for a CPU. */
function record(by: StealClock, stealNs: bigint, odd = false): Observation {
  const view = new DataView(new ArrayBuffer(48));
  if (by === 'kvm') {
    view.setBigUint64(0, stealNs, true);
    view.setUint32(8, odd ? 3 : 2, true);
  } else {
    view.setBigUint64(8, odd ? 1n << 63n : 0n, true);
    view.setBigUint64(24, stealNs - 1n, true);
    view.setBigUint64(40, 1n, true);
  }
  const bytes = new Uint8Array(view.buffer);
  return { type: 'guest_write', vm: 0, gpa: GPA, bytes, what: 'steal_time' };
}

describe.each(['kvm', 'xen'] as const)('the steal clock of %s', (by) => {
  const guestAt = (stealNs: bigint, stealResync = false): Guest => {
    const guest = new Guest({ stealResync });
    guest.enableSteal(0, GPA, by);
    guest.observe(record(by, stealNs));
    return guest;
  };

  test('is accounted as it advances, and no more than a tick at a time', () => {
    const guest = guestAt(MS);
    expect(guest.tick(0, TICK)).toBe(MS);
    expect(guest.tick(0, TICK)).toBe(0n);
    guest.observe(record(by, 7n * MS));
    // 6 ms: one whole tick, and the rest with the next.
    expect([guest.tick(0, TICK), guest.tick(0, TICK)]).toEqual([TICK, 2n * MS]);
    expect(guest.state.stolenNs.get(0)).toBe(7n * MS);
  });

  test('is not read while it is being written', () => {
    const guest = guestAt(MS);
    guest.observe(record(by, 2n * MS, true));
    expect(guest.tick(0, TICK)).toBeUndefined();
  });

  test('that went back: every tick is stolen until it has caught up, in 584 years', () => {
    const guest = guestAt(TICK);
    expect(guest.tick(0, TICK)).toBe(TICK);
    guest.observe(record(by, MS));
    const stolen = Array.from({ length: 100 }, () => guest.tick(0, TICK));
    expect(stolen).toEqual(Array(100).fill(TICK));
    // What is left to catch up with, in years of 365.25 days.
    const left = BigInt.asUintN(64, MS - guest.state.prevStealNs.get(0));
    expect(left / (31_557_600n * 1_000_000_000n)).toBe(584n);
  });

  test('that went back, with RFC v3 21/21: one tick is stolen, then what is', () => {
    const guest = guestAt(TICK, true);
    guest.tick(0, TICK);
    guest.observe(record(by, MS));
    expect([guest.tick(0, TICK), guest.tick(0, TICK)]).toEqual([TICK, 0n]);
    guest.observe(record(by, 2n * MS));
    expect(guest.tick(0, TICK)).toBe(MS);
  });

  test('that leapt by less than two ticks is caught up with, as before', () => {
    const guest = guestAt(2n * TICK - 1n, true);
    expect([guest.tick(0, TICK), guest.tick(0, TICK)]).toEqual([TICK, TICK - 1n]);
  });

  test('goes through JSON', () => {
    const guest = guestAt(7n * MS);
    guest.tick(0, TICK);
    const copy = new Guest({ from: JSON.parse(JSON.stringify(guest.persist())) });
    expect(copy.tick(0, TICK)).toBe(guest.tick(0, TICK));
  });
});

test('a vCPU beyond those accounted for is refused', () => {
  expect(() => new Guest().enableSteal(64, GPA)).toThrow('expected a vCPU below 64, found 64');
});
