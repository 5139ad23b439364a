/**
 * What `trace-cmd report -R -t` prints of an event, worked out from the recorded format: a model of
 * libtraceevent's rules, so that its output and ours can be compared to the last character.
 *
 * A field that the event's `print fmt` prints as it is (or cast) is printed by that conversion,
 * with `0x` if the text before ends so; any other by its type: pointers and longs in hexadecimal,
 * arrays of characters as text if printable, other arrays as bytes. Fields are sought in the
 * `print fmt` from where the last one was found, around the end. libtraceevent does not
 * sign-extend a field for a conversion: an `s8` of -1 printed by `%d` comes out as 255.
 *
 * Source: observed output of trace-cmd 3.1.6 with libtraceevent 1.7.1, and their manuals.
 */
import type { FieldValue, FormatField, RawEvent } from '../../replay/formats/tracedat/index.ts';

/** A piece of a `print fmt`: text, or a conversion and the expression that it prints. */
type Piece =
  | { readonly text: string }
  | { readonly conversion: string; readonly casts: readonly string[]; readonly field: string };

/** Prints events; remembers, as libtraceevent does, which arrays turned out not to be text. */
export class ReportModel {
  readonly #pieces = new Map<RawEvent['format'], readonly Piece[]>();
  readonly #notText = new Set<FormatField>();
  readonly #longSize: number;
  readonly #decimalSeconds: boolean;

  /** @param decimalSeconds timestamps are printed as seconds, not as plain numbers */
  constructor(longSize: number, decimalSeconds: boolean) {
    this.#longSize = longSize;
    this.#decimalSeconds = decimalSeconds;
  }

  /** The line (or lines, where a marker holds several) of one event. */
  line(event: RawEvent): string {
    if (event.name === 'gap') return this.#gap(event);
    const who = `${event.comm.padStart(16)}-${`${event.tid}`.padEnd(5)}`;
    const cpu = `[${`${event.cpu}`.padStart(3, '0')}]`;
    const name = `${event.name}: `.padEnd(22);
    const line = `${who} ${cpu}${this.#time(event.timestamp)} ${name}${this.#fields(event)}`;
    return line.endsWith('\n') ? line.slice(0, -1) : line;
  }

  #gap(event: RawEvent): string {
    const lost = event.fields['lost'];
    return `CPU:${event.cpu} [${lost === 0n ? '' : `${lost} `}EVENTS DROPPED]`;
  }

  #time(timestamp: bigint): string {
    if (!this.#decimalSeconds) return `${timestamp}:`.padStart(13);
    const seconds = `${timestamp / 1000000000n}`.padStart(5);
    return ` ${seconds}.${`${timestamp % 1000000000n}`.padStart(9, '0')}:`;
  }

  #fields(event: RawEvent): string {
    const { format } = event;
    if (format === undefined) throw new Error('an event without a format');
    let pieces = this.#pieces.get(format);
    if (pieces === undefined) {
      pieces = parsePrintFormat(format.printFormat);
      this.#pieces.set(format, pieces);
    }
    let from = 0;
    let line = '';
    for (const field of format.fields) {
      if (field.name.startsWith('common_')) continue;
      const value = event.fields[field.name];
      if (value === undefined) throw new Error(`${event.name} has no ${field.name}`);
      const found = field.array ? undefined : find(pieces, from, field.name);
      line += ` ${field.name}=`;
      if (found === undefined) line += this.#plain(field, value);
      else {
        line += this.#converted(found, field, value);
        from = found.next % pieces.length;
      }
    }
    return line;
  }

  #converted({ piece, hex }: Found, field: FormatField, value: FieldValue): string {
    const prefix = hex ? '0x' : '';
    if (typeof value === 'string') return prefix + value;
    const bits = BigInt.asUintN(8 * field.size, value as bigint);
    const cast = piece.casts.reduceRight(castTo, bits);
    if (piece.conversion.includes('p')) return `${prefix}0x${cast.toString(16)}`;
    if (piece.conversion.endsWith('s')) {
      if (field.size !== this.#longSize) throw new Error(`${field.name} is no pointer`);
      return prefix + bits.toString(16);
    }
    return prefix + printf(piece.conversion, cast);
  }

  #plain(field: FormatField, value: FieldValue): string {
    if (field.array) return this.#array(field, value);
    if (typeof value !== 'bigint') throw new Error(`${field.name} has lost its address`);
    const bits = BigInt.asUintN(8 * field.size, value);
    if (field.type.includes('*')) return `0x${bits.toString(16)}`;
    const long = field.type.includes('long');
    if (field.signed !== true) return long ? `0x${bits.toString(16)}` : `${bits}`;
    if (field.size === 4 && long) return `0x${bits.toString(16)}`;
    return field.size === 2 ? `${value}`.padStart(2) : `${value}`;
  }

  #array(field: FormatField, value: FieldValue): string {
    const text = typeof value === 'string' ? value : bytesAsText(field, value);
    if (text !== undefined && !this.#notText.has(field)) return text;
    if (typeof value === 'string') throw new Error(`${field.name} is text that can't be printed`);
    this.#notText.add(field);
    const hex = (v: bigint) => v.toString(16).padStart(2, '0');
    if (elementBytes(field, value as readonly bigint[]) !== 1) throw new Error('wide elements');
    return `ARRAY[${(value as readonly bigint[]).map(hex).join(', ')}]`;
  }
}

