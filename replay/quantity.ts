/** Quantities for people: exact integers in, short text with a unit out. No locale is asked. */

/** Of 365.25 days, as astronomers have it. */
const YEAR_NS = 31_557_600e9;

/** From which number of ns on, what the last digit shown then counts, how many decimals, and a unit. */
const UNITS = [
  { from: YEAR_NS, step: YEAR_NS / 10, decimals: 1, unit: 'years' },
  { from: 86_400e9, step: 8640e9, decimals: 1, unit: 'days' },
  // Up to 2 hours a number of seconds is easier to compare than hours.
  { from: 7200e9, step: 360e9, decimals: 1, unit: 'h' },
  { from: 1e9, step: 1e6, decimals: 3, unit: 's' },
  { from: 1e6, step: 1e3, decimals: 3, unit: 'ms' },
  { from: 1e3, step: 1, decimals: 3, unit: 'µs' },
  { from: 0, step: 1, decimals: 0, unit: 'ns' },
] as const;

/** What rounds up to a whole one of a unit is shown as that: from so many ns on. */
const FROM = UNITS.map(({ from }, i) => from - Math.floor((UNITS[i + 1]?.step ?? 0) / 2));

/** The size of a quantity: a number wherever that is exact, which is several times as fast. */
function sizeOf(value: bigint): number | bigint {
  const size = Math.abs(Number(value));
  if (size <= Number.MAX_SAFE_INTEGER) return size;
  return value < 0n ? -value : value;
}

/** How many whole steps a size has with so much more, as text. */
function stepsIn(size: number | bigint, step: number, more: number): string {
  return typeof size === 'number' && size + more <= Number.MAX_SAFE_INTEGER
    ? `${Math.floor((size + more) / step)}`
    : `${(BigInt(size) + BigInt(more)) / BigInt(step)}`;
}

/** Digits with a point before the last of them, and a sign. */
function pointed(isNegative: boolean, steps: string, decimals: number): string {
  const digits = steps.length > decimals ? steps : steps.padStart(decimals + 1, '0');
  const point = digits.length - decimals;
  return `${isNegative ? '−' : ''}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** `value` with so many decimals, the last of which counts `step`; truncated toward zero: instants. */
export const decimal = (value: bigint, step: number, decimals: number): string =>
  pointed(value < 0n, stepsIn(sizeOf(value), step, 0), decimals);

/** The same, rounded to the nearest, halves away from zero: lengths and rates. */
export const rounded = (value: bigint, step: number, decimals: number): string =>
  pointed(value < 0n, stepsIn(sizeOf(value), step, Math.floor(step / 2)), decimals);

/** A length of time with the unit that suits it: `412 ns`, `10.004 ms`, `48.000 s`, `584.5 years`. */
export function formatNs(ns: bigint): string {
  const size = sizeOf(ns);
  let place = 0;
  while (size < FROM[place]!) place += 1;
  const { step, decimals, unit } = UNITS[place]!;
  return decimals === 0
    ? `${ns < 0n ? '−' : ''}${size} ${unit}`
    : `${rounded(ns, step, decimals)} ${unit}`;
}

/** The same with its sign always shown. */
export const formatSignedNs = (ns: bigint): string => `${ns >= 0n ? '+' : ''}${formatNs(ns)}`;

/** From so many parts in 10^12 on, what the decimal counts, and a unit. */
const RATES = [
  { from: 3e9, step: 1e9, unit: '%' },
  { from: 1e7, step: 1e5, unit: 'ppm' },
  { from: 0, step: 1e2, unit: 'ppb' },
] as const;

/** A relative rate `part / whole` in the unit that suits it: `−9.9 %`, `+500.0 ppm`, `−31.3 ppb`. */
export function formatRate(part: bigint, whole: bigint): string {
  if (whole === 0n) return 'at an unknown rate';
  const ppt = (part * 1_000_000_000_000n) / whole;
  const size = sizeOf(ppt);
  const { step, unit } = RATES.find(({ from }) => size >= from)!;
  return `${ppt < 0n ? '' : '+'}${rounded(ppt, step, 1)} ${unit}`;
}

/** `1 event`, `2 events`. */
export const count = (n: number | bigint, noun: string, plural = `${noun}s`): string =>
  `${groups(n)} ${n === 1 || n === 1n ? noun : plural}`;

/** Digits of a number that is not negative, in groups of three: `1,234,567`. */
export function groups(n: number | bigint): string {
  const digits = n.toString();
  let end = digits.length % 3 || 3;
  let text = digits.slice(0, end);
  for (; end < digits.length; end += 3) text += `,${digits.slice(end, end + 3)}`;
  return text;
}
