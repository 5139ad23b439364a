/**
 * Writes the function that reads usual lines, in WebAssembly.
 *
 * Four million lines a second leave 250 ns for a line of a hundred bytes, finding the jumps included.
 * JavaScript compiled by V8 takes most of that for reading alone: each of its loads checks bounds and
 * the buffer, each sum is checked for overflow, and there are no 64-bit numbers. Here eight or sixteen
 * bytes are compared at once, and the patterns of the catalogue become straight code. Reading takes a
 * third of the time.
 *
 * The function takes only what it understands completely: an event of the kernel's own text, from a
 * thread and a CPU that the cache of beginnings knows. It stops before any other line, which is
 * then for the reader that knows all forms, so it decides nothing that this one would decide otherwise.
 */
import { COMM_COLUMNS, MAX_FLAGS } from '../columns.ts';
import type { NamedEvent } from '../names.ts';
import { RECORD, SLOT_BITS } from '../threads.ts';
import * as w from './assembler.ts';
import { type Code, type Func, i32, i64, type Label } from './assembler.ts';
import { EventCode } from './event.ts';
import { Line, NO_MARK, NOT_ASKED } from './line.ts';
import { type Places, RESULT } from './memory.ts';
import { DIGITS, decimalOf, notDecimal, numberFunction } from './number.ts';

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const BLANK = 0x20;
const DASH = 0x2d;
const COLON = 0x3a;
const POINT = 0x2e;
const MIN_TICK_DIGITS = 9;
const MAX_TICK_DIGITS = 16;
/** With nine decimals these are nineteen digits, which 64 bits hold. */
const MAX_SECOND_DIGITS = 10;
const EIGHT_ZEROS = 0x3030303030303030n;
const RECORD_BYTES = 64;

/**
 * The module's bytes, for a text whose instants are ticks or seconds. Its function:
 * `(start, end, rows) → where the first line left begins`.
 */
export function scannerModule(
  events: readonly NamedEvent[],
  inTicks: boolean,
  places: Places,
): Uint8Array {
  const number = numberFunction(places.classes);
  const scan = new Scan(events, inTicks, places).function();
  return w.assemble([number, scan], ['i64', 'i32']);
}

/** `stop` is where the function ends for good: before the line that it is reading. */
class Scan {
  readonly #events: readonly NamedEvent[];
  readonly #inTicks: boolean;
  readonly #event: EventCode;
  readonly #places: Places;
  readonly #line = new Line();
  readonly #f = this.#line.f;
  /** How many digits the ticks of the line before had. */
  readonly #digits = DIGITS;
  readonly #lines = this.#f.local('i32');
  /** Address of the record of the line's beginning. */
  readonly #record = this.#f.local('i32');
  readonly #ticks = this.#f.local('i64');
  readonly #head = this.#f.local('i64');
  readonly #tail = this.#f.local('i64');
  readonly #kept = this.#f.local('i64');
  readonly #last = this.#f.local('i64');

  constructor(events: readonly NamedEvent[], inTicks: boolean, places: Places) {
    this.#events = events;
    this.#inTicks = inTicks;
    this.#places = places;
    this.#event = new EventCode(this.#line, places);
  }

