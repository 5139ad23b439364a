/** `masterclock convert`: logs from one form to the other, and recordings with their driver's log to logs. */
import { existsSync, statSync, unlinkSync } from 'node:fs';
import type { Command } from 'commander';
import {
  type LogEntry,
  LogError,
  type LogHeader,
  LogWriter,
  openLog,
  type TornTail,
} from '../../events/log/index.ts';
import {
  ActionError,
  logOfRecording,
  RecordingError,
  readRecording,
} from '../../replay/conformance/index.ts';
import { FormatError, openAny, printable } from '../../replay/index.ts';
import { count } from '../../replay/quantity.ts';
import { tornText } from '../../replay/report/log-text.ts';
import { CHECKPOINT_STRUCTS } from '../engine/index.ts';
import { EXIT, type ExitCode, UsageError } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

/** Adds the command to `program`; `finished` is told how it ended. */
export function addConvertCommand(
  program: Command,
  terminal: Terminal,
  finished: (code: ExitCode) => void,
): void {
  program
    .command('convert')
    .summary('turn a log into its other form, or a recording into a log')
    .description(
      'Writes a log anew, readable (.jsonl) or binary (.mclog) as the name of OUT says. A folder with a recording and its driver’s log (trace.txt, actions.jsonl, meta.json) becomes a log of the inputs it shows.',
    )
    .argument('<in>', 'a log, or such a folder; - for a log from stdin')
    .argument('<out>', 'a file that does not exist yet: NAME.jsonl or NAME.mclog')
    .action(async (from: string, to: string) => {
      finished(await convert(from, to, terminal));
    });
}

/** What is written. */
interface Source {
  readonly header: LogHeader;
  readonly entries: AsyncIterable<readonly LogEntry[]> | Iterable<readonly LogEntry[]>;
  /** What was cut from its end; known when all was read. */
  readonly torn: () => TornTail | undefined;
  readonly close: () => Promise<void>;
}

function formOf(to: string): 'jsonl' | 'mclog' {
  if (existsSync(to)) throw new UsageError(`${to} exists already`);
  if (to.endsWith('.jsonl')) return 'jsonl';
  if (to.endsWith('.mclog')) return 'mclog';
  throw new UsageError(`${to}: expected a name that ends in .jsonl or .mclog`);
}

async function sourceOf(from: string): Promise<Source> {
  if (from !== '-' && existsSync(from) && statSync(from).isDirectory()) {
    const { header, entries } = logOfRecording(await readRecording(from));
    return { header, entries: [entries], torn: () => undefined, close: async () => {} };
  }
  const opened = await openAny(from);
  if (opened.is === 'recording') {
    await opened.recording.close();
    const found = 'a recording without its driver’s log (convert needs the folder with both)';
    throw new FormatError(from, undefined, 'a log', found);
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

async function write(source: Source, to: string, form: 'jsonl' | 'mclog'): Promise<number> {
  const writer = new LogWriter(to, { form, header: source.header, structs: CHECKPOINT_STRUCTS });
  try {
    for await (const batch of source.entries) writer.append(batch);
    writer.close();
    return writer.inputs;
  } catch (error) {
    writer.close();
    unlinkSync(to);
    throw error;
  }
}

const ERRORS = [FormatError, LogError, UsageError, RecordingError, ActionError];

async function convert(from: string, to: string, terminal: Terminal): Promise<ExitCode> {
  try {
    const form = formOf(to);
    const source = await sourceOf(from);
    try {
      const inputs = await write(source, to, form);
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
    return error instanceof UsageError ? EXIT.usage : EXIT.unreadable;
  }
}
