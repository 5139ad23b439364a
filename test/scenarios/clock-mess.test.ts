/** “Cleaning up the KVM clock mess”: each patch shows, by the worked numbers, and by its switches alone. */
import { describe, expect, test } from 'vitest';
import {
  pvclockRead,
  scaleDelta,
  scaleTsc,
  timeScale,
  tscRatio,
  VMX_TSC_FRAC_BITS,
} from '../../src/num/index.ts';
import {
  PROFILE_IDS,
  PROFILES,
  type ProfileId,
  type Switches,
  type SwitchName,
} from '../../src/profiles/index.ts';
import { kernelsOf } from '../../src/scenarios/clock-mess/clock-mess.ts';
import { PATCHES } from '../../src/scenarios/clock-mess/patches.ts';
import { cli } from '../cli/run.ts';
import { patchSeen } from './tables.ts';

const DAY_S = 86_400n;
const SILENT = [4, 5, 11, 12];

test('there are 21 rows, in order', () => {
  expect(PATCHES.map(({ number }) => number)).toEqual(Array.from({ length: 21 }, (_, i) => i + 1));
});

const valuesOf = (names: readonly SwitchName[], from: Switches): Partial<Switches> =>
  Object.assign({}, ...names.map((name) => ({ [name]: from[name] })));

describe('a patch shows by its switches and by nothing else', () => {
  const switched = PATCHES.filter(({ switches }) => switches.length > 0);

  test.each(switched)('$number $subject', async (patch) => {
    const plain = await patchSeen(patch.number);
    expect(plain.after).not.toEqual(plain.before);
    const { before, after } = kernelsOf(PROFILES['v6.8'], patch, { series: 'rfc-v3' });
    const off = await patchSeen(patch.number, { set: valuesOf(patch.switches, before.switches) });
    expect(off).toMatchObject({ before: plain.before, after: plain.before });
    const on = await patchSeen(patch.number, { set: valuesOf(patch.switches, after.switches) });
    expect(on).toMatchObject({ before: plain.after, after: plain.after });
  });

  test.each(SILENT)(
    '%s changes no behaviour: neither what is seen nor the digest',
    async (patch) => {
      for (const series of ['rfc-v3', 'series-v6']) {
        const { before, after, hosts } = await patchSeen(patch, { params: { series } });
        expect(after).toEqual(before);
        const [one, other] = hosts.map(({ summary }) => summary.digests.all);
        expect(other).toBe(one);
      }
    },
  );

  const kernels: readonly ProfileId[] = ['v4.4', 'v5.10', 'v7.3', 'series-v6'];
  test.each(kernels)('every one plays under %s', async (profile) => {
    expect(PROFILE_IDS).toContain(profile);
    for (const { number } of PATCHES) {
      const { hosts } = await patchSeen(number, { profile, params: { uptime: '1h' } });
      for (const { summary } of hosts) expect(summary.impossible).toBe(0);
    }
  });
});

/** kvmclock and CLOCK_MONOTONIC_RAW after so many cycles of a 3.0 GHz host, ns. */
function clocksAfter(
  cycles: bigint,
  guestKhz: number,
): { readonly pv: bigint; readonly raw: bigint } {
  const ratio = tscRatio(guestKhz, 3_000_000, VMX_TSC_FRAC_BITS).ratio!;
  const khz = scaleTsc(3_000_000n, ratio, VMX_TSC_FRAC_BITS);
  const { mul, shift } = timeScale(1_000_000_000n, khz * 1000n);
  const page = { tscTimestamp: 0n, systemTime: 0n, tscToSystemMul: mul, tscShift: shift };
  const tsc = scaleTsc(cycles, ratio, VMX_TSC_FRAC_BITS);
  return { pv: pvclockRead(page, tsc), raw: (cycles * 5_592_405n) >> 24n };
}