/** Arrays of `u8` and the like are text to libtraceevent too, if they can be printed. */
function bytesAsText(field: FormatField, value: FieldValue): string | undefined {
  if (!/char|u8|s8/.test(field.type)) return undefined;
  let text = '';
  for (const byte of value as readonly bigint[]) {
    if (byte === 0n) return text;
    const printable = (byte >= 32n && byte < 127n) || (byte >= 9n && byte <= 13n);
    if (!printable) return undefined;
    text += String.fromCharCode(Number(byte));
  }
  return text;
}

function elementBytes(field: FormatField, value: readonly bigint[]): number {
  return field.placement === 'inline' && field.size > 0 ? field.size / value.length : 1;
}

interface Found {
  readonly piece: Extract<Piece, { readonly conversion: string }>;
  readonly hex: boolean;
  readonly next: number;
}

/** Seeks the conversion of a field from `from` on, once around. */
function find(pieces: readonly Piece[], from: number, name: string): Found | undefined {
  let hex = false;
  for (let i = 0; i < pieces.length; i++) {
    const at = (from + i) % pieces.length;
    const piece = pieces[at]!;
    if ('text' in piece) hex = piece.text.endsWith('0x');
    else if (piece.field === name) return { piece, hex, next: at + 1 };
    else hex = false;
  }
  return undefined;
}

/** `"text %d", args…` → pieces; of expressions that are no (cast) field, the field is empty. */
function parsePrintFormat(text: string): readonly Piece[] {
  const literal = /^(?:\s*"(?:[^"\\]|\\.)*")+/.exec(text)?.[0];
  if (literal === undefined) return [];
  const quoted = literal.match(/"(?:[^"\\]|\\.)*"/g) ?? [];
  const format = quoted.map((q) => q.slice(1, -1)).join('');
  const args = splitArgs(text.slice(literal.length).replace(/^\s*,/, ''));
  const pieces: Piece[] = [];
  const pattern = /%%|%[-#0-9.*hlLzZ]*(?:p(?:[FfSs]|[Mm][RF]?|h[CDN]?)?|[duixXosc])/g;
  let end = 0;
  for (const match of format.matchAll(pattern)) {
    if (match[0] === '%%') continue;
    if (match.index > end) pieces.push({ text: format.slice(end, match.index) });
    end = match.index + match[0].length;
    for (const _ of match[0].matchAll(/\*/g)) args.shift();
    pieces.push({ conversion: match[0], ...plainField(args.shift() ?? '') });
  }
  if (end < format.length) pieces.push({ text: format.slice(end) });
  return pieces;
}

function splitArgs(text: string): string[] {
  const args = [''];
  let depth = 0;
  for (const token of text.match(/"(?:[^"\\]|\\.)*"|[^"]/g) ?? []) {
    if ('([{'.includes(token)) depth++;
    if (')]}'.includes(token)) depth--;
    if (token === ',' && depth === 0) args.push('');
    else args[args.length - 1] += token;
  }
  return args.map((a) => a.trim());
}

/** `((unsigned long)(REC->fd))` → the field and its casts, the outermost first. */
function plainField(expression: string): { field: string; casts: string[] } {
  const casts: string[] = [];
  let rest = expression;
  for (;;) {
    const field = /^REC->(\w+)$/.exec(rest)?.[1];
    if (field !== undefined) return { field, casts };
    const cast = /^\(((?:unsigned |struct |const )*\w+(?: \w+)*(?: ?\*)*)\)\s*(?=[(R])/.exec(rest);
    if (cast?.[1] !== undefined && cast[1] !== '') {
      casts.push(cast[1]);
      rest = rest.slice(cast[0].length).trim();
    } else if (rest.startsWith('(') && closes(rest)) rest = rest.slice(1, -1).trim();
    else return { field: '', casts: [] };
  }
}

/** The parenthesis that opens a text closes at its end. */
function closes(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth++;
    if (text[i] === ')' && --depth === 0) return i === text.length - 1;
  }
  return false;
}

function castTo(value: bigint, type: string): bigint {
  const bits: Record<string, number> = {
    ...{ u8: 8, u16: 16, u32: 32, s8: 8, s16: 16, s32: 32, char: 8, short: 16, int: 32 },
    ...{ 'unsigned char': 8, 'unsigned short': 16, 'unsigned int': 32 },
  };
  const width = bits[type];
  return width === undefined ? value : BigInt.asUintN(width, value);
}

/** C's printf of one integer. */
function printf(conversion: string, value: bigint): string {
  const found = /^%([-#0]*)(\d*)(?:\.(\d+))?([hlLzZ]*)([duixXo])$/.exec(conversion);
  if (found === null) throw new Error(`no model of ${conversion}`);
  const [, flags = '', width = '', precision, length = '', kind = 'd'] = found;
  const widths: Record<string, number> = { hh: 8, h: 16, '': 32 };
  const bits = widths[length] ?? 64;
  const signed = kind === 'd' || kind === 'i';
  const number = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  const base = kind === 'x' || kind === 'X' ? 16 : kind === 'o' ? 8 : 10;
  let digits = (number < 0n ? -number : number).toString(base);
  if (kind === 'X') digits = digits.toUpperCase();
  if (precision !== undefined) digits = digits.padStart(Number(precision), '0');
  const prefix = `${number < 0n ? '-' : ''}${flags.includes('#') && number !== 0n && base === 16 ? '0x' : ''}`;
  const room = Number(width) - prefix.length;
  if (flags.includes('-')) return (prefix + digits).padEnd(Number(width));
  if (flags.includes('0')) return prefix + digits.padStart(room, '0');
  return (prefix + digits).padStart(Number(width));
}
