/**
 * Event formats as the kernel describes them in `events/<system>/<event>/format`, which trace.dat
 * carries along. Nothing about an event's layout is known beforehand: offsets, sizes and signs all
 * come from here.
 *
 *     name: suspend_resume
 *     ID: 417
 *     format:
 *     	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
 *     	…
 *     	field:const char * action;	offset:8;	size:8;	signed:0;
 *
 *     print fmt: "%s[%u] %s", …
 *
 * Traps: an array's brackets stand after its name (`char buf[]`), or after its type where the
 * field only says where the array is (`__data_loc char[] name`); `signed:` is missing before
 * v2.6.32; size 0 means "up to the end of the event". The header page's description has the same
 * lines. A hostile text must not cost more than its length, so no backtracking patterns here.
 *
 * Source: libtraceevent's documentation of event formats; kernel/trace/trace_events.c.
 */

/** Where a field's bytes are. */
type FieldPlacement = 'inline' | 'data_loc' | 'rel_loc';

export interface FormatField {
  readonly name: string;
  /** The C type, without the array's brackets. */
  readonly type: string;
  readonly offset: number;
  /** Bytes; 0: to the end of the event. */
  readonly size: number;
  /** `undefined` where the kernel did not say. */
  readonly signed: boolean | undefined;
  readonly array: boolean;
  /** Elements of an array with a fixed number of them, otherwise 0. */
  readonly arrayLength: number;
  readonly placement: FieldPlacement;
}

/** A format file, its fields parsed when they are first asked for. */
export class EventFormat {
  readonly system: string;
  readonly name: string;
  readonly id: number;
  /** File offset for messages: of the text, or of the section it was decompressed from. */
  readonly byte: number;
  readonly #text: string;
  #fields: readonly FormatField[] | undefined;

  constructor(system: string, name: string, id: number, byte: number, text: string) {
    this.system = system;
    this.name = name;
    this.id = id;
    this.byte = byte;
    this.#text = text;
  }

  /** All fields, the common ones (`common_type`, …) first. */
  get fields(): readonly FormatField[] {
    this.#fields ??= parseFields(this.#text);
    return this.#fields;
  }

  field(name: string): FormatField | undefined {
    return this.fields.find((f) => f.name === name);
  }

  /** What the kernel prints of it: the rest of the text after `print fmt:`. */
  get printFormat(): string {
    const at = this.#text.indexOf('\nprint fmt:');
    return at < 0 ? '' : this.#text.slice(at + '\nprint fmt:'.length).trim();
  }
}

/** Reads name and number; `undefined` where the text is no format file. */
export function parseEventFormat(
  system: string,
  text: string,
  byte: number,
): EventFormat | undefined {
  const name = lineValue(text, 'name:');
  const id = lineValue(text, 'ID:');
  if (name === undefined || id === undefined || !/^\d{1,9}$/.test(id)) return undefined;
  return new EventFormat(system, name, Number(id), byte, text);
}

/** The fields of a format file or of the header page's description. */
export function parseFields(text: string): readonly FormatField[] {
  const fields: FormatField[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('print fmt:')) break;
    const field = parseField(line.trim());
    if (field !== undefined) fields.push(field);
  }
  return fields;
}

function lineValue(text: string, key: string): string | undefined {
  const at = text.startsWith(key) ? 0 : text.indexOf(`\n${key}`) + 1;
  if (at === 0 && !text.startsWith(key)) return undefined;
  const end = text.indexOf('\n', at);
  return text.slice(at + key.length, end < 0 ? undefined : end).trim();
}

function parseField(line: string): FormatField | undefined {
  if (!line.startsWith('field:')) return undefined;
  const [declaration = '', ...properties] = line.slice('field:'.length).split(';');
  const offset = property(properties, 'offset:');
  const size = property(properties, 'size:');
  if (offset === undefined || size === undefined) return undefined;
  const signed = property(properties, 'signed:');
  return {
    ...parseDeclaration(declaration.trim()),
    offset,
    size,
    signed: signed === undefined ? undefined : signed !== 0,
  };
}

function property(properties: readonly string[], key: string): number | undefined {
  const found = properties.find((p) => p.trimStart().startsWith(key));
  const digits = found?.trim().slice(key.length).trim();
  return digits !== undefined && /^\d{1,7}$/.test(digits) ? Number(digits) : undefined;
}

type Declaration = Pick<FormatField, 'name' | 'type' | 'array' | 'arrayLength' | 'placement'>;

function parseDeclaration(text: string): Declaration {
  let rest = text;
  let dimensions = '';
  if (rest.endsWith(']')) {
    const open = rest.indexOf('[');
    dimensions = rest.slice(Math.max(0, open));
    rest = rest.slice(0, Math.max(0, open)).trimEnd();
  }
  let start = rest.length;
  while (start > 0 && isWord(rest.charCodeAt(start - 1))) start--;
  const name = rest.slice(start);
  const type = rest.slice(0, start).trim();
  const placement = placementOf(type);
  const length = /^\[(\d{1,7})\]$/.exec(dimensions)?.[1];
  return {
    name,
    type,
    array: dimensions !== '' || type.endsWith(']'),
    arrayLength: length === undefined ? 0 : Number(length),
    placement,
  };
}

function placementOf(type: string): FieldPlacement {
  if (type.startsWith('__data_loc')) return 'data_loc';
  return type.startsWith('__rel_loc') ? 'rel_loc' : 'inline';
}

function isWord(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x61 && code <= 0x7a) ||
    code === 0x5f
  );
}
