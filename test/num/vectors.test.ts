/** Golden vectors: every field of every row. */
import { describe, expect, it } from 'vitest';
import {
  clocksourceMultShift,
  computeGuestTsc,
  hvclockToHz,
  hvReferenceTime,
  hvTscPage,
  isBefore,
  mulS64U64Shr,
  mulU64U64Shr,
  nestedMultiplier,
  nestedOffset,
  nsecToCycles,
  pvclockRead,
  pvclockTscKhz,
  SVM_TSC_FRAC_BITS,
  scaleDelta,
  scaleTsc,
  timeScale,
  tscMatchWindow,
  tscRatio,
  VMX_TSC_FRAC_BITS,
} from '../../src/num/index.ts';
import { readVectors } from './vectors.ts';

const NSEC = 1_000_000_000n;

/** What a row should be, rebuilt from its inputs: compared whole, so no field goes unchecked. */
function check<Row>(file: string, rows: number, rebuild: (row: Row) => Row): void {
  it(`${file}: ${rows} rows`, () => {
    const all = readVectors<Row>(file);
    expect(all.length).toBe(rows);
    for (const row of all) expect(rebuild(row)).toStrictEqual(row);
  });
}

type Pair = readonly [shift: number, mul: number];
const pair = (scaledHz: bigint, baseHz: bigint): Pair => {
  const { shift, mul } = timeScale(scaledHz, baseHz);
  return [shift, mul];
};

interface ProductRow {
  a: string;
  b: string;
  shift: number;
  result: string;
}

describe('scaling by a fraction', () => {
  interface TimeScaleRow {
    tag: string;
    scaled_hz: string;
    base_hz: string;
    shift?: number;
    mul?: number;
    hang?: true;
  }
  check<TimeScaleRow>('time_scale', 2319, (row) => {
    const { tag, scaled_hz, base_hz } = row;
    const run = () => timeScale(BigInt(scaled_hz), BigInt(base_hz));
    if (row.hang === true) {
      expect(run).toThrow(RangeError);
      return { tag, scaled_hz, base_hz, hang: true };
    }
    return { tag, scaled_hz, base_hz, ...run() };
  });
  check<{ tag: string; delta: string; mul: number; shift: number; result: string }>(
    'scale_delta',
    2380,
    (row) => ({ ...row, result: String(scaleDelta(BigInt(row.delta), row.mul, row.shift)) }),
  );
  check<ProductRow>('mul_u64_u64_shr', 2567, (row) => ({
    ...row,
    result: String(mulU64U64Shr(BigInt(row.a), BigInt(row.b), row.shift)),
  }));
  check<ProductRow>('mul_s64_u64_shr', 2567, (row) => ({
    ...row,
    result: String(mulS64U64Shr(BigInt(row.a), BigInt(row.b), row.shift)),
  }));
});

describe('pvclock', () => {
  interface ReadRow {
    tsc_timestamp: string;
    system_time: string;
    mul: number;
    shift: number;
    tsc: string;
    ns: string;
    tsc_before_reference: boolean;
  }
  check<ReadRow>('pvclock_read', 1820, (row) => {
    const page = {
      tscTimestamp: BigInt(row.tsc_timestamp),
      systemTime: BigInt(row.system_time),
      tscToSystemMul: row.mul,
      tscShift: row.shift,
    };
    const tsc = BigInt(row.tsc);
    return {
      ...row,
      ns: String(pvclockRead(page, tsc)),
      tsc_before_reference: isBefore(tsc, page.tscTimestamp),
    };
  });
  interface HzRow {
    hz: string;
    mul: number;
    shift: number;
    hvclock_to_hz: string;
    guest_pvclock_tsc_khz: string;
  }
  check<HzRow>('hvclock_to_hz', 1820, ({ hz, mul, shift }) => ({
    hz,
    ...timeScale(NSEC, BigInt(hz)),
    hvclock_to_hz: String(hvclockToHz(mul, shift)),
    guest_pvclock_tsc_khz: String(pvclockTscKhz(mul, shift)),
  }));
  interface HvRow {
    tsc_timestamp: string;
    system_time: string;
    mul: number;
    shift: number;
    flags: number;
    ok: boolean;
    tsc_scale: string;
    tsc_offset: string;
    tsc: string;
    ref_100ns: string;
    pvclock_ns: string;
  }
  check<HvRow>('hv_tsc_page', 1820, (row) => {
    const page = {
      tscTimestamp: BigInt(row.tsc_timestamp),
      systemTime: BigInt(row.system_time),
      tscToSystemMul: row.mul,
      tscShift: row.shift,
      flags: row.flags,
    };
    const { ok, tscScale, tscOffset } = hvTscPage(page);
    return {
      ...row,
      ok,
      tsc_scale: String(tscScale),
      tsc_offset: String(tscOffset),
      ref_100ns: String(hvReferenceTime(BigInt(row.tsc), tscScale, tscOffset)),
      pvclock_ns: String(pvclockRead(page, BigInt(row.tsc))),
    };
  });
});

