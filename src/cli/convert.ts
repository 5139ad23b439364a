/** What `masterclock convert` does: reads a log, or a recording with its driver's log, and writes a log. */
import { existsSync, statSync } from 'node:fs';
import {
  type LogEntry,
  LogError,
  type LogHeader,
  openLog,
  type TornTail,
} from '../../events/log/index.ts';
import { logOfCapture } from '../../replay/assimilate/log-of-capture.ts';
import {
  ActionError,
  logOfRecording,
  RecordingError,
  readRecording,
} from '../../replay/conformance/index.ts';
import { FormatError, printable } from '../../replay/formats/error.ts';
import { open, openAny } from '../../replay/formats/open.ts';
import { REPLAY_EVENTS } from '../../replay/needs.ts';
import { count } from '../../replay/quantity.ts';
import { tornText } from '../../replay/report/log-text.ts';
import { CHECKPOINT_STRUCTS } from '../engine/index.ts';
import { EXIT, type ExitCode, UsageError } from './exit-codes.ts';
import { checkNew, exitOfError, writeNewLogs } from './new-log.ts';
import type { Terminal } from './terminal.ts';

/** What is written. */
interface Source {
  readonly header: LogHeader;
  readonly entries: AsyncIterable<readonly LogEntry[]> | Iterable<readonly LogEntry[]>;
  /** What was cut from its end; known when all was read. */
  readonly torn: () => TornTail | undefined;
  readonly close: () => Promise<void>;
}

async function sourceOf(from: string): Promise<Source> {
  if (from !== '-' && existsSync(from) && statSync(from).isDirectory()) {
    const { header, entries } = logOfRecording(await readRecording(from));
    return { header, entries: [entries], torn: () => undefined, close: async () => {} };
  }
  const opened = await openAny(from);
  if (opened.is === 'recording') {
    await opened.recording.close();
    return captureSource(from);
  }
  const log = await openLog(opened.log, { structs: CHECKPOINT_STRUCTS });
  let torn: TornTail | undefined;
  async function* entries(): AsyncGenerator<readonly LogEntry[]> {
    ({ torn } = yield* log.entries());
  }
  return {
    header: log.header,
    entries: entries(),
    torn: () => torn,
    close: () => opened.log.close(),
  };
}

/** A recording without its driver's log: read twice, so from a file. */
async function captureSource(from: string): Promise<Source> {
  if (from === '-') throw new UsageError('convert reads a recording twice: name its file');
  const { header, entries } = await logOfCapture(() => open(from, { only: REPLAY_EVENTS }));
  return { header, entries: [entries], torn: () => undefined, close: async () => {} };
}

const ERRORS = [FormatError, LogError, UsageError, RecordingError, ActionError];

/** Converts; returns how it ended. */
export async function convert(from: string, to: string, terminal: Terminal): Promise<ExitCode> {
  try {
    checkNew(to);
    const source = await sourceOf(from);
    try {
      const inputs = await writeNewLogs([{ path: to, ...source }]);
      terminal.stdout.write(`${count(inputs, 'input')} written to ${printable(to, 1000)}\n`);
      const torn = source.torn();
      if (torn !== undefined) terminal.stderr.write(`masterclock: ${tornText(torn)}\n`);
      return EXIT.ok;
    } finally {
      await source.close();
    }
  } catch (error) {
    if (!(error instanceof Error && ERRORS.some((type) => error instanceof type))) throw error;
    terminal.stderr.write(`masterclock: ${printable(error.message, 1000)}\n`);
    return exitOfError(error);
  }
}