describe('1: Xen’s shared_info', () => {
  test.each([
    ['1d', 2_500_000, DAY_S],
    ['2d', 2_500_000, 2n * DAY_S],
    ['10d', 1_500_000, 10n * DAY_S],
  ])('after %s at %s kHz', async (uptime, guestKhz, seconds) => {
    const params = { uptime, guestKhz: String(guestKhz) };
    const { before, after } = await patchSeen(1, { params });
    const { pv, raw } = clocksAfter(seconds * 3_000_000_000n, guestKhz);
    expect(before['kvmclock moves by (ns)']).toBe(raw - pv);
    expect(after['kvmclock moves by (ns)']).toBe(0n);
    expect(after['the reference moves by (host cycles)']).toBe(0n);
  });

  test('−39,705,075 ns a day under 3.0 → 2.5 GHz', async () => {
    expect((await patchSeen(1)).before['kvmclock moves by (ns)']).toBe(-39_705_075n);
  });
});

describe('2: Hz instead of kHz', () => {
  test('2,499,999,999 against 2,499,999,000 Hz', async () => {
    const { before, after } = await patchSeen(2);
    expect(before).toMatchObject({
      'frequency of the TSC by KVM (Hz)': 2_499_999_000n,
      tsc_shift: -1,
      tsc_to_system_mul: 3_435_975_211,
    });
    expect(after).toMatchObject({
      'frequency of the TSC by KVM (Hz)': 2_499_999_999n,
      tsc_shift: -1,
      tsc_to_system_mul: 3_435_973_839,
    });
  });

  // ns a day: the page against RAW, and KVM_GET_CLOCK against the page.
  test.each([
    ['3000000', '2500000', -39_705_075n, -34_575_350n],
    ['2500000', '3000000', -33_946_708n, -28_816_983n],
    ['2600000', '2500000', -39_705_075n, -34_579_374n],
    ['2400000', '2345678', -32_696_142n, -36_824_061n],
    ['3000000', '1500000', -5_129_725n, 0n],
    ['2500000', '2500000', -5_129_725n, 0n],
    ['2400000', '2400000', 4_127_920n, 0n],
  ])('%s → %s kHz: a new reference moves by %s ns', async (tscKhz, guestKhz, jump, getClock) => {
    const { before } = await patchSeen(2, { params: { tscKhz, guestKhz } });
    const near = (found: unknown, expected: bigint) => {
      const off = BigInt(found as bigint) - expected;
      expect(off >= -1n && off <= 1n, `${found} for ${expected}`).toBe(true);
    };
    near(before['a new reference moves kvmclock by (ns)'], jump);
    near(before['KVM_GET_CLOCK less what the guest reads (ns)'], getClock);
  });

  // v3 keeps the frequency in 32 bits.
  test.each([
    ['rfc-v3', 5_000_000_000n - (1n << 32n)],
    ['series-v6', 5_000_000_000n],
  ])('%s remembers 5 GHz as %s Hz', async (series, hz) => {
    const params = { series, tscKhz: '5000000', guestKhz: '5000000' };
    const { after } = await patchSeen(2, { params });
    expect(after['frequency of the TSC by KVM (Hz)']).toBe(hz);
  });
});

describe('3: KVM_GET_CLOCK_GUEST and KVM_SET_CLOCK_GUEST', () => {
  test.each(['1000000', '2500000', '5000000'])('%s kHz: within a nanosecond', async (guestKhz) => {
    for (const series of ['rfc-v3', 'series-v6']) {
      const { after } = await patchSeen(3, { params: { guestKhz, series } });
      expect(after['KVM_GET_CLOCK_GUEST returns']).toBe(0);
      expect(after['KVM_SET_CLOCK_GUEST of that page returns']).toBe(0);
      const error = after['the new VM’s clock is off by (ns)'] as bigint;
      expect(error >= -1n && error <= 1n, String(error)).toBe(true);
    }
  });

  test('KVM_SET_CLOCK(REALTIME), all there is without them, loses what KVM_GET_CLOCK is off by', async () => {
    const { before } = await patchSeen(3);
    expect(before['KVM_GET_CLOCK_GUEST returns']).toBe(-22);
    const error = before['the new VM’s clock is off by (ns)'] as bigint;
    expect(error < -75_400n && error > -75_600n, String(error)).toBe(true);
  });

  test.each([
    ['rfc-v3', { pad: 0, shift: -34, future: 0 }],
    ['series-v6', { pad: -22, shift: -22, future: -22 }],
  ])('%s refuses by errno', async (series, { pad, shift, future }) => {
    const { after } = await patchSeen(3, { params: { series } });
    expect(after).toMatchObject({
      '… with the multiplier 0': -22,
      '… of a TSC 990 Hz faster': 0,
      '… of a TSC 1010 Hz faster': -34,
      '… with padding that is not 0': pad,
      '… with the shift 32': shift,
      '… of the future': future,
      '… without masterclock': -22,
      'KVM_GET_CLOCK_GUEST without masterclock': -22,
    });
  });
});

