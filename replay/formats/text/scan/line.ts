/** What the parts of the function that reads lines have in common: its variables. */
import * as w from './assembler.ts';
import { type Code, Func, i32, i64 } from './assembler.ts';

const BLANK = 0x20;
/** No mark at the line's end would change the row. */
export const NO_MARK = -1;
/** The event is not asked for: the line has no row. */
export const NOT_ASKED = -1;

/** Little-endian words of a text: `[offset, bits, mask]`, 8 bytes each; the last may be cut. */
function wordsOf(text: string): [offset: number, bits: bigint, mask: bigint][] {
  const bytes = new TextEncoder().encode(text);
  return Array.from({ length: Math.ceil(bytes.length / 8) }, (_, k) => {
    let bits = 0n;
    let mask = 0n;
    bytes.subarray(k * 8, k * 8 + 8).forEach((byte, i) => {
      bits |= BigInt(byte) << BigInt(i * 8);
      mask |= 0xffn << BigInt(i * 8);
    });
    return [k * 8, bits, mask];
  });
}

/** Whether a text does not stand at a place; never across a line's end, as none holds a newline. */
export function differs(at: Code, text: string): Code {
  return wordsOf(text)
    .map(([offset, bits, mask]) => {
      const word = w.load64(at, offset);
      const kept = mask === 0xffffffffffffffffn ? word : w.and64(word, i64(mask));
      return w.unequal64(kept, i64(bits));
    })
    .reduce((a, b) => w.or(a, b));
}

/** The line being read, as variables of the function `(start, end, rows)`. */
export class Line {
  readonly f = new Func(3);
  /** The next free row. */
  readonly row = this.f.local('i32');
  /** Where reading has come to, and a second place. */
  readonly p = this.f.local('i32');
  readonly q = this.f.local('i32');
  /** The event's code, or `NOT_ASKED`. */
  readonly code = this.f.local('i32');
  /** A byte that would mean a mark if the line ended with it, or `NO_MARK`. */
  readonly mark = this.f.local('i32');
  readonly value = this.f.local('i32');

  /** Moves `p` over blanks. */
  skipBlanks(): Code {
    return this.f.loop((again) =>
      this.f.when(w.equal(w.load8(this.p.get), i32(BLANK)), () => [
        this.advance(1),
        this.f.go(again),
      ]),
    );
  }

  advance(by: number): Code {
    return this.p.set(w.add(this.p.get, i32(by)));
  }
}
