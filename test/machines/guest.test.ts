import { describe, expect, test } from 'vitest';
import { MSRS, type Observation } from '../../events/index.ts';
import { Guest, type PersistedGuest } from '../../src/engine/index.ts';
import { encodePvclockPage, type PvclockPage } from '../../src/num/index.ts';

const GPA = 0x1000n;
const WALL = 0x2000n;

/** A TSC of 2 GHz: two cycles a nanosecond. */
const PAGE: PvclockPage = {
  version: 2,
  tscTimestamp: 1000n,
  systemTime: 5000n,
  tscToSystemMul: 0x8000_0000,
  tscShift: 0,
  flags: 1,
};

const wrote = (gpa: bigint, bytes: Uint8Array): Observation => ({
  type: 'guest_write',
  vm: 0,
  gpa,
  bytes,
  what: 'pvclock',
});

function bytesOf(page: PvclockPage): Uint8Array {
  const bytes = new Uint8Array(32);
  encodePvclockPage(page, bytes);
  return bytes;
}

/** The three writes of one update, as KVM makes them. */
const update = (page: PvclockPage, gpa = GPA): Observation[] => [
  wrote(gpa, bytesOf({ ...page, version: page.version - 1 }).slice(0, 4)),
  wrote(gpa, bytesOf({ ...page, version: page.version - 1 })),
  wrote(gpa, bytesOf(page).slice(0, 4)),
];

function guestWith(page: Partial<PvclockPage> = {}, options = {}): Guest {
  const guest = new Guest(options);
  guest.register(0, GPA);
  for (const seen of update({ ...PAGE, ...page })) guest.observe(seen);
  return guest;
}

describe('a read', () => {
  test('takes the time of the page at the TSC', () => {
    const guest = guestWith();
    expect(guest.read(0, 3000n)).toBe(6000n);
    expect(guest.state.trust).toBe('stable');
    expect(guest.state.retries).toBe(0);
  });

  test('finds no time in a page that was never written, and 0 is even', () => {
    const guest = new Guest();
    guest.register(0, GPA);
    expect(guest.read(0, 3000n)).toBe(0n);
  });

  test('never ends while the version is odd', () => {
    const guest = guestWith();
    const [odd, data, even] = update({ ...PAGE, version: 4, systemTime: 9000n });
    guest.observe(odd!);
    expect(guest.read(0, 3000n)).toBeUndefined();
    guest.begin(0);
    guest.compute(3000n);
    expect(guest.finish()).toBeUndefined();
    guest.observe(data!);
    guest.compute(3000n);
    expect(guest.finish()).toBeUndefined();
    guest.observe(even!);
    guest.compute(3000n);
    // The loop took the version while it was odd: its low bit is gone, so that it cannot match.
    expect(guest.finish()).toBeUndefined();
    guest.compute(3000n);
    expect(guest.finish()).toBe(10_000n);
    expect(guest.state.retries).toBe(3);
  });

  for (const [name, between] of [
    ['before its TSC', 0],
    ['after its TSC', 1],
  ] as const) {
    test(`is done again when the page was rewritten ${name}`, () => {
      const guest = guestWith();
      const rewrite = () => {
        for (const seen of update({ ...PAGE, version: 4, systemTime: 9000n })) guest.observe(seen);
      };
      guest.begin(0);
      if (between === 0) rewrite();
      guest.compute(3000n);
      if (between === 1) rewrite();
      expect(guest.finish()).toBeUndefined();
      guest.compute(3000n);
      expect(guest.finish()).toBe(10_000n);
      expect(guest.state.retries).toBe(1);
    });
  }

  test('refuses a vCPU without a page, and a second read at once', () => {
    const guest = guestWith();
    expect(() => guest.read(1, 0n)).toThrow(/vCPU 1/);
    guest.begin(0);
    expect(() => guest.begin(0)).toThrow(/under way/);
  });
});