describe('6: scaling needs a constant TSC', () => {
  test.each([
    ['2500000', { returns: -22, ratio: 1n << 48n, catches: 'off' }],
    ['3000500', { returns: 0, ratio: 1n << 48n, catches: 'off' }],
    ['3500000', { returns: 0, ratio: 1n << 48n, catches: 'always' }],
  ])('%s kHz on a host of 3000000', async (guestKhz, { returns, ratio, catches }) => {
    const { before, after } = await patchSeen(6, { params: { guestKhz } });
    expect(before['KVM_SET_TSC_KHZ returns']).toBe(0);
    expect(after['KVM_SET_TSC_KHZ returns']).toBe(returns);
    expect(after['ratio']).toBe(ratio);
    expect(after['software catches up']).toBe(catches);
  });
});

describe('7: KVM_VCPU_TSC_SCALE and the documented migration', () => {
  const off = 'the TSC at the destination is off by (cycles)';

  test.each([
    ['1d', '1s', '2600000'],
    ['1h', '10s', '2400000'],
    ['2d', '1min', '3500000'],
  ])('after %s, away for %s, to %s kHz', async (uptime, pause, destinationKhz) => {
    const params = { uptime, pause, destinationKhz };
    const { before, after, hosts } = await patchSeen(7, { params });
    const late =
      (after['the pause less what CLOCK_REALTIME made of it (ns)'] as bigint) * 2_500_000n;
    const error = (after[off] as bigint) * 1_000_000n + late;
    // Each of the three is cut to whole nanoseconds or cycles.
    expect(error > -8_000_000n && error < 8_000_000n, String(error)).toBe(true);
    // The old formula takes a scaled TSC for the host's.
    const [source, destination] = hosts.map(({ simulation }) => simulation.host.tsc);
    const lost =
      source! -
      (source! * 5n) / 6n -
      destination! +
      (destination! * 2_500_000n) / BigInt(destinationKhz);
    const difference = (before[off] as bigint) - lost;
    const most = BigInt(Number.parseInt(pause, 10)) * 2_500_000_000n;
    expect(difference < most && difference > -most * 120n, `${difference}`).toBe(true);
  });

  test('the ratio of 3.0 → 2.5 GHz, in 48 bits', async () => {
    const { after } = await patchSeen(7);
    expect(after).toMatchObject({ tsc_ratio: 234_562_480_592_213n, tsc_frac_bits: 48 });
  });
});

describe('8: a 32-bit host', () => {
  test.each(['20', '-20', '100'])('NTP at %s ppm', async (ntpPpm) => {
    const { before, after } = await patchSeen(8, { params: { ntpPpm } });
    const moved = 'a new page moves kvmclock by (ns)';
    const steered = before['NTP has steered the host by (ns)'] as bigint;
    expect(steered).toBe(BigInt(ntpPpm) * DAY_S * 1000n);
    expect(after[moved]).toBe(-5_129_725n);
    expect(before[moved]).toBe(steered - 5_129_725n);
  });
});

