/**
 * The same arithmetic the plain way: unbounded bigints, products taken whole, shifts as powers of
 * two, one line for one line of the definition. Slow and obvious, for comparison.
 */

const MOD = 2n ** 64n;

export const u = (x: bigint): bigint => ((x % MOD) + MOD) % MOD;
export const s = (x: bigint): bigint => (u(x) >= MOD / 2n ? u(x) - MOD : u(x));

/** Rounds toward minus infinity. */
const floorDiv = (a: bigint, b: bigint): bigint => {
  const q = a / b;
  return q * b > a ? q - 1n : q;
};

/** What the reference answers where the kernel would not return. */
export const HANG = 'hang';

const LOOP_BOUND = 1000;

export function refTimeScale(
  scaledHz: bigint,
  baseHz: bigint,
): { shift: number; mul: number } | typeof HANG {
  let scaled = u(scaledHz);
  let base = u(baseHz);
  let shift = 0;
  let rounds = 0;
  while (base > u(scaled * 2n) || base >= 2n ** 32n) {
    base = base / 2n;
    shift--;
    if (++rounds > LOOP_BOUND) return HANG;
  }
  let base32 = base % 2n ** 32n;
  while (base32 <= scaled || scaled >= 2n ** 32n) {
    if (scaled >= 2n ** 32n || (base32 / 2n ** 31n) % 2n === 1n) scaled = scaled / 2n;
    else base32 = (base32 * 2n) % 2n ** 32n;
    shift++;
    if (++rounds > LOOP_BOUND) return HANG;
  }
  return { shift, mul: Number((scaled * 2n ** 32n) / base32) };
}

export function refScaleDelta(delta: bigint, mul: number, shift: number): bigint {
  const d = shift < 0 ? u(delta) / 2n ** BigInt(-shift) : u(u(delta) * 2n ** BigInt(shift));
  return u((d * BigInt(mul)) / 2n ** 32n);
}

export const refMulU = (a: bigint, b: bigint, shift: number): bigint =>
  u((u(a) * u(b)) / 2n ** BigInt(shift));

/** Bigint division truncates toward zero, which is what is wanted here. */
export const refMulS = (a: bigint, b: bigint, shift: number): bigint =>
  u((s(a) * u(b)) / 2n ** BigInt(shift));

export function refAdjust(khz: number, ppm: number): number {
  const product = u(BigInt(khz) * BigInt.asIntN(32, 1_000_000n + BigInt(ppm)));
  return Number((product / 1_000_000n) % 2n ** 32n);
}

export function refHvPage(
  mul: number,
  shift: number,
  tscTimestamp: bigint,
  systemTime: bigint,
  flags: number,
): { ok: boolean; scale: bigint; offset: bigint } {
  const limit = u(100n * 2n ** BigInt(32 - shift));
  if (flags % 2 === 0 || BigInt(mul) >= limit) return { ok: false, scale: 0n, offset: 0n };
  const scale = (2n ** BigInt(32 + shift) * BigInt(mul)) / 100n;
  const offset = s(u(systemTime) / 100n - (u(tscTimestamp) * scale) / MOD);
  return { ok: true, scale, offset };
}

export function refHvclockToHz(mul: number, shift: number): bigint | typeof HANG {
  let m = BigInt(mul);
  let sh = BigInt(shift) + 2n;
  let rounds = 0;
  while (m % 2n === 0n) {
    m = m / 2n;
    sh++;
    if (++rounds > LOOP_BOUND) return HANG;
  }
  const t = (1_000_000_000n * 2n ** 34n) / m;
  if (sh >= 64n || sh <= -64n) return 0n;
  return sh > 0n ? t / 2n ** sh : u(t * 2n ** -sh);
}

export function refClocksource(khz: number): { mult: number; shift: number } {
  const f = BigInt(khz);
  let acc = 32n;
  for (let t = (600_000n * f) / 2n ** 32n; t > 0n; t /= 2n) acc--;
  let shift = 32n;
  let mult = 0n;
  for (; shift > 0n; shift--) {
    mult = floorDiv(1_000_000n * 2n ** shift + f / 2n, f);
    if (mult / 2n ** acc === 0n) break;
  }
  const fits = (m: bigint): boolean => {
    const room = (m * 11n) / 100n;
    return m + room < 2n ** 32n && m - room >= 0n;
  };
  while (!fits(mult)) {
    mult /= 2n;
    shift--;
  }
  return { mult: Number(mult), shift: Number(shift) };
}

export function refComputeGuestTsc(
  kernelNs: bigint,
  nsec: bigint,
  write: bigint,
  mul: number,
  shift: number,
  signed: boolean,
): bigint {
  const d = s(s(kernelNs) - s(nsec));
  if (signed && d < 0n) return u(u(write) - refScaleDelta(-d, mul, shift));
  return u(refScaleDelta(u(d), mul, shift) + u(write));
}

export function refCycleWindow(
  data: bigint,
  last: bigint,
  elapsed: bigint,
  khz: number,
  mul: number,
  shift: number,
): { exp: bigint; sync: boolean } {
  const exp = u(last + refScaleDelta(elapsed, mul, shift));
  const hz = 1000n * BigInt(khz);
  return { exp, sync: khz !== 0 && u(data) < u(exp + hz) && u(u(data) + hz) > exp };
}

export function refUsdiffWindow(
  data: bigint,
  last: bigint,
  elapsed: bigint,
  khz: number,
): { usdiff: bigint; sync: boolean } {
  if (khz === 0) return { usdiff: 1_000_000n, sync: false };
  const cycles = s(u(data) - u(last));
  let diff = s(s(cycles * 1000n) / BigInt(khz) - u(elapsed) / 1000n);
  if (diff < 0n) diff = s(-diff);
  return { usdiff: diff, sync: diff < 1_000_000n };
}
