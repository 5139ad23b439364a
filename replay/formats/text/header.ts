/**
 * What every trace line says before the event's name: thread, CPU, instant.
 *
 *     "          driver-53      [000] d..1.  11709575320: kvm_entry: …"     the kernel's trace file
 *     "            a b-4711  (  123) [000] d..1.     6.271319: …"           with record-tgid
 *     "          driver-124   [000]105013361484: kvm_entry:   …"            trace-cmd report
 *     "  driver-53      0..... 12581725263: kvm_entry:  …"                  trace-cmd report -l
 *     "          driver    53/53      [000]     6.271319123: kvm:kvm_entry: …"     perf script
 *
 * Anyone can choose a thread's name, and it may look like the rest of a line (`a-1 [000] 1: e`). The
 * kernel and trace-cmd pad it to 16 columns and it never has more than 15 bytes, so the dash before
 * the thread id stands in column 16 whatever the name holds. Only where that column does not fit
 * (a mailer removed the leading blanks, trace-cmd's latency format) the first dash from which the
 * rest of the line makes sense is taken.
 *
 * Of the flag columns there are 4 up to Linux 5.15, 5 from 5.16 on, more in real-time kernels, none
 * without the irq-info option: they are skipped, whatever they are.
 */
import { COMM_COLUMNS, MAX_FLAGS } from './columns.ts';
import { addFraction, countDigits, isDigit, isWordByte } from './numbers.ts';
import type { Text } from './text.ts';
import { PREFIX_BYTES, PrefixCache, RECORD, type ThreadNames } from './threads.ts';
import { TickReader } from './ticks.ts';

const BLANK = 0x20;
const DASH = 0x2d;
const COLON = 0x3a;
const POINT = 0x2e;
/** Flags of the latency format: three letters, two counters since trace-cmd 3. */
const LATENCY_COLUMNS = 5;
/** No thread or CPU number comes near that of ten digits which is too large for a column. */
const MAX_ID_DIGITS = 9;

/** The header of one line; `parse` overwrites it. */
export class LineHeader {
  /** Id of the thread's name in the table of names. */
  commId = 0;
  tid = 0;
  /** 0 where the line does not show it. */
  tgid = 0;
  cpu = 0;
  /** The instant, ticks or nanoseconds: low and high half. */
  readonly timestamp = new Uint32Array(2);
  /** Digits after the point of the timestamp: 0 (ticks), 6 or 9 (seconds). */
  fractionDigits = 0;
  /** Where the event's name begins. */
  nameStart = 0;
  readonly prefixes = new PrefixCache();
  readonly #names: ThreadNames;
  readonly #ticks = new TickReader();
  /** Whether this line is in trace-cmd's latency format, and how many flag columns that has here. */
  #latency = false;
  #latencyColumns = 0;

  constructor(names: ThreadNames) {
    this.#names = names;
  }

  /** Begins the table of names anew. */
  forgetThreads(): void {
    this.#names.clear();
    this.prefixes.clear();
  }

