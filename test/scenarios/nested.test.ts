/** A guest’s guest: what VMRUN refuses, and what becomes of the TSC, by the formulas of composition. */
import { describe, expect, test } from 'vitest';
import type { Switches } from '../../src/profiles/index.ts';
import type { PlayOptions } from '../../src/scenarios/play.ts';
import { big, table } from './table.ts';

const s64 = (value: bigint): bigint => BigInt.asIntN(64, value);

describe('event-injection', () => {
  const rowsOf = async (
    eventInjCheck: Switches['eventInjCheck'],
    params: Record<string, string> = {},
  ) => (await table('event-injection', { set: { eventInjCheck }, params })).rows;
  const refused = (rows: Awaited<ReturnType<typeof rowsOf>>): number[] =>
    rows.slice(0, 8).flatMap((row, type) => (row['outcome'] === 'entered' ? [] : [type]));

  test.each([
    [2, [1, 3, 5, 6, 7]],
    [9, [1, 5, 6, 7]],
    [31, [1, 5, 6, 7]],
    [32, [1, 3, 5, 6, 7]],
  ])('posted-2020, vector %i: types %j are refused', async (vector, types) => {
    expect(refused(await rowsOf('posted-2020', { vector: String(vector) }))).toEqual(types);
  });

  test.each([
    [2, [1, 3, 5, 6, 7]],
    [9, [1, 3, 5, 6, 7]],
    [13, [1, 5, 6, 7]],
  ])('merged, vector %i: types %j are refused', async (vector, types) => {
    expect(refused(await rowsOf('merged', { vector: String(vector) }))).toEqual(types);
  });

  test.each([2, 9, 255])('none, vector %i: all are entered', async (vector) => {
    expect(refused(await rowsOf('none', { vector: String(vector) }))).toEqual([]);
  });

  test.each([
    ['none', 'none'],
    ['posted-2020', '2, 32–255'],
    ['merged', '2, 9, 15, 20–27, 29, 31–255'],
  ] as const)('%s: exceptions with vectors %s are refused', async (check, vectors) => {
    expect((await rowsOf(check)).at(-1)!['vector']).toBe(vectors);
  });

  test.each(['0', '2', '21', '255'])(
    'what is not valid is not looked at, vector %s',
    async (vector) => {
      for (const check of ['none', 'posted-2020', 'merged'] as const) {
        const row = (await rowsOf(check, { vector }))[8];
        expect(row).toMatchObject({
          type: '1 reserved, not valid',
          outcome: 'entered',
          'exit code': 0n,
          'TSC offset moved (cycles)': -33_125_236_320_908n,
        });
      }
    },
  );

  test.each([
    ['31', 'posted-2020', [1, 5, 6, 7]],
    ['255', 'posted-2020', [1, 3, 5, 6, 7]],
    ['255', 'merged', [1, 3, 5, 6, 7]],
  ] as const)('--vector %s under %s: verdict and table agree', async (vector, check, types) => {
    const set = { eventInjCheck: check };
    const { rows, verdict } = await table('event-injection', { set, params: { vector } });
    expect(refused(rows)).toEqual(types);
    expect(verdict!.endsWith('–255')).toBe(true);
  });

  test.each(['-33125236320908', '0', '1000000'])(
    'L2’s offset is in force where it was entered, and L1’s where it was not: %s',
    async (l2Offset) => {
      for (const row of (await rowsOf('merged', { l2Offset })).slice(0, 8)) {
        const entered = row['outcome'] === 'entered';
        expect(row['exit code']).toBe(entered ? 0n : -1n);
        expect(row['TSC offset moved (cycles)']).toBe(entered ? BigInt(l2Offset) : 0n);
      }
    },
  );

  test.each([
    ['v5.10', 'none'],
    ['v6.8', 'none'],
    ['v7.3', '2, 9, 15, 20–27, 29, 31–255'],
  ])('%s: %s', async (profile, vectors) => {
    const { rows } = await table('event-injection', { profile });
    expect(rows.at(-1)!['vector']).toBe(vectors);
  });
});

const FRAC = { vmx: 48n, svm: 32n } as const;
const HOST_KHZ = 3_000_000n;

