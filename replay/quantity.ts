/** Quantities for people: exact integers in, short text with a unit out. No locale is asked. */

const STEPS = [
  [60n * 60n * 24n * 365n * 1_000_000_000n, 'years'],
  [60n * 60n * 24n * 1_000_000_000n, 'days'],
  [60n * 60n * 1_000_000_000n, 'h'],
  [1_000_000_000n, 's'],
  [1_000_000n, 'ms'],
  [1_000n, 'µs'],
] as const;

/** `value / unit` with `digits` decimals, truncated toward zero. */
export function decimal(value: bigint, unit: bigint, digits: number): string {
  const size = value < 0n ? -value : value;
  const scaled = (size * 10n ** BigInt(digits)) / unit;
  const text = scaled.toString().padStart(digits + 1, '0');
  const whole = text.slice(0, text.length - digits);
  return `${value < 0n ? '−' : ''}${whole}${digits === 0 ? '' : `.${text.slice(-digits)}`}`;
}

/** A length of time with the unit that suits it: `412 ns`, `10.004 ms`, `48.000 s`, `584.5 years`. */
export function formatNs(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  for (const [unit, name] of STEPS) {
    // Up to 2 hours a number of seconds is easier to compare than hours.
    const from = name === 'h' ? 2n * unit : unit;
    if (size >= from) return `${decimal(ns, unit, unit > 1_000_000_000n ? 1 : 3)} ${name}`;
  }
  return `${ns < 0n ? '−' : ''}${size} ns`;
}

/** The same with its sign always shown. */
export const formatSignedNs = (ns: bigint): string => `${ns >= 0n ? '+' : ''}${formatNs(ns)}`;

const RATES = [
  [10_000_000_000n, 3_000_000_000n, '%'],
  [1_000_000n, 10_000_000n, 'ppm'],
  [1_000n, 0n, 'ppb'],
] as const;

/** A relative rate `part / whole` in the unit that suits it: `−9.9 %`, `+500.0 ppm`, `−31.3 ppb`. */
export function formatRate(part: bigint, whole: bigint): string {
  if (whole === 0n) return 'at an unknown rate';
  const ppt = (part * 1_000_000_000_000n) / whole;
  const size = ppt < 0n ? -ppt : ppt;
  const [unit, , name] = RATES.find(([, from]) => size >= from)!;
  return `${ppt < 0n ? '' : '+'}${decimal(ppt, unit, 1)} ${name}`;
}

/** `1 event`, `2 events`. */
export const count = (n: number | bigint, noun: string, plural = `${noun}s`): string =>
  `${groups(n)} ${n === 1 || n === 1n ? noun : plural}`;

/** Digits in groups of three: `1,234,567`. */
export const groups = (n: number | bigint): string => n.toString().replace(/\B(?=(\d{3})+$)/g, ',');