  /** Reads the header of the line from `start` to its newline at `end`. */
  parse(text: Text, start: number, end: number): boolean {
    if (start + COMM_COLUMNS < end && text.bytes[start + COMM_COLUMNS] === DASH) {
      const next = this.#alignedThread(text, start);
      if (next >= 0 && this.#flagsAndInstant(text, next)) return true;
    }
    return this.#search(text, start, end) || this.#searchPerf(text, start, end);
  }

  /** The thread and the CPU of a line whose name fills 16 columns. Returns the place after them. */
  #alignedThread(text: Text, start: number): number {
    const { records } = this.prefixes;
    const k = this.prefixes.recordOf(text.view, start);
    const length = records[k + RECORD.length]!;
    if (length !== 0) {
      this.commId = records[k + RECORD.commId]!;
      this.tid = records[k + RECORD.tid]!;
      this.tgid = records[k + RECORD.tgid]!;
      this.cpu = records[k + RECORD.cpu]!;
      this.#latency = false;
      return start + length;
    }
    const next = this.#thread(text.bytes, start + COMM_COLUMNS + 1);
    if (next < 0) return -1;
    this.commId = this.#names.intern(text, start, start + COMM_COLUMNS);
    records[k + RECORD.commId] = this.commId;
    records[k + RECORD.tid] = this.tid;
    records[k + RECORD.tgid] = this.tgid;
    records[k + RECORD.cpu] = this.cpu;
    records[k + RECORD.flags] = 0;
    records[k + RECORD.flagsLength] = 0;
    // What lies behind the cached bytes may differ.
    if (next - start < PREFIX_BYTES && !this.#latency) records[k + RECORD.length] = next - start;
    return next;
  }

  /** Leftmost `-<tid>` that is followed by the rest of a header and by an event's name. */
  #search(text: Text, start: number, end: number): boolean {
    const { bytes } = text;
    for (let p = start + 1; p < end; p++) {
      if (bytes[p] !== DASH) continue;
      const next = this.#thread(bytes, p + 1);
      if (next < 0 || !this.#flagsAndInstant(text, next)) continue;
      if (!isEventName(bytes, this.nameStart)) continue;
      this.commId = this.#names.intern(text, start, p);
      return true;
    }
    return false;
  }

  /** Leftmost ` <tid>` or ` <pid>/<tid>` of perf script, whose events are called `system:name`. */
  #searchPerf(text: Text, start: number, end: number): boolean {
    const { bytes } = text;
    for (let p = start + 1; p < end; p++) {
      if (bytes[p - 1] !== BLANK || !isDigit(bytes[p]!)) continue;
      const next = this.#perfThread(bytes, p);
      if (next < 0 || !this.#flagsAndInstant(text, next)) continue;
      if (!isEventName(bytes, this.nameStart)) continue;
      let name = this.nameStart;
      while (isWordByte(bytes[name]!)) name++;
      if (bytes[name] === COLON && isWordByte(bytes[name + 1]!)) this.nameStart = name + 1;
      let commEnd = p;
      while (commEnd > start && bytes[commEnd - 1] === BLANK) commEnd--;
      this.commId = this.#names.intern(text, start, commEnd);
      return true;
    }
    return false;
  }

  /** `<pid>/<tid> [cpu]` or `<tid> [cpu]`. Returns the place after it, or -1. */
  #perfThread(bytes: Uint8Array, at: number): number {
    const digits = countDigits(bytes, at, MAX_ID_DIGITS);
    if (bytes[at + digits] !== 0x2f) return this.#thread(bytes, at);
    const tgid = shortNumber(bytes, at, digits);
    const next = this.#thread(bytes, at + digits + 1);
    this.tgid = tgid;
    return next;
  }

  /** `<tid> [cpu]`, `<tid> (tgid) [cpu]` or `<tid> <cpu>`. Returns the place after it, or -1. */
  #thread(bytes: Uint8Array, at: number): number {
    const digits = countDigits(bytes, at, MAX_ID_DIGITS);
    let p = at + digits;
    if (digits === 0 || bytes[p] !== BLANK) return -1;
    this.tid = shortNumber(bytes, at, digits);
    this.tgid = 0;
    p = skipBlanks(bytes, p);
    if (bytes[p] === 0x28) p = this.#group(bytes, p + 1);
    if (p < 0) return -1;
    this.#latency = bytes[p] !== 0x5b;
    if (!this.#latency) p++;
    const cpuDigits = countDigits(bytes, p, MAX_ID_DIGITS);
    this.cpu = shortNumber(bytes, p, cpuDigits);
    p += cpuDigits;
    if (cpuDigits === 0) return -1;
    if (!this.#latency) return bytes[p] === 0x5d ? p + 1 : -1;
    // Without brackets the flags follow at once: `0d..1.`
    return bytes[p]! > BLANK && bytes[p] !== COLON ? p : -1;
  }

  /** `  123) ` or `-------) `: the process, if the kernel still knew it. */
  #group(bytes: Uint8Array, at: number): number {
    let p = skipBlanks(bytes, at);
    if (bytes[p] === DASH) {
      while (bytes[p] === DASH) p++;
    } else {
      const digits = countDigits(bytes, p, MAX_ID_DIGITS);
      this.tgid = shortNumber(bytes, p, digits);
      p += digits;
    }
    return bytes[p] === 0x29 ? skipBlanks(bytes, p + 1) : -1;
  }