describe('the last value', () => {
  const behind = { ...PAGE, systemTime: 4000n };

  test('holds time on all vCPUs while pages are not stable', () => {
    const guest = guestWith({ flags: 0 });
    guest.register(1, 0x3000n);
    for (const seen of update({ ...behind, flags: 0 }, 0x3000n)) guest.observe(seen);
    expect(guest.read(0, 3000n)).toBe(6000n);
    expect(guest.read(1, 3000n)).toBe(6000n);
    expect(guest.state.clamps).toBe(1);
    expect(guest.read(1, 9000n)).toBe(8000n);
    expect(guest.state.trust).toBe('clamped');
  });

  test('is not asked for stable pages, so that these may go back', () => {
    const guest = guestWith();
    expect(guest.read(0, 3000n)).toBe(6000n);
    for (const seen of update({ ...behind, version: 4 })) guest.observe(seen);
    expect(guest.read(0, 3000n)).toBe(5000n);
  });

  test('is asked where CPUID does not say that the flag counts', () => {
    const guest = guestWith({}, { cpuidStableBit: false });
    expect(guest.state.validFlags).toBe(0);
    guest.read(0, 3000n);
    expect(guest.state.trust).toBe('clamped');
    expect(guest.state.lastValue).toBe(6000n);
  });

  test('compares unsigned: a clock that wrapped stops all others', () => {
    const guest = guestWith({ flags: 0, systemTime: 2n ** 64n - 500n });
    expect(guest.read(0, 1000n)).toBe(2n ** 64n - 500n);
    expect(guest.read(0, 3000n)).toBe(2n ** 64n - 500n);
  });

  test('is forgotten at resume, when the page is registered again', () => {
    const guest = guestWith({ flags: 0 });
    guest.read(0, 9000n);
    guest.suspend();
    expect(guest.state.clock).toBe('suspended');
    expect(guest.resume()).toEqual({ index: MSRS.MSR_KVM_SYSTEM_TIME_NEW, data: GPA | 1n });
    expect(guest.read(0, 3000n)).toBe(6000n);
  });
});

describe('GUEST_STOPPED', () => {
  test('is cleared by the clocksource, which touches the watchdogs', () => {
    const guest = guestWith({ flags: 3 });
    guest.read(0, 3000n);
    expect(guest.page(0).flags).toBe(1);
    expect(guest.state.watchdog).toBe('touched');
    expect(guest.watchdog(0)).toBe(true);
    expect(guest.state.watchdog).toBe('watching');
    expect(guest.watchdog(0)).toBe(false);
    expect(guest.state.touches).toBe(1);
  });

  test('is left alone by sched_clock', () => {
    const guest = guestWith({ flags: 3 });
    guest.read(0, 3000n, 'sched_clock');
    expect(guest.page(0).flags).toBe(3);
    expect(guest.state.touches).toBe(0);
  });

  test('is found by the watchdog itself', () => {
    const guest = guestWith({ flags: 3 });
    expect(guest.watchdog(0)).toBe(true);
    expect(guest.page(0).flags).toBe(1);
    expect(guest.watchdog(0)).toBe(false);
  });

  test('of a page that changed meanwhile is not acted on', () => {
    const guest = guestWith({ flags: 3 });
    guest.begin(0);
    guest.compute(3000n);
    for (const seen of update({ ...PAGE, version: 4, flags: 1 })) guest.observe(seen);
    expect(guest.finish()).toBeUndefined();
    expect(guest.state.touches).toBe(0);
  });
});

describe('sched_clock', () => {
  test('counts from the first read, and trusts a stable page', () => {
    const guest = guestWith();
    guest.startSchedClock(0, 3000n);
    expect(guest.state.schedClock).toBe('stable');
    expect(guest.state.vdso).toBe(true);
    expect(guest.schedClock(0, 3000n)).toBe(0n);
    expect(guest.schedClock(0, 5000n)).toBe(1000n);
  });

  test('is set once and unstable for good without the flag', () => {
    const guest = guestWith({ flags: 0 });
    guest.startSchedClock(0, 3000n);
    for (const seen of update({ ...PAGE, version: 4 })) guest.observe(seen);
    guest.startSchedClock(0, 9000n);
    expect(guest.state.schedClock).toBe('unstable');
    expect(guest.state.schedClockOffset).toBe(6000n);
    expect(guest.state.vdso).toBe(false);
  });
});

test('the frequency of the TSC is derived from the page', () => {
  const mulOf = (mul: number) => guestWith({ tscToSystemMul: mul, tscShift: -1 }).deriveTscKhz(0);
  expect(mulOf(3435973836)).toBe(2_500_000n);
  // 2.5 GHz scaled from 3 GHz, by kHz and by Hz: the division truncates, then the shift doubles.
  expect(mulOf(3435975211)).toBe(2_499_998n);
  expect(mulOf(3435973839)).toBe(2_499_998n);
  expect(new Guest().deriveTscKhz(0)).toBe(0n);
});

