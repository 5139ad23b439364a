/**
 * Parameters of scenarios: declared once, with unit, default, range and meaning. The command line's
 * options, its help, the pages of docs/scenarios and the types that a scenario sees derive from them.
 */
import { nearest } from '../profiles/nearest.ts';

/** A parameter, read from text. */
export interface Param<T = unknown> {
  /** What it is given in, with an example: `a duration such as 30d`. */
  readonly unit: string;
  readonly default: string;
  /** From … to …, as it is written; none where `unit` names all values. */
  readonly range?: string;
  /** All values as they are written, where they are names. */
  readonly values?: readonly string[];
  /** What it is, in a few words. */
  readonly doc: string;
  /** @returns `undefined` for text that is none, or out of range. */
  readonly parse: (text: string) => T | undefined;
}

/** A scenario's parameters by name: `ntpPpm` is the option `--ntp-ppm`. */
export type Params = Readonly<Record<string, Param>>;

/** The values of parameters. */
export type ParamValues<P extends Params> = {
  readonly [K in keyof P]: P[K] extends Param<infer T> ? T : never;
};

/** The least and the most, as they are written. */
interface Range {
  readonly least: string;
  readonly most: string;
}

/** A parameter whose values can be compared; its own default must be one. */
function ranged<T extends bigint | number>(
  read: (text: string) => T | undefined,
  { unit, range, ...rest }: Pick<Param, 'unit' | 'default' | 'doc'> & { readonly range: Range },
): Param<T> {
  const least = read(range.least);
  const most = read(range.most);
  if (least === undefined || most === undefined) throw new TypeError(`range ${range.least}`);
  const parse = (text: string): T | undefined => {
    const value = read(text);
    return value === undefined || value < least || value > most ? undefined : value;
  };
  if (parse(rest.default) === undefined) throw new TypeError(`default ${rest.default}`);
  return { unit, range: `${range.least} to ${range.most}`, ...rest, parse };
}

/** ns of each unit of time. */
const NS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  min: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
};

const DIGITS = 12;

/** A number with a fraction as a whole number of `10^-decimals`; `undefined` if it is finer. */
function fixed(text: string, decimals: number): bigint | undefined {
  const parts = /^([+-]?)(\d{1,18})(?:\.(\d+))?$/.exec(text);
  const [, sign, whole = '', fraction = ''] = parts ?? [];
  if (parts === null || fraction.length > decimals) return undefined;
  const size = BigInt(whole + fraction.padEnd(decimals, '0'));
  return sign === '-' ? -size : size;
}

function readDuration(text: string): bigint | undefined {
  const [, number = '', unit = ''] = /^([\d.+-]+)([a-z]*)$/.exec(text) ?? [];
  const ns = NS[unit];
  const value = fixed(number, DIGITS);
  if (value === undefined) return undefined;
  if (ns === undefined) return value === 0n && unit === '' ? 0n : undefined;
  const scaled = value * ns;
  const one = 10n ** BigInt(DIGITS);
  return scaled % one === 0n ? scaled / one : undefined;
}

/**
 * A length of time as it can be written, exact: in the largest unit of which it is a whole number, or
 * in seconds and less with decimals.
 */
export function durationText(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  const units = Object.entries(NS).reverse();
  const whole = units.find(([, of]) => size !== 0n && size % of === 0n);
  if (size === 0n) return '0';
  if (whole !== undefined && whole[1] >= NS['s']!) return `${ns / whole[1]}${whole[0]}`;
  const [unit, of] = units.find(([, it]) => it <= NS['s']! && it <= size)!;
  const fraction = `${size % of}`.padStart(`${of}`.length - 1, '0').replace(/0+$/, '');
  return `${ns < 0n ? '-' : ''}${size / of}${fraction === '' ? '' : `.${fraction}`}${unit}`;
}

const readInteger = (text: string): number | undefined =>
  /^\d{1,9}$/.test(text) ? Number(text) : undefined;

/** A length of time; its value is in ns. */
export const duration = (preset: string, doc: string, range: Range): Param<bigint> =>
  ranged(readDuration, {
    unit: 'a duration in ns, us, ms, s, min, h or d such as 250ms',
    default: preset,
    doc,
    range,
  });

/** Several values of a parameter, with commas between them. */
const listOf = <T>({ unit, ...rest }: Param<T>, several: Pick<Param, 'unit' | 'default'>) => ({
  ...rest,
  ...several,
  parse: (text: string): readonly T[] | undefined => {
    const values = text.split(',').map(rest.parse);
    return values.every((value) => value !== undefined) ? values : undefined;
  },
});

/** Lengths of time with commas between them; their values are in ns. */
export const durations = (preset: string, doc: string, range: Range): Param<readonly bigint[]> =>
  listOf(duration(range.least, doc, range), {
    unit: 'durations such as 20us,1ms',
    default: preset,
  });

/** Decimals of a part per million that count: 10^-6, a part in 10^12. */
const PPM_DECIMALS = 6;

/** A rate in parts per million; its value is in parts per 10^12. */
export const ppm = (preset: string, doc: string, range: Range): Param<bigint> =>
  ranged((text) => fixed(text, PPM_DECIMALS), {
    unit: 'parts per million such as 20 or -0.5',
    default: preset,
    doc,
    range,
  });

/** A frequency; its value is in kHz. */
export const khz = (preset: string, doc: string, range: Range): Param<number> =>
  ranged(readInteger, { unit: 'kHz such as 2500000', default: preset, doc, range });

/** A frequency that may be 0 beside its range, and then means something else; its value is in kHz. */
export function khzOrZero(preset: string, doc: string, range: Range): Param<number> {
  const { parse, ...rest } = khz(preset === '0' ? range.least : preset, doc, range);
  return {
    ...rest,
    default: preset,
    range: `0, ${range.least} to ${range.most}`,
    parse: (text) => (text === '0' ? 0 : parse(text)),
  };
}

/** Frequencies with commas between them; their values are in kHz. */
export const khzs = (preset: string, doc: string, range: Range): Param<readonly number[]> =>
  listOf(khz(range.least, doc, range), { unit: 'kHz such as 2400000,2500000', default: preset });

/** A number of things. */
export const number = (preset: string, doc: string, range: Range): Param<number> =>
  ranged(readInteger, { unit: 'a whole number', default: preset, doc, range });

const readCycles = (text: string): bigint | undefined =>
  /^-?\d{1,19}$/.test(text) ? BigInt(text) : undefined;

/** A number of TSC cycles, which may be negative. */
export const cycles = (preset: string, doc: string, range: Range): Param<bigint> =>
  ranged(readCycles, { unit: 'cycles such as -1000', default: preset, doc, range });

/** One of several names. */
export function choice<const V extends string>(
  values: readonly [V, ...V[]],
  doc: string,
): Param<V> {
  return {
    unit: `one of ${values.join(', ')}`,
    values,
    default: values[0],
    doc,
    parse: (text) => values.find((value) => value === text),
  };
}

/** What a parameter takes: how it is written and, where that does not say it all, from what to what. */
export const takes = ({ unit, range }: Param): string =>
  range === undefined ? unit : `${unit}, ${range}`;

/** What was expected of text that a parameter does not take: the nearest names, or all that it takes. */
export const expectedOf = (param: Param, text: string): string =>
  param.values === undefined ? takes(param) : nearest(text, param.values).join(' or ');

/** The option of a parameter, without dashes: `ntp-ppm` for `ntpPpm`. */
export const optionOf = (name: string): string =>
  name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
