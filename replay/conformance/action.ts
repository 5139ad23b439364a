/**
 * The log of what a recording's driver did (`actions.jsonl`): one line an action, with what it
 * returned and what was seen after it.
 *
 * All 64-bit quantities are decimal strings. Fields that this program does not use are left alone.
 */

import { describeValue } from '../../src/num/index.ts';
import { printable } from '../formats/index.ts';

/** The log is not what it should be. */
export class ActionError extends Error {
  override readonly name = 'ActionError';
  /** Its file. */
  readonly file: string;
  /** The line, from 1. */
  readonly line: number;

  /** @internal */
  constructor(file: string, line: number, expected: string, found: string) {
    super(`${printable(file)}:${line}: expected ${expected}, found ${printable(found)}`);
    this.file = file;
    this.line = line;
  }
}

/** The host's clocks, read one after another between two reads of the TSC. */
export interface HostTimes {
  readonly tsc: bigint;
  readonly raw: bigint;
  readonly boot: bigint;
  readonly mono: bigint;
  readonly real: bigint;
  readonly tscEnd: bigint;
}

/** A pvclock page as it lay in guest memory. */
export interface SeenPage {
  readonly version: number;
  readonly tscTimestamp: bigint;
  readonly systemTime: bigint;
  readonly mul: number;
  readonly shift: number;
  readonly flags: number;
}

/** Hyper-V's reference TSC page as it lay in guest memory. */
interface SeenHvPage {
  readonly sequence: number;
  readonly scale: bigint;
  readonly offset: bigint;
}

/** What KVM_GET_CLOCK returned. */
export interface SeenClock {
  readonly clock: bigint;
  readonly flags: number;
  readonly realtime: bigint;
  readonly hostTsc: bigint;
}

/** What was seen of one vCPU. */
interface SeenVcpu {
  readonly vcpu: number;
  /** L1's TSC offset, cycles, s64. */
  readonly tscOffset: bigint | undefined;
  readonly page: SeenPage | undefined;
}

/** What was seen after an action, without touching a vCPU. */
interface Seen {
  readonly vm: number;
  readonly clock: SeenClock | undefined;
  readonly vcpus: readonly SeenVcpu[];
  readonly hvTscPage: SeenHvPage | undefined;
  /** `struct pvclock_wall_clock` in guest memory, hexadecimal. */
  readonly wallHex: string | undefined;
  /** The same in Xen's shared_info page of a 64-bit guest, with the high half of its seconds. */
  readonly xenWallHex: string | undefined;
}

/** One action of the driver. */
export interface Action {
  readonly index: number;
  readonly op: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly before: HostTimes;
  readonly after: HostTimes;
  readonly ret: number;
  readonly out: Readonly<Record<string, unknown>>;
  readonly seen: Seen | undefined;
}

type Json = Readonly<Record<string, unknown>>;

const asObject = (value: unknown): Json | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Json)
    : undefined;

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

/** A 64-bit number as the log writes it; `undefined` when it is none. */
export function wide(value: unknown): bigint | undefined {
  if (typeof value === 'string' && /^(-?\d{1,20}|0x[\da-f]{1,16})$/i.test(value)) {
    return BigInt(value);
  }
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : undefined;
}

/** A small number as the log writes it, decimal or `0x…`; `undefined` when it is none. */
export function narrow(value: unknown): number | undefined {
  const number = wide(value);
  return number === undefined ? undefined : Number(number);
}

/** Reads members of one line's objects. */
class Line {
  readonly #file: string;
  readonly #line: number;

  constructor(file: string, line: number) {
    this.#file = file;
    this.#line = line;
  }

  fail(expected: string, found: string): never {
    throw new ActionError(this.#file, this.#line, expected, found);
  }

  wide(json: Json, name: string): bigint {
    return wide(json[name]) ?? this.fail(`${name} as a number`, describeValue(json[name]));
  }

  narrow(json: Json, name: string): number {
    return narrow(json[name]) ?? this.fail(`${name} as a number`, describeValue(json[name]));
  }

  times(value: unknown, name: string): HostTimes {
    const json = asObject(value) ?? this.fail(`${name} as an object`, describeValue(value));
    return {
      tsc: this.wide(json, 'tsc'),
      raw: this.wide(json, 'raw'),
      boot: this.wide(json, 'boot'),
      mono: this.wide(json, 'mono'),
      real: this.wide(json, 'real'),
      tscEnd: this.wide(json, 'tsc_end'),
    };
  }

  page(value: unknown): SeenPage | undefined {
    const json = asObject(value);
    return json === undefined
      ? undefined
      : {
          version: this.narrow(json, 'version'),
          tscTimestamp: this.wide(json, 'tsc_timestamp'),
          systemTime: this.wide(json, 'system_time'),
          mul: this.narrow(json, 'mul'),
          shift: this.narrow(json, 'shift'),
          flags: this.narrow(json, 'flags'),
        };
  }

  hvTscPage(value: unknown): SeenHvPage | undefined {
    const json = asObject(value);
    return json === undefined
      ? undefined
      : {
          sequence: this.narrow(json, 'sequence'),
          scale: this.wide(json, 'scale'),
          offset: this.wide(json, 'offset'),
        };
  }

  clock(value: unknown): SeenClock | undefined {
    const json = asObject(value);
    if (json === undefined || wide(json['clock']) === undefined) return undefined;
    return {
      clock: this.wide(json, 'clock'),
      flags: this.narrow(json, 'flags'),
      realtime: this.wide(json, 'realtime'),
      hostTsc: this.wide(json, 'host_tsc'),
    };
  }

  seen(value: unknown): Seen | undefined {
    const json = asObject(value);
    if (json === undefined || typeof json['vm'] !== 'number') return undefined;
    const vcpus = Array.isArray(json['vcpus']) ? (json['vcpus'] as unknown[]) : [];
    return {
      vm: json['vm'],
      clock: this.clock(json['get_clock']),
      vcpus: vcpus.map((item) => {
        const vcpu = asObject(item) ?? this.fail('a vCPU', describeValue(item));
        return {
          vcpu: this.narrow(vcpu, 'vcpu'),
          tscOffset: wide(vcpu['tsc_offset']),
          page: this.page(vcpu['pvti']),
        };
      }),
      hvTscPage: this.hvTscPage(json['hv_tsc_page']),
      wallHex: textOf(json['wall_hex']),
      xenWallHex: textOf(json['xen_shared_0xc00_hex']),
    };
  }
}

/** Reads one line. */
function parseLine(text: string, file: string, number: number): Action {
  const line = new Line(file, number);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return line.fail('JSON', JSON.stringify(text.slice(0, 40)));
  }
  const json = asObject(value) ?? line.fail('an object', describeValue(value));
  const op = json['op'];
  return {
    index: line.narrow(json, 'i'),
    op: typeof op === 'string' ? op : line.fail('op as text', describeValue(op)),
    args: asObject(json['args']) ?? {},
    before: line.times(json['t0'], 't0'),
    after: line.times(json['t1'], 't1'),
    ret: narrow(json['ret']) ?? 0,
    out: asObject(json['out']) ?? {},
    seen: line.seen(json['obs']),
  };
}

/**
 * The actions of a log, in order.
 *
 * @throws ActionError at the first line that is none.
 */
export const parseActions = (text: string, file: string): Action[] =>
  text
    .split('\n')
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => line.trim() !== '')
    .map(({ line, number }) => parseLine(line, file, number));
