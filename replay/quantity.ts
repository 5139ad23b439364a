/** Quantities for people: exact integers in, short text with a unit out. No locale is asked. */

/** Of 365.25 days, as astronomers have it. */
const YEAR_NS = 31_557_600e9;

/** From which number of ns on, what the last digit shown then counts, how many decimals, and a unit. */
const UNITS = [
  [YEAR_NS, YEAR_NS / 10, 1, 'years'],
  [86_400e9, 8640e9, 1, 'days'],
  // Up to 2 hours a number of seconds is easier to compare than hours.
  [7200e9, 360e9, 1, 'h'],
  [1e9, 1e6, 3, 's'],
  [1e6, 1e3, 3, 'ms'],
  [1e3, 1, 3, 'µs'],
  [0, 1, 0, 'ns'],
] as const;

/** What rounds up to a whole one of a unit is shown as that: from so many ns on. */
const FROM = UNITS.map(([from], i) => from - Math.floor((UNITS[i + 1]?.[1] ?? 0) / 2));

/** The size of a quantity: a number wherever that is exact, which is several times as fast. */
function sizeOf(value: bigint): number | bigint {
  const size = Math.abs(Number(value));
  if (size <= Number.MAX_SAFE_INTEGER) return size;
  return value < 0n ? -value : value;
}

/** `value` with so many decimals, the last of which counts `step`; truncated toward zero: instants. */
export function decimal(value: bigint, step: number, decimals: number): string {
  const size = sizeOf(value);
  const steps = typeof size === 'number' ? Math.floor(size / step) : size / BigInt(step);
  const digits = steps.toString().padStart(decimals + 1, '0');
  const point = digits.length - decimals;
  return `${value < 0n ? '−' : ''}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** The same, rounded to the nearest, halves away from zero: lengths and rates. */
export function rounded(value: bigint, step: number, decimals: number): string {
  const half = BigInt(Math.floor(step / 2));
  return decimal(value < 0n ? value - half : value + half, step, decimals);
}

/** A length of time with the unit that suits it: `412 ns`, `10.004 ms`, `48.000 s`, `584.5 years`. */
export function formatNs(ns: bigint): string {
  const size = sizeOf(ns);
  const place = FROM.findIndex((from) => size >= from);
  const [, step, decimals, unit] = UNITS[place]!;
  return decimals === 0
    ? `${ns < 0n ? '−' : ''}${size} ${unit}`
    : `${rounded(ns, step, decimals)} ${unit}`;
}

/** The same with its sign always shown. */
export const formatSignedNs = (ns: bigint): string => `${ns >= 0n ? '+' : ''}${formatNs(ns)}`;

/** From so many parts in 10^12 on, what the decimal counts, and a unit. */
const RATES = [
  [3e9, 1e9, '%'],
  [1e7, 1e5, 'ppm'],
  [0, 1e2, 'ppb'],
] as const;

/** A relative rate `part / whole` in the unit that suits it: `−9.9 %`, `+500.0 ppm`, `−31.3 ppb`. */
export function formatRate(part: bigint, whole: bigint): string {
  if (whole === 0n) return 'at an unknown rate';
  const ppt = (part * 1_000_000_000_000n) / whole;
  const size = sizeOf(ppt);
  const [, step, unit] = RATES.find(([from]) => size >= from)!;
  return `${ppt < 0n ? '' : '+'}${rounded(ppt, step, 1)} ${unit}`;
}

/** `1 event`, `2 events`. */
export const count = (n: number | bigint, noun: string, plural = `${noun}s`): string =>
  `${groups(n)} ${n === 1 || n === 1n ? noun : plural}`;

/** Digits in groups of three: `1,234,567`. */
export const groups = (n: number | bigint): string => n.toString().replace(/\B(?=(\d{3})+$)/g, ',');