describe('9: KVM_GET_CLOCK as the guest reads', () => {
  test.each([
    ['1h', 3600n],
    ['1d', DAY_S],
    ['10d', 10n * DAY_S],
  ])('after %s it was off by T · (r_C − r_B)', async (uptime, seconds) => {
    const { before, after } = await patchSeen(9, { params: { uptime } });
    const cycles = seconds * 3_000_000_000n;
    const ratio = 234_562_480_592_213n;
    const host = scaleDelta(cycles, 2_863_311_530, -1);
    const guest = scaleDelta((cycles * ratio) >> 48n, 3_435_973_839, -1);
    const read = 'KVM_GET_CLOCK less what the guest reads (ns)';
    // The 100 ms of a delayed work have passed as well.
    const off = (before[read] as bigint) - (host - guest);
    expect(off >= -1n && off <= 1n, String(before[read])).toBe(true);
    for (const name of [read, 'the wall clock’s epoch is late by (ns)']) {
      expect([-1n, 0n, 1n]).toContain(after[name]);
    }
    expect(before['flags once the clocksource has left the TSC']).toBe(2);
    expect(after['flags once the clocksource has left the TSC']).toBe(0);
  });

  test.each(['getClock', 'wallClock'] as const)('%s alone decides its own', async (name) => {
    const set = { [name]: PROFILES['v6.8'].switches[name] };
    const { before, after } = await patchSeen(9, { set });
    const differs = Object.keys(before).filter((key) => before[key] !== after[key]);
    const clock = 'KVM_GET_CLOCK less what the guest reads (ns)';
    const flags = 'flags once the clocksource has left the TSC';
    const wall = 'the wall clock’s epoch is late by (ns)';
    expect(differs).toEqual(name === 'getClock' ? [wall] : [clock, flags]);
  });
});

describe('10: software upscaling', () => {
  test.each([
    ['100s', '3500000', 50_000_000_000n, 14_285_714_285n],
    ['1000s', '3500000', 500_000_000_000n, 142_857_142_857n],
    ['100s', '4000000', 100_000_000_000n, 25_000_000_000n],
  ])('%s old, %s kHz: lags by %s cycles', async (uptime, catchupKhz, cycles, ns) => {
    const { before, after } = await patchSeen(10, { params: { uptime, catchupKhz } });
    expect(before['the TSC lags by (cycles)']).toBe(cycles);
    expect(before['in its own time (ns)']).toBe(ns);
    // What is left is what MONOTONIC_RAW counts too little.
    const raw = after['of that, CLOCK_MONOTONIC_RAW is late by (ns)'] as bigint;
    const rest = (after['in its own time (ns)'] as bigint) - raw;
    expect(rest >= -1n && rest <= 1n, String(rest)).toBe(true);
  });
});

describe('13: what a matched write leaves', () => {
  test.each([
    ['10s', '100ms'],
    ['1min', '500ms'],
    ['1d', '1s'],
  ])('0 after %s, the right value %s later', async (uptime, pause) => {
    const { before, after } = await patchSeen(13, { params: { uptime, pause } });
    expect(before).toMatchObject({
      'a 0 joins the TSC there is': true,
      masterclock: 'off.unmatched',
    });
    expect(after).toMatchObject({ 'a 0 joins the TSC there is': true, masterclock: 'on' });
    expect(before['the right value joins, after it']).toBe(false);
    expect(after['the right value joins, after it']).toBe(true);
    expect(after['it counts as written, after the generation began (ns)']).toBe(0n);
  });

  test('v6 slides what is remembered: the right value joins too', async () => {
    const params = { series: 'series-v6', uptime: '10s', pause: '100ms' };
    const { after } = await patchSeen(13, { params });
    expect(after['the right value joins, after it']).toBe(true);
    const ns = after['it counts as written, after the generation began (ns)'] as bigint;
    expect(ns / 1_000_000n).toBe(9_999n);
  });
});

test('14: the generation’s beginning is forgotten with the last write', async () => {
  const { before, after } = await patchSeen(14);
  const nsec = 'vCPU 2’s generation has this_tsc_nsec';
  expect(before[nsec]).toBe(1_000_000_000_000n);
  expect(after).toEqual({ ...before, [nsec]: 0n });
});

describe('15: masterclock with TSCs apart', () => {
  test.each([
    ['1d', DAY_S],
    ['2d', 2n * DAY_S],
    ['1h', 3600n],
  ])('%s after a page was written', async (uptime, seconds) => {
    const { before, after } = await patchSeen(15, { params: { uptime } });
    const apart = '… after KVM_SET_CLOCK and a load on another CPU';
    const cycles = seconds * 3_000_000_000n;
    const { pv, raw } = clocksAfter(cycles, 3_000_000);
    expect(before[apart]).toBe(raw - pv);
    expect(after[apart]).toBe(0n);
    expect(after['… after KVM_SET_CLOCK, an hour on']).toBe(0n);
    expect(before['masterclock with TSCs apart']).toBe('off.unmatched');
    expect(after['masterclock with TSCs apart']).toBe('on');
    expect(after['masterclock with another frequency']).toBe('off.unmatched');
  });

  test.each([
    ['rfc-v3', 1],
    ['series-v6', 0],
  ])('%s: STABLE %s', async (series, stable) => {
    const { after } = await patchSeen(15, { params: { series } });
    expect(after['STABLE in the page of vCPU 0']).toBe(stable);
    expect(after['… of vCPU 2']).toBe(stable);
    expect(after['flags of KVM_GET_CLOCK']).toBe(14);
  });
});