describe('TSC scaling', () => {
  interface RatioRow {
    vendor: string;
    frac_bits: number;
    host_khz: number;
    user_khz: number;
    thresh_lo: number;
    thresh_hi: number;
    use_scaling: boolean;
    ratio: string;
    ratio_error: boolean;
    guest_khz: string;
    guest_hz: string;
    pv_khz_path: Pair | null;
    _k?: Pair;
    pv_hz_path: Pair;
    pv_host_direct: Pair;
    virt_tsc: Pair;
  }
  const rebuildRatio = (row: RatioRow): RatioRow => {
    const { vendor, frac_bits, host_khz, user_khz } = row;
    expect(frac_bits).toBe(vendor === 'vmx' ? VMX_TSC_FRAC_BITS : SVM_TSC_FRAC_BITS);
    const result = tscRatio(user_khz, host_khz, frac_bits);
    const ratio = result.ratio ?? 0n;
    const guestKhz = scaleTsc(BigInt(host_khz), ratio, frac_bits);
    const guestHz = scaleTsc(BigInt(host_khz) * 1000n, ratio, frac_bits);
    if (guestKhz === 0n) expect(() => timeScale(NSEC, 0n)).toThrow(RangeError);
    return {
      vendor,
      frac_bits,
      host_khz,
      user_khz,
      thresh_lo: result.threshLo,
      thresh_hi: result.threshHi,
      use_scaling: result.useScaling,
      ratio: String(ratio),
      ratio_error: !result.ok,
      guest_khz: String(guestKhz),
      guest_hz: String(guestHz),
      pv_khz_path: guestKhz === 0n ? null : pair(NSEC, guestKhz * 1000n),
      ...(guestKhz === 0n ? { _k: [0, 0] } : {}), // filler of rows whose kHz path hangs
      pv_hz_path: pair(NSEC, guestHz),
      pv_host_direct: pair(NSEC, BigInt(host_khz) * 1000n),
      virt_tsc: pair(BigInt(user_khz) * 1000n, NSEC),
    };
  };
  check<RatioRow>('tsc_ratio_vmx', 1820, rebuildRatio);
  check<RatioRow>('tsc_ratio_svm', 1820, rebuildRatio);

  interface ScaleRow {
    frac_bits: number;
    ratio: string;
    tsc: string;
    result: string;
  }
  const rebuildScale = (row: ScaleRow): ScaleRow => ({
    ...row,
    result: String(scaleTsc(BigInt(row.tsc), BigInt(row.ratio), row.frac_bits)),
  });
  check<ScaleRow>('scale_tsc_vmx', 1820, rebuildScale);
  check<ScaleRow>('scale_tsc_svm', 1820, rebuildScale);

  interface NestedRow {
    vendor: string;
    frac_bits: number;
    l1_mult: string;
    l2_mult: string;
    l1_offset: string;
    l2_offset: string;
    mult: string;
    offset: string;
    host_tsc: string;
    l1_tsc: string;
    l2_tsc: string;
    l2_tsc_two_step: string;
  }
  const rebuildNested = (row: NestedRow): NestedRow => {
    const bits = row.frac_bits;
    const [l1Mult, l2Mult] = [BigInt(row.l1_mult), BigInt(row.l2_mult)];
    const [l1Offset, l2Offset] = [BigInt(row.l1_offset), BigInt(row.l2_offset)];
    const mult = nestedMultiplier(l1Mult, l2Mult, bits);
    const offset = nestedOffset(l1Offset, l2Offset, l2Mult, bits);
    const host = BigInt(row.host_tsc);
    const l1 = BigInt.asUintN(64, scaleTsc(host, l1Mult, bits) + l1Offset);
    const l2 = BigInt.asUintN(64, scaleTsc(host, mult, bits) + offset);
    const twoStep = BigInt.asUintN(64, scaleTsc(l1, l2Mult, bits) + l2Offset);
    return {
      ...row,
      mult: String(mult),
      offset: String(offset),
      l1_tsc: String(l1),
      l2_tsc: String(l2),
      l2_tsc_two_step: String(twoStep),
    };
  };
  check<NestedRow>('nested_vmx', 1820, rebuildNested);
  check<NestedRow>('nested_svm', 1820, rebuildNested);
});

