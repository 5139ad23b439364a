/**
 * Bytes of a text, with the tricks that read four of them at once.
 *
 * A byte costs about a nanosecond in a JavaScript loop and a line has a hundred, so what is compared
 * or converted on every line goes by words of four bytes, least significant byte first.
 */

/** Bytes to read, and a view over the same bytes for reading words. */
export class Text {
  readonly bytes: Buffer;
  readonly view: DataView;

  /** `length` bytes, all of them newlines. */
  constructor(length: number) {
    this.bytes = Buffer.alloc(length, 10);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, length);
  }
}

/** A fixed sequence of bytes to look for at a place. */
export class Literal {
  readonly text: string;
  readonly length: number;
  /**
   * The bytes as words, each followed by its mask: the last word may be cut. They are compared up to
   * three bytes beyond the literal, which a mask then hides.
   */
  readonly words: Int32Array;

  constructor(text: string) {
    const bytes = new TextEncoder().encode(text);
    this.text = text;
    this.length = bytes.length;
    this.words = new Int32Array(Math.ceil(bytes.length / 4) * 2);
    bytes.forEach((byte, k) => {
      const place = (k >> 2) * 2;
      this.words[place]! |= byte << ((k & 3) * 8);
      this.words[place + 1]! |= 0xff << ((k & 3) * 8);
    });
  }

  /** Whether the bytes stand at a place; never across a line's end, as no literal holds a newline. */
  isAt({ view }: Text, at: number): boolean {
    const { words } = this;
    let p = at;
    for (let k = 0; k < words.length; k += 2) {
      if ((view.getInt32(p, true) & words[k + 1]!) !== words[k]) return false;
      p += 4;
    }
    return true;
  }

  /** The first place in a line where the bytes stand, or -1. */
  find(text: Text, start: number, end: number): number {
    for (let at = start; at + this.length <= end; at++) {
      if (this.isAt(text, at)) return at;
    }
    return -1;
  }
}