  function(): Func {
    const f = this.#f;
    const [start, end, rows] = f.params as [w.Local, w.Local, w.Local];
    const lines = f.block((stop) =>
      f.loop((again) => [
        f.goIf(stop, w.atLeast(this.#line.row.get, rows.get)),
        f.goIf(stop, w.atLeast(w.add(start.get, i32(COMM_COLUMNS)), end.get)),
        this.#beginning(start.get, stop),
        this.#flags(stop),
        this.#inTicks ? this.#readTicks(stop) : this.#readSeconds(stop),
        this.#line.p.set(w.add(this.#line.q.get, i32(1))),
        this.#line.skipBlanks(),
        this.#event.of(this.#events, stop),
        this.#lineEnd(end.get, stop),
        f.when(w.unequal(this.#line.code.get, i32(NOT_ASKED)), () => this.#rest()),
        this.#last.set(this.#ticks.get),
        this.#lines.set(w.add(this.#lines.get, i32(1))),
        start.set(w.add(this.#line.q.get, i32(1))),
        f.go(again),
      ]),
    );
    return f.body([
      lines,
      w.store32(i32(RESULT.lines), this.#lines.get),
      w.store32(i32(RESULT.rows), this.#line.row.get),
      w.store64(i32(RESULT.last), this.#last.get),
      start.get,
    ]);
  }

  /** The thread and the CPU: a record of the cache, as `PrefixCache.recordOf` finds it. */
  #beginning(start: Code, stop: Label): Code {
    const f = this.#f;
    const word = (k: number, factor: number): Code => w.mul(w.load32(start, k * 4), i32(factor));
    const names = [word(0, 1), word(1, 3), word(2, 17), word(3, 257)].reduce((a, b) => w.xor(a, b));
    const ids = [word(4, 1), word(5, 5), word(6, 65), word(7, 1025)].reduce((a, b) => w.xor(a, b));
    const mixed = w.mul(w.xor(names, w.mul(ids, i32(0x85ebca6b))), i32(0x9e3779b1));
    const slot = w.shr(mixed, i32(32 - SLOT_BITS));
    const record = this.#record.get;
    const other = [0, 8, 16, 24].map((k) => w.unequal64(w.load64(start, k), w.load64(record, k)));
    const length = w.load32(record, RECORD.length * 4);
    return [
      f.goIf(stop, w.unequal(w.load8(start), i32(BLANK))),
      f.goIf(stop, w.unequal(w.load8(start, COMM_COLUMNS), i32(DASH))),
      this.#record.set(w.add(w.mul(slot, i32(RECORD_BYTES)), i32(this.#places.records))),
      f.goIf(
        stop,
        other.reduce((a, b) => w.or(a, b)),
      ),
      f.goIf(stop, w.isZero(length)),
      this.#line.p.set(w.add(start, length)),
    ];
  }

  /** Moves `p` over the flags: those of an earlier line, or at most `MAX_FLAGS` of any. */
  #flags(stop: Label): Code {
    const f = this.#f;
    const p = this.#line.p;
    const q = this.#line.q;
    const record = this.#record.get;
    const known = w.load64(record, RECORD.flags * 4);
    const step = q.set(w.add(q.get, i32(1)));
    const blanks = f.loop((again) =>
      f.when(w.equal(w.load8(q.get), i32(BLANK)), () => [step, f.go(again)]),
    );
    return f.block((done) => [
      f.when(w.equal64(w.load64(p.get), known), () => [
        p.set(w.add(p.get, w.load32(record, RECORD.flagsLength * 4))),
        f.go(done),
      ]),
      q.set(p.get),
      blanks,
      f.when(w.isZero(this.#isDigit), () => [
        this.#line.value.set(q.get),
        f.loop((again) => f.when(w.above(w.load8(q.get), i32(BLANK)), () => [step, f.go(again)])),
        f.goIf(stop, w.equal(q.get, this.#line.value.get)),
        f.goIf(stop, w.above(w.sub(q.get, this.#line.value.get), i32(MAX_FLAGS))),
        blanks,
      ]),
      // Bytes that do not reach up to the instant prove nothing about another line.
      f.when(w.below(w.sub(q.get, p.get), i32(9)), () => [
        w.store64(record, w.load64(p.get), RECORD.flags * 4),
        w.store32(record, w.sub(q.get, p.get), RECORD.flagsLength * 4),
      ]),
      p.set(q.get),
    ]);
  }

  get #isDigit(): Code {
    return w.below(w.sub(w.load8(this.#line.q.get), i32(48)), i32(10));
  }

  /** Ticks of 9 to 16 digits, usually as many as in the line before; `q` to the colon. */
  #readTicks(stop: Label): Code {
    const f = this.#f;
    const q = this.#line.q;
    const digits = this.#digits;
    const spare = w.sub(i32(MAX_TICK_DIGITS), digits.get);
    return [
      q.set(w.add(this.#line.p.get, digits.get)),
      f.when(w.unequal(w.load8(q.get), i32(COLON)), () => [
        q.set(this.#line.p.get),
        f.loop((again) => f.when(this.#isDigit, () => [q.set(w.add(q.get, i32(1))), f.go(again)])),
        f.goIf(stop, w.unequal(w.load8(q.get), i32(COLON))),
        digits.set(w.sub(q.get, this.#line.p.get)),
      ]),
      f.goIf(stop, w.above(spare, i32(MAX_TICK_DIGITS - MIN_TICK_DIGITS))),
      // The first word begins before the first digit: bytes there count as zeros.
      this.#kept.set(w.shl64(i64(-1n), w.widen(w.mul(spare, i32(8))))),
      this.#head.set(
        w.or64(
          w.and64(w.load64(w.sub(q.get, i32(16))), this.#kept.get),
          w.and64(i64(EIGHT_ZEROS), w.xor64(this.#kept.get, i64(-1n))),
        ),
      ),
      this.#tail.set(w.load64(w.sub(q.get, i32(8)))),
      f.when(w.or(notDecimal(this.#head.get), notDecimal(this.#tail.get)), () => [
        digits.set(i32(0)),
        f.go(stop),
      ]),
      this.#ticks.set(
        w.add64(w.mul64(decimalOf(this.#head), i64(100000000n)), decimalOf(this.#tail)),
      ),
    ];
  }

  /** Seconds of up to ten digits with six or nine decimals, as nanoseconds; `q` to the colon. */
  #readSeconds(stop: Label): Code {
    const f = this.#f;
    const { p, q } = this.#line;
    const ticks = this.#ticks;
    const digit = w.widen(w.sub(w.load8(q.get), i32(48)));
    const length = w.sub(q.get, p.get);
    const digits = f.loop((again) =>
      f.when(this.#isDigit, () => [
        ticks.set(w.add64(w.mul64(ticks.get, i64(10n)), digit)),
        q.set(w.add(q.get, i32(1))),
        f.go(again),
      ]),
    );
    return [
      ticks.set(i64(0n)),
      q.set(p.get),
      digits,
      f.goIf(stop, w.atLeast(w.sub(length, i32(1)), i32(MAX_SECOND_DIGITS))),
      f.goIf(stop, w.unequal(w.load8(q.get), i32(POINT))),
      q.set(p.tee(w.add(q.get, i32(1)))),
      digits,
      f.goIf(stop, w.unequal(w.load8(q.get), i32(COLON))),
      f.when(w.unequal(length, i32(9)), () => [
        f.goIf(stop, w.unequal(length, i32(6))),
        ticks.set(w.mul64(ticks.get, i64(1000n))),
      ]),
    ];
  }

  /** Moves `q` to the newline, which has to be there. */
  #lineEnd(end: Code, stop: Label): Code {
    const f = this.#f;
    const q = this.#line.q;
    const bits = this.#line.value;
    const before = w.sub(q.get, i32(1));
    const newlines = w.equal8s(w.load128(q.get), w.splat8(i32(NEWLINE)));
    return [
      q.set(this.#line.p.get),
      f.loop((again) => [
        bits.set(w.bits8(newlines)),
        f.when(w.isZero(bits.get), () => [q.set(w.add(q.get, i32(16))), f.go(again)]),
      ]),
      q.set(w.add(q.get, w.trailingZeros(bits.get))),
      f.goIf(stop, w.atLeast(q.get, end)),
      f.when(w.unequal(this.#line.mark.get, i32(NO_MARK)), () => {
        const isReturn = w.equal(w.load8(before), i32(CARRIAGE_RETURN));
        return f.goIf(stop, w.equal(w.load8(w.sub(before, isReturn)), this.#line.mark.get));
      }),
    ];
  }

  /** The columns that every event has. */
  #rest(): Code {
    const { columns } = this.#places;
    const row = this.#line.row;
    const copy = (place: number, column: number): Code =>
      w.store32(w.mul(row.get, i32(4)), w.load32(this.#record.get, place * 4), column);
    return [
      w.store8(row.get, this.#line.code.get, columns.codes),
      w.store64(w.mul(row.get, i32(8)), this.#ticks.get, columns.timestamps),
      copy(RECORD.cpu, columns.cpus),
      copy(RECORD.tid, columns.tids),
      copy(RECORD.tgid, columns.tgids),
      copy(RECORD.commId, columns.commIds),
      row.set(w.add(row.get, i32(1))),
    ];
  }
}