test('the wall clock is the epoch KVM wrote plus the clock', () => {
  const guest = guestWith();
  expect(guest.askWallClock(WALL)).toEqual({ index: MSRS.MSR_KVM_WALL_CLOCK_NEW, data: WALL });
  const bytes = new Uint8Array(12);
  new DataView(bytes.buffer).setUint32(0, 2, true);
  new DataView(bytes.buffer).setUint32(4, 1_700_000_000, true);
  new DataView(bytes.buffer).setUint32(8, 7, true);
  guest.observe(wrote(WALL, bytes));
  expect(guest.wallClock(0, 3000n)).toBe(1_700_000_000n * 1_000_000_000n + 6007n);
});

test('a wall clock that is being written is not taken', () => {
  const guest = guestWith();
  guest.askWallClock(WALL);
  guest.observe(wrote(WALL, Uint8Array.of(1, 0, 0, 0, 9, 0, 0, 0)));
  expect(guest.wallClock(0, 3000n)).toBeUndefined();
  expect(guest.state.wallClockSec).toBe(0);
});

test('no page makes a read fail: shifts are the processor’s', () => {
  const guest = guestWith({ tscShift: -64 });
  expect(guest.read(0, 3000n)).toBe(6000n);
  for (const tscShift of [-128, -65, 63, 64, 127]) {
    const odd = guestWith({ tscShift, tscToSystemMul: 0xffff_ffff });
    expect(odd.read(0, 3000n)).toBeTypeOf('bigint');
    expect(odd.deriveTscKhz(0)).toBeTypeOf('bigint');
  }
  expect(guestWith({ tscToSystemMul: 0 }).deriveTscKhz(0)).toBe(0n);
});

test('kvm-clock gives way to an invariant TSC', () => {
  expect(guestWith().state.rating).toBe(400);
  expect(guestWith({}, { invariantTsc: true }).state.rating).toBe(299);
});

test('kvmclock can be given up', () => {
  const guest = guestWith();
  expect(guest.disable()).toEqual({ index: MSRS.MSR_KVM_SYSTEM_TIME_NEW, data: 0n });
  expect(guest.state.clock).toBe('unregistered');
});

test.each<[string, object, RegExp]>([
  ['null', { from: null }, /^guest: expected an object, found null$/],
  ['no state', { state: undefined }, /^Guest: expected an object, found nothing$/],
  ['no memory', { memory: null }, /^guest\.memory: expected an object, found null$/],
  ['no bytes', { memory: { '0': 'xx' } }, /^memory at 0: no bytes$/],
  ['no pages', { pages: null }, /^guest\.pages: expected an array, found null$/],
  ['a page of none', { pages: [['0', '4096']] }, /^guest\.pages\[0\]: expected a vCPU in 0 …/],
  ['a page nowhere', { pages: [[0, 5]] }, /^guest\.pages\[0\]: expected a u64 as a decimal string/],
  [
    'a steal clock of none',
    { steals: [[64, 'kvm', '0']] },
    /\.steals\[0\]: expected a vCPU in 0 … 63/,
  ],
  ['another steal clock', { steals: [[0, 'hv', '0']] }, /expected kvm or xen, found "hv"$/],
  ['no reading', { reading: null }, /^guest\.reading: expected an object, found null$/],
  ['another reader', { reading: { vcpu: 0, by: 'x' } }, /expected clocksource or sched_clock/],
  ['no wall clock', { wallClockGpa: null }, /^guest\.wallClockGpa: expected a u64 as a decimal/],
])('a saved guest with %s is refused', (_, damage, message) => {
  const saved = guestWith().persist();
  const from = 'from' in damage ? damage.from : { ...saved, ...damage };
  expect(() => new Guest({ from: from as PersistedGuest })).toThrow(message);
});

test('a saved guest in mid-read has the page that it reads', () => {
  const guest = guestWith();
  guest.begin(0);
  const from = { ...guest.persist(), reading: { vcpu: 1, by: 'clocksource' } as const };
  expect(() => new Guest({ from })).toThrow(/expected a vCPU with a page, found 1$/);
});
