/** Where in an input something was found: bytes are counted from 0, lines from 1. */
export type Position = { readonly byte: number } | { readonly line: number };

/**
 * An input that can't be read. The message is one line, names the input and the place, and says
 * what was expected there and what was found.
 */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  /** Path of the input, or `<stdin>`. */
  readonly input: string;
  readonly position: Position | undefined;
  readonly expected: string;
  readonly found: string;

  constructor(input: string, position: Position | undefined, expected: string, found: string) {
    super(`${printable(input)}${place(position)}: expected ${expected}, found ${found}`);
    this.input = input;
    this.position = position;
    this.expected = expected;
    this.found = found;
  }
}

function place(position: Position | undefined): string {
  if (position === undefined) return '';
  return 'byte' in position ? `: byte ${position.byte}` : `: line ${position.line}`;
}

/** Text from a recording made safe to print: control characters escaped, at most `limit` long. */
export function printable(text: string, limit = 200): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return cut.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
