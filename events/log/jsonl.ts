/**
 * The readable form of a log, writer beside reader: a JSON object a line, the header first.
 *
 * A line that was written ends with a line end. Where the last one does not and is no whole object, its
 * writing did not come to its end: it is cut. Lines carry no CRC, so that they can be edited.
 */
import { describeValue } from '../../src/num/index.ts';
import {
  type CheckpointPlace,
  type DecoderOptions,
  type LogDecoder,
  type Misfit,
  OLDER_LOG,
  type ReadLogOptions,
  withDefaults,
} from './decoder.ts';
import { checkPlace, type LogEncoder, type LogSoFar } from './encoder.ts';
import type { LogEntry, LogHeader, TornTail } from './entry.ts';
import { EntryError, LogError } from './error.ts';
import { MAX_FRAME_BYTES } from './frame.ts';
import { decodeEntry, encodeEntry, type JsonObject } from './json-entry.ts';
import { decodeHeader, encodeHeader } from './json-header.ts';
import { PendingBytes } from './pending-bytes.ts';
import { type LogStretch, Stretches } from './stretch.ts';
import { type UpgradePath, upgradePath } from './upgrade.ts';

const LINE_END = 0x0a;

const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { fatal: true });

/** Writes the readable form. */
export class JsonlEncoder implements LogEncoder {
  readonly form = 'jsonl';
  readonly #header: LogHeader;
  #inputs: number;

  /** @param soFar - what the log holds already; by default it is new. */
  constructor(header: LogHeader, soFar?: Pick<LogSoFar, 'inputs'>) {
    this.#header = header;
    this.#inputs = soFar?.inputs ?? 0;
  }

  begin(): Uint8Array {
    return utf8.encode(`${JSON.stringify(encodeHeader(this.#header))}\n`);
  }

  encode(entries: readonly LogEntry[]): Uint8Array {
    let inputs = this.#inputs;
    let lines = '';
    for (const entry of entries) {
      if (entry.kind === 'input') inputs += 1;
      else if (entry.kind === 'checkpoint') checkPlace(entry.checkpoint, inputs);
      const line = JSON.stringify(encodeEntry(entry));
      if (line.length > MAX_FRAME_BYTES) {
        throw new EntryError(
          undefined,
          `a line of at most ${MAX_FRAME_BYTES} bytes`,
          'a longer one',
        );
      }
      lines += `${line}\n`;
    }
    this.#inputs = inputs;
    return utf8.encode(lines);
  }

  end(): Uint8Array {
    return new Uint8Array(0);
  }
}

/** Reads the readable form. */
export class JsonlDecoder implements LogDecoder {
  readonly form = 'jsonl';
  readonly checkpoints: CheckpointPlace[] = [];
  readonly skippedCheckpoints = 0;
  inputs = 0;
  header: LogHeader | undefined;
  torn: TornTail | undefined;
  readonly #log: string;
  readonly #options: DecoderOptions;
  readonly #pending = new PendingBytes();
  /** Pending bytes known to hold no line end. */
  #searched = 0;
  #line = 0;
  #path: UpgradePath | undefined;

  /** @param log - what to call it in errors. */
  constructor(log: string, options: ReadLogOptions = {}) {
    this.#log = log;
    this.#options = withDefaults(options);
  }

  get version(): number {
    return this.#path?.version ?? 0;
  }

  get misfit(): Misfit | undefined {
    return this.#path?.isCurrent === true ? undefined : OLDER_LOG;
  }

  push(chunk: Uint8Array, room = new Stretches()): readonly LogStretch[] {
    const into = room.again();
    const pending = this.#pending;
    pending.put(chunk);
    for (;;) {
      const end = pending.bytes.indexOf(LINE_END, this.#searched);
      this.#searched = end < 0 ? pending.length : 0;
      if ((end < 0 ? pending.length : end) > MAX_FRAME_BYTES) {
        throw this.#error(undefined, `a line of at most ${MAX_FRAME_BYTES} bytes`, 'a longer one');
      }
      if (end < 0) return into.finish();
      this.#takeLine(pending.bytes.subarray(0, end), into);
      pending.use(end + 1);
    }
  }

  finish(room = new Stretches()): readonly LogStretch[] {
    const into = room.again();
    const { length, offset, bytes } = this.#pending;
    if (length > 0) {
      if (this.header !== undefined && parse(bytes) === undefined) {
        this.torn = { offset, bytes: length };
      } else {
        this.#takeLine(bytes, into);
      }
    }
    if (this.header === undefined) {
      throw new LogError(this.#log, { line: 1 }, undefined, 'a header', 'nothing');
    }
    return into.finish();
  }

  #error(field: string | undefined, expected: string, found: string): LogError {
    return new LogError(this.#log, { line: this.#line + 1 }, field, expected, found);
  }

  #takeLine(bytes: Uint8Array, into: Stretches): void {
    const json = parse(bytes);
    if (json === undefined) {
      const found = describeValue(Buffer.from(bytes.subarray(0, 40)).toString('latin1'));
      const isFirst = this.header === undefined;
      throw this.#error(
        undefined,
        isFirst ? 'a log’s header, a JSON object' : 'a JSON object',
        found,
      );
    }
    try {
      if (this.#path === undefined) this.#takeHeader(json);
      else this.#takeEntry(json, this.#path, into);
    } catch (error) {
      if (!(error instanceof EntryError)) throw error;
      throw error.in(this.#log, { line: this.#line + 1 });
    }
    this.#line += 1;
  }

  #takeHeader(json: JsonObject): void {
    const path = upgradePath(json, this.#options.upgrades);
    this.header = decodeHeader(path.header(json));
    this.#path = path;
  }

  #takeEntry(json: JsonObject, path: UpgradePath, into: Stretches): void {
    const current = path.isCurrent ? json : path.entry(json);
    const entry = current === undefined ? undefined : decodeEntry(current, this.#options.structs);
    if (entry === undefined) return;
    if (entry.kind === 'input') this.inputs += 1;
    if (entry.kind === 'checkpoint') {
      checkPlace(entry.checkpoint, this.inputs);
      this.checkpoints.push({ inputs: this.inputs, offset: this.#pending.offset });
    }
    into.add(entry);
  }
}

/** The JSON object that a line is; undefined when it is none. */
function parse(bytes: Uint8Array): JsonObject | undefined {
  try {
    const json: unknown = JSON.parse(text.decode(bytes));
    return typeof json === 'object' && json !== null && !Array.isArray(json)
      ? (json as JsonObject)
      : undefined;
  } catch {
    return undefined;
  }
}
