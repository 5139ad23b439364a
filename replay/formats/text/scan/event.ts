/** The code that reads an event's name and its arguments: the catalogue's patterns, step by step. */
import { NARROW_COLUMNS, WIDE_COLUMNS } from '../../../../events/index.ts';
import type { NumberStep, Step } from '../match.ts';
import { type NamedEvent, NO_NAME } from '../names.ts';
import * as w from './assembler.ts';
import { type Code, type Func, i32, i64, type Label, type Local } from './assembler.ts';
import { differs, type Line, NO_MARK, NOT_ASKED } from './line.ts';
import type { Places } from './memory.ts';
import { NO_WORD, NUMBER, VALUE } from './number.ts';

/** `stop`: where a line goes that is not a usual one. */
export class EventCode {
  readonly #line: Line;
  readonly #f: Func;
  readonly #places: Places;
  /** Where the arguments begin. */
  readonly #begin: Local;

  constructor(line: Line, places: Places) {
    this.#line = line;
    this.#f = line.f;
    this.#places = places;
    this.#begin = line.f.local('i32');
  }

  /** The event's name and its arguments, which go to the row. */
  of(events: readonly NamedEvent[], stop: Label): Code {
    const f = this.#f;
    const p = this.#line.p.get;
    return f.block((done) => [
      this.#line.mark.set(i32(NO_MARK)),
      events.map((event) =>
        f.when(w.isZero(differs(p, event.opening.text)), () => [
          this.#line.code.set(i32(event.code)),
          this.#line.advance(event.nameLength),
          this.#line.skipBlanks(),
          event.addressed ? [] : this.#patterns(event, done, stop),
          f.go(stop),
        ]),
      ),
      NO_NAME.map((byte) => f.goIf(stop, w.equal(w.load8(p), i32(byte)))),
      this.#line.code.set(i32(NOT_ASKED)),
    ]);
  }

  /** The patterns in turn: where a literal differs the next one is tried. */
  #patterns({ patterns }: NamedEvent, done: Label, stop: Label): Code {
    const f = this.#f;
    const begin = this.#begin;
    return [
      begin.set(this.#line.p.get),
      patterns.map(({ steps }) =>
        f.block((next) => [
          this.#line.p.set(begin.get),
          steps.map((step) => this.#step(step, next, stop)),
          f.go(done),
        ]),
      ),
    ];
  }

  #step(step: Step, next: Label, stop: Label): Code {
    const f = this.#f;
    const p = this.#line.p;
    switch (step.is) {
      case 'literal':
        return [f.goIf(next, differs(p.get, step.text)), this.#line.advance(step.text.length)];
      case 'number':
        return [
          p.set(w.call(NUMBER, p.get, i32(step.hexadecimal ? 1 : 0))),
          f.goIf(stop, w.equal(p.get, i32(-1))),
          step.wide ? this.#storeWide(step.slot) : this.#storeNumber(step, stop),
        ];
      case 'words':
        return f.block((done) => [
          step.words.map(([word, value]) =>
            f.when(w.isZero(differs(p.get, word)), () => [
              f.goIf(stop, this.#isWordByte(w.add(p.get, i32(word.length)))),
              this.#storeNarrow(step.slot, i32(value)),
              this.#line.advance(word.length),
              f.go(done),
            ]),
          ),
          f.go(stop),
        ]);
      case 'absent':
        return this.#storeNarrow(step.slot, i32(step.value));
      case 'mark':
        return [this.#storeNarrow(step.slot, i32(0)), this.#line.mark.set(i32(step.last))];
      case 'other':
        return f.go(stop);
    }
  }

  #isWordByte(at: Code): Code {
    return w.unequal(w.load8(w.load8(at), this.#places.classes), i32(NO_WORD));
  }

  #storeWide(slot: number): Code {
    const row = w.mul(this.#line.row.get, i32(WIDE_COLUMNS * 8));
    return w.store64(row, VALUE.get, this.#places.columns.wides + slot * 8);
  }

  #storeNarrow(slot: number, value: Code): Code {
    const row = w.mul(this.#line.row.get, i32(NARROW_COLUMNS * 4));
    return w.store32(row, value, this.#places.columns.narrows + slot * 4);
  }

  /** The number read last, as `matchOtherNarrow` takes it: with its own width or its sign extended. */
  #storeNumber({ slot, width }: NumberStep, stop: Label): Code {
    const f = this.#f;
    const [min, max, mask, sign] = width;
    const value = this.#line.value;
    const high = w.low(w.shr64(VALUE.get, i64(32n)));
    const extended = w.and(w.equal(high, i32(-1)), w.belowSigned(value.get, i32(0)));
    return [
      value.set(w.low(VALUE.get)),
      f.goIf(stop, w.isZero(w.or(w.isZero(high), extended))),
      f.goIf(stop, w.belowSigned(value.get, i32(min))),
      f.goIf(stop, w.aboveSigned(value.get, i32(max))),
      this.#storeNarrow(slot, w.sub(w.xor(w.and(value.get, i32(mask)), i32(sign)), i32(sign))),
    ];
  }
}
