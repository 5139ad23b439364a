/** What the catalogue says of an event: the vocabulary of `catalog.ts`. */

/** Widths and signs as the kernel declares them. `bool` is one byte, 0 or 1. */
export type ScalarType = 'bool' | 'u8' | 's8' | 'u32' | 's32' | 'u64' | 's64';

/** One field of an event. */
export interface FieldSpec {
  readonly type: ScalarType;
  /** Meaning and unit. */
  readonly doc: string;
  /** Some kernels do not record this field; it then reads as `absent`. */
  readonly absent?: number;
}

/**
 * - `input`: something that happened (an MSR access, an entry, an ioctl).
 * - `observation`: what someone could see as a result (a page written, a decision taken).
 * - `tracer`: what the tracer itself says (markers, lost events).
 */
export type EventRole = 'input' | 'observation' | 'tracer';

/** One kind of event. */
export interface EventSpec {
  readonly role: EventRole;
  /** The trace system (`kvm`, `power`, `syscalls`, …): the folder of the event in tracefs. */
  readonly system: string;
  readonly doc: string;
  readonly fields: Readonly<Record<string, FieldSpec>>;
  /** Whether the event carries a free string (`text`). */
  readonly text?: true;
  /** Another name the event has in text or in format files. */
  readonly aliases?: readonly string[];
  /**
   * Text after the event's name, one entry for each form ever printed. `%name` is a number
   * (decimal, or hexadecimal with `0x`), `%name:x` hexadecimal with or without `0x`, `%name:clock`
   * a host clock's name or number, `%name:01` the words `begin`/`end`, `%name:rw` the words
   * `read`/`write`, `%text` free text up to what follows in the pattern, `%*` one ignored word;
   * `%name?mark`, last in a pattern, is whether the mark stands among those that end the line.
   * Matching stops at the pattern's end; the rest of the line is ignored. An event with no pattern
   * is known to text readers by its name alone.
   */
  readonly print?: readonly string[];
}