describe('updates that are not needed, by how often something is repeated', () => {
  test.each([1, 5, 20])('%s times', async (times) => {
    const params = { times: String(times) };
    const asked = 'references asked for';
    const old = await patchSeen(16, { params });
    expect([old.before[asked], old.after[asked]]).toEqual([times, 0]);
    expect(old.after['masterclock']).toBe('off.oldKvmclock');
    const register = 'vCPU 1’s page: its version moves by';
    const msr = await patchSeen(17, { params });
    expect([msr.before[register], msr.after[register]]).toEqual([2 * times, 0]);
    const plug = 'vCPU 0’s page: its version moves by';
    const load = await patchSeen(18, { params });
    expect([load.before[plug], load.after[plug]]).toEqual([2 * times, 0]);
    expect(load.after['masterclock']).toBe('on');
  });

  test.each([
    ['299s', 0],
    ['300s', 2],
    ['1d', 576],
  ])('19: in %s the version moves by %s', async (uptime, moved) => {
    const { before, after } = await patchSeen(19, { params: { uptime } });
    const with_ = 'vCPU 0’s page: its version moves by';
    const without = '… in as long a time without masterclock';
    expect([before[with_], before[without]]).toEqual([moved, moved]);
    // As posted: the work ends where there is no masterclock, and goes on where there is one.
    expect([after[with_], after[without]]).toEqual([moved, 0]);
  });
});

describe('20: a runstate when the clock was set back', () => {
  test.each([
    ['1us', 1_000n],
    ['1s', 1_000_000_000n],
    ['1h', 3_600_000_000_000n],
  ])('by %s', async (pause, ns) => {
    const blocked = 'time it was blocked (ns)';
    const entered = 'that was entered at, after the one before (ns)';
    const { before, after } = await patchSeen(20, { params: { pause } });
    expect(before).toMatchObject({ 'its runstate': 'running', [entered]: -ns });
    expect(before[blocked]).toBe((1n << 64n) - ns);
    // v3 does nothing at all, v6 changes the state and counts no time.
    expect(after).toEqual({ [blocked]: 0n, 'its runstate': 'blocked', [entered]: 0n });
    const v6 = await patchSeen(20, { params: { pause, series: 'series-v6' } });
    expect(v6.after).toEqual({ [blocked]: 0n, 'its runstate': 'running', [entered]: 0n });
  });
});

describe('21: a steal clock that goes back', () => {
  test.each([1, 10, 50])('%s ticks of 4 ms', async (times) => {
    const { before, after } = await patchSeen(21, { params: { times: String(times) } });
    const stolen = 'of that, stolen by the guest’s account (ns)';
    expect(before['the steal clock goes by (ns)']).toBe(-1_000_000_000n);
    expect(before[stolen]).toBe(BigInt(times) * 4_000_000n);
    // The tick that notices it is stolen still.
    expect(after[stolen]).toBe(4_000_000n);
  });

  test('twice what a tick takes is the least that is noticed', async () => {
    const stolen = 'of that, stolen by the guest’s account (ns)';
    const { after } = await patchSeen(21, { params: { pause: '1us' } });
    expect(after[stolen]).toBe(4_000_000n);
  });
});

test.each([
  ['--patch', '22', /--patch: expected a whole number, 1 to 21, found "22"\n$/],
  ['--series', 'v6', /--series: expected one of rfc-v3, series-v6.*, found "v6"\n$/],
  ['--ptch', '2', /expected --patch or .*, found --ptch\n$/],
  ['--set', 'pvScaleUnit=mhz', /pvScaleUnit: expected .*khz.*, found "mhz"\n$/],
])('%s %s names what is valid', async (option, value, message) => {
  const { code, stderr } = await cli('simulate', 'clock-mess', option, value);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});