/** What one of the two hosts’ rows should be, by the kernel’s formulas. */
function composed(
  host: keyof typeof FRAC,
  guestKhz: bigint,
  parts: bigint,
  l2: bigint,
  l1: bigint,
) {
  const frac = FRAC[host];
  const one = 1n << frac;
  const l1Ratio = (one * guestKhz) / HOST_KHZ;
  const l2Ratio = (one * parts) / 1000n;
  const ratio = (l1Ratio * l2Ratio) >> frac;
  const scaled = l1 < 0n ? -((-l1 * l2Ratio) >> frac) : (l1 * l2Ratio) >> frac;
  return { l1Ratio, ratio, offset: s64(scaled + l2), hz: (HOST_KHZ * 1000n * ratio) >> frac };
}

describe('nested-tsc', () => {
  const rowsOf = async (params: Record<string, string> = {}, options: PlayOptions = {}) => {
    const { rows, verdict } = await table('nested-tsc', { ...options, params });
    const of = (host: string) => rows.filter((row) => row['host'] === host);
    return { vmx: of('vmx'), svm: of('svm'), verdict };
  };

  test.each([
    ['vmx', '1500000', '4000', '-33125236320908'],
    ['svm', '1500000', '4000', '-33125236320908'],
    ['vmx', '2500000', '333', '0'],
    ['svm', '2500000', '333', '0'],
    ['vmx', '1000000', '1001', '1000000000000'],
    ['svm', '1000000', '1001', '1000000000000'],
  ] as const)(
    '%s: L1 at %s kHz, L2 at %s thousandths, offset %s',
    async (host, guestKhz, ratio, l2Offset) => {
      const [before, inside, after] = (await rowsOf({ guestKhz, ratio, l2Offset }))[host];
      const l1 = big(before!['TSC offset (cycles)']);
      // The VM was created an hour after the host’s TSC began.
      expect(l1 < 0n).toBe(true);
      const wanted = composed(host, BigInt(guestKhz), BigInt(ratio), BigInt(l2Offset), l1);
      expect(before!['ratio']).toBe(wanted.l1Ratio);
      expect(inside).toMatchObject({
        runs: 'L2',
        ratio: wanted.ratio,
        'TSC offset (cycles)': wanted.offset,
        'read by KVM − RDTSC (cycles)': 0n,
      });
      const off = big(inside!['counts in a second (cycles)']) - wanted.hz;
      expect(off >= 0n && off <= 1n).toBe(true);
      // A second’s cycles are rounded down at both ends.
      const counted = 'counts in a second (cycles)';
      const less = big(after![counted]) - big(before![counted]);
      expect(less >= -1n && less <= 1n).toBe(true);
      expect({ ...after, moment: '', [counted]: 0n }).toEqual({
        ...before,
        moment: '',
        [counted]: 0n,
      });
    },
  );

  test.each(['0', '5000000000', '-1'])('not scaled: offsets are added, %s', async (l2Offset) => {
    const both = await rowsOf({ ratio: '1000', l2Offset });
    for (const [before, inside] of [both.vmx, both.svm]) {
      const moved = big(inside!['TSC offset (cycles)']) - big(before!['TSC offset (cycles)']);
      expect(moved).toBe(BigInt(l2Offset));
      expect(inside!['ratio']).toBe(before!['ratio']);
    }
  });

  test.each([
    ['none', 'VMX: VMfailValid; SVM: entered, L2’s TSC at 1500000000 Hz', false, false],
    [
      'vmx',
      'VMX: entered, L2’s TSC at 6000000000 Hz; SVM: entered, L2’s TSC at 1500000000 Hz',
      true,
      false,
    ],
    [
      'vmx-svm',
      'VMX: entered, L2’s TSC at 6000000000 Hz; SVM: entered, L2’s TSC at 6000000000 Hz',
      true,
      true,
    ],
  ] as const)('nestedScaling=%s: %s', async (nestedScaling, outcomes, vmxScales, svmScales) => {
    const { vmx, svm, verdict } = await rowsOf({}, { set: { nestedScaling } });
    expect(verdict).toBe(outcomes);
    const scales = ([before, inside]: typeof vmx): boolean => before!['ratio'] !== inside!['ratio'];
    expect([scales(vmx), scales(svm)]).toEqual([vmxScales, svmScales]);
  });

  test.each([
    ['v4.4', 'none'],
    ['v5.10', 'none'],
    ['v5.15', 'vmx'],
    ['v6.1', 'vmx-svm'],
    ['v7.3', 'vmx-svm'],
  ] as const)('%s is as nestedScaling=%s', async (profile, nestedScaling) => {
    const its = await rowsOf({}, { profile });
    const same = await rowsOf({}, { profile, set: { nestedScaling } });
    const other = nestedScaling === 'vmx' ? 'none' : 'vmx';
    expect(its).toEqual(same);
    expect(its).not.toEqual(await rowsOf({}, { profile, set: { nestedScaling: other } }));
  });

  test('a multiplier of 0 is refused, and nothing changes', async () => {
    const { vmx, svm } = await rowsOf({ attempt: 'multiplier-0' });
    const [before, refused, after] = vmx;
    expect(refused!['moment']).toBe('VMfailValid');
    for (const row of [refused, after])
      expect({ ...row, moment: '' }).toEqual({ ...before, moment: '' });
    expect(svm[1]!['moment']).toBe('entered');
  });

  test.each([
    ['1000', true],
    ['4000', false],
    ['500', false],
  ])(
    'an entry that fails leaves KVM’s numbers wrong where L2 was scaled by %s thousandths',
    async (ratio, whole) => {
      const [before, failed, after] = (await rowsOf({ attempt: 'fails', ratio })).vmx;
      expect(failed!['moment']).toBe('entry failure');
      const l1 = big(before!['TSC offset (cycles)']);
      const wanted = composed('vmx', 1_500_000n, BigInt(ratio), 0n, l1);
      expect(failed).toMatchObject({
        runs: 'L1',
        'TSC offset (cycles)': wanted.offset,
        ratio: wanted.ratio,
        // The hardware is vmcs01’s.
        'counts in a second (cycles)': before!['counts in a second (cycles)'],
      });
      expect(big(failed!['read by KVM − RDTSC (cycles)']) === 0n).toBe(whole);
      expect(after!['TSC offset (cycles)']).toBe(failed!['TSC offset (cycles)']);
    },
  );

  test.each(['0', '1h', '30d'])('the host has run %s before', async (hostUptime) => {
    const ns = { '0': 0n, '1h': 3_600_000_000_000n, '30d': 2_592_000_000_000_000n }[hostUptime]!;
    const [before] = (await rowsOf({ hostUptime })).vmx;
    // L1’s TSC began with it: half the host’s cycles are taken off.
    expect(before!['TSC offset (cycles)']).toBe(-(ns * 3n) / 2n);
  });
});