describe('TSC synchronisation', () => {
  interface GuestRow {
    khz: number;
    mul: number;
    shift: number;
    this_tsc_nsec: string;
    this_tsc_write: string;
    kernel_ns: string;
    legacy: string;
    rfc10: string;
  }
  check<GuestRow>('compute_guest_tsc', 1540, (row) => {
    const sync = {
      thisTscNsec: BigInt(row.this_tsc_nsec),
      thisTscWrite: BigInt(row.this_tsc_write),
      virtualTscMult: row.mul,
      virtualTscShift: row.shift,
    };
    return {
      ...row,
      ...timeScale(BigInt(row.khz) * 1000n, NSEC),
      legacy: String(computeGuestTsc(BigInt(row.kernel_ns), sync, 'legacy')),
      rfc10: String(computeGuestTsc(BigInt(row.kernel_ns), sync, 'signed')),
    };
  });
  interface WindowRow {
    khz: number;
    mul: number;
    shift: number;
    last_write: string;
    elapsed_ns: string;
    data: string;
    tsc_exp: string;
    synchronizing: boolean;
    legacy_v44_usdiff: string;
    legacy_v44_sync: boolean;
  }
  check<WindowRow>('tsc_match_window', 1680, (row) => {
    const write = {
      data: BigInt(row.data),
      lastTscWrite: BigInt(row.last_write),
      elapsedNs: BigInt(row.elapsed_ns),
      virtualTscKhz: row.khz,
      virtualTscMult: row.mul,
      virtualTscShift: row.shift,
    };
    const cycles = tscMatchWindow(write, 'cycles');
    const us = tscMatchWindow(write, 'usdiff');
    const elapsed = nsecToCycles(write.elapsedNs, row.mul, row.shift);
    expect(cycles.tscExp).toBe(BigInt.asUintN(64, write.lastTscWrite + elapsed));
    return {
      ...row,
      ...timeScale(BigInt(row.khz) * 1000n, NSEC),
      tsc_exp: String(cycles.tscExp),
      synchronizing: cycles.synchronizing,
      legacy_v44_usdiff: String(us.usdiff),
      legacy_v44_sync: us.synchronizing,
    };
  });
});

describe('the host clocksource', () => {
  interface ClocksourceRow {
    tsc_khz: number;
    mult: number;
    shift: number;
  }
  check<ClocksourceRow>('tsc_clocksource_mult_shift', 1610, ({ tsc_khz }) => ({
    tsc_khz,
    ...clocksourceMultShift(tsc_khz),
  }));
});