  /**
   * ` d..1.  11709575320: `, with or without flags; sets where the event's name begins. Every line
   * comes here, hence loops where `skipBlanks` would do: a call costs as much as three bytes.
   */
  #flagsAndInstant(text: Text, at: number): boolean {
    const { bytes } = text;
    let p = at;
    let byte = bytes[p]!;
    while (byte === BLANK) byte = bytes[++p]!;
    if (!isDigit(byte)) {
      const flags = p;
      while (byte > BLANK) byte = bytes[++p]!;
      if (this.#latency) p = this.#latencyInstant(bytes, flags, p);
      else if (p === flags || p - flags > MAX_FLAGS) p = -1;
      if (p < 0) return false;
      while (bytes[p] === BLANK) p++;
    }
    p = this.#instant(text, p);
    if (p < 0 || bytes[p] !== COLON) return false;
    byte = bytes[++p]!;
    while (byte === BLANK) byte = bytes[++p]!;
    this.nameStart = p;
    return true;
  }

  /**
   * Where the timestamp begins behind flags without a blank before it, as trace-cmd's latency format
   * has it from twelve digits on: `d..1.105013361484:`. Flags may end in digits too; how many columns
   * they have is known from a line where they do not, or where there is a blank. Before that, -1.
   */
  #latencyInstant(bytes: Uint8Array, flags: number, end: number): number {
    let first = end;
    if (bytes[end - 1] === COLON) {
      first = digitsStart(bytes, flags, end - 1);
      const fraction = end - 1 - first;
      const point = bytes[first - 1] === POINT && (fraction === 6 || fraction === 9);
      if (point && isDigit(bytes[first - 2]!)) first = digitsStart(bytes, flags, first - 1);
    }
    const columns = first - flags;
    if (columns > MAX_FLAGS) return -1;
    if (first === end || columns >= LATENCY_COLUMNS) this.#latencyColumns = columns;
    return this.#latencyColumns === 0 ? -1 : flags + this.#latencyColumns;
  }

  /** `11709575320` or `6.271319`. Returns the place after it, or -1. */
  #instant(text: Text, at: number): number {
    const point = this.#ticks.read(text, at, this.timestamp);
    this.fractionDigits = 0;
    if (point < 0 || text.bytes[point] !== POINT) return point;
    const digits = countDigits(text.bytes, point + 1, 10);
    if (digits !== 6 && digits !== 9) return -1;
    this.fractionDigits = digits;
    return addFraction(text.bytes, point + 1, digits, this.timestamp);
  }
}

/** Where the digits begin that end at a place. */
function digitsStart(bytes: Uint8Array, from: number, end: number): number {
  let p = end;
  while (p > from && isDigit(bytes[p - 1]!)) p--;
  return p;
}

function skipBlanks(bytes: Uint8Array, at: number): number {
  let p = at;
  while (bytes[p] === BLANK) p++;
  return p;
}

function shortNumber(bytes: Uint8Array, at: number, digits: number): number {
  let value = 0;
  for (let p = at; p < at + digits; p++) value = value * 10 + bytes[p]! - 48;
  return value;
}

/** Whether a word stands here that an event could be called: what follows it ends a name. */
function isEventName(bytes: Uint8Array, at: number): boolean {
  let p = at;
  while (isWordByte(bytes[p]!) || bytes[p] === 0x2e) p++;
  const next = bytes[p]!;
  return p > at && !isDigit(bytes[at]!) && (next <= BLANK || next === COLON || next === 0x28);
}
