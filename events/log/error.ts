/** Where in a log something was found: bytes are counted from 0, lines from 1. */
export type LogPosition = { readonly line: number } | { readonly byte: number };

/**
 * A log that can't be read, or can't be written. The message is one line: it names the log, the
 * place and the field, what was expected there and what was found.
 */
export class LogError extends Error {
  override readonly name: string = 'LogError';
  /** Path of the log, or what its reader was told to call it. */
  readonly log: string;
  readonly position: LogPosition | undefined;
  /** The member or field: `readings.sync.tsc`; undefined when it is about the whole. */
  readonly field: string | undefined;
  readonly expected: string;
  /** What was found, shortened and printable. */
  readonly found: string;

  /** @internal */
  constructor(
    log: string,
    position: LogPosition | undefined,
    field: string | undefined,
    expected: string,
    found: string,
  ) {
    const where = position === undefined ? '' : `: ${placeOf(position)}`;
    const what = field === undefined ? '' : `: ${field}`;
    super(`${safe(log)}${where}${what}: expected ${expected}, found ${found}`);
    this.log = log;
    this.position = position;
    this.field = field;
    this.expected = expected;
    this.found = found;
  }
}

/** A log that can't be written: its file can't be made, or not be written to. */
export class LogWriteError extends LogError {
  override readonly name = 'LogWriteError';
}

const placeOf = (position: LogPosition): string =>
  'line' in position ? `line ${position.line}` : `byte ${position.byte}`;

/** Paths may hold anything; one must not steer a terminal. */
const safe = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`,
  );

/**
 * Something wrong in a part of a log, thrown where it is not known yet where that part lies; readers
 * turn it into a `LogError`.
 *
 * @internal
 */
export class EntryError extends Error {
  override readonly name = 'EntryError';
  readonly field: string | undefined;
  readonly expected: string;
  readonly found: string;
  /** Bytes from the part's start, where it has bytes. */
  readonly offset: number;

  constructor(field: string | undefined, expected: string, found: string, offset = 0) {
    super(`${field}: expected ${expected}, found ${found}`);
    this.field = field;
    this.expected = expected;
    this.found = found;
    this.offset = offset;
  }

  /** The same as an error of a log. */
  in(log: string, position: LogPosition | undefined): LogError {
    return new LogError(log, position, this.field, this.expected, this.found);
  }
}