describe('nested-tsc-write', () => {
  const rowsOf = async (params: Record<string, string>, options: PlayOptions = {}) =>
    (await table('nested-tsc-write', { ...options, params })).rows;
  /** By how much TSC_ADJUST, L1’s offset and L1’s TSC are other than before. */
  const movedOf = (rows: Awaited<ReturnType<typeof rowsOf>>): bigint[] =>
    ['TSC_ADJUST (cycles)', 'L1’s offset (cycles)', 'TSC (cycles)'].map(
      (column) => big(rows[3]![column]) - big(rows[0]![column]),
    );

  test.each([
    ['-281474976710656', '-4294967296'],
    ['0', '1000000000000'],
    ['1099511627776', '-12345'],
  ])('written to TSC with an offset of %s, moved by %s', async (l2Offset, by) => {
    const rows = await rowsOf({ l2Offset, by });
    const moved = BigInt(l2Offset) + BigInt(by);
    expect(movedOf(rows)).toEqual([moved, moved, moved]);
    // L2 reads it with its own offset added once more.
    expect(big(rows[2]!['TSC (cycles)']) - big(rows[1]!['TSC (cycles)'])).toBe(moved);
  });

  test.each(['-4294967296', '1', '1000000000000'])('TSC_ADJUST moved by %s', async (by) => {
    const rows = await rowsOf({ write: 'tsc-adjust', by });
    const moved = BigInt(by);
    expect(movedOf(rows)).toEqual([moved, moved, moved]);
    expect(big(rows[2]!['TSC (cycles)']) - big(rows[1]!['TSC (cycles)'])).toBe(moved);
  });

  test.each([
    ['v7.3', 'offset', 1_000n],
    ['v7.3', 'sync', 0n],
    ['v4.19', 'sync', 0n],
    ['v4.19', 'offset', 1_000n],
  ] as const)(
    '%s, tscWriteByGuest=%s: a write near what KVM expects moves the TSC by %s',
    async (profile, tscWriteByGuest, moved) => {
      const set = { tscWriteByGuest, userSetTsc: 'none', syncWindow: 'cycles' } as const;
      const rows = await rowsOf({ by: '1000', l2Offset: '0' }, { profile, set });
      expect(movedOf(rows)[2]).toBe(moved);
    },
  );
});
