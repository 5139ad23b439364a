/** `masterclock replay`: what there is at a path is found out, and what only it takes is loaded. */
import { LogError } from '../../events/log/error.ts';
import { FormatError, printable } from '../../replay/formats/error.ts';
import { beginOpening, type LogFile } from '../../replay/formats/open.ts';
import type { Recording } from '../../replay/formats/recording.ts';
import { REPLAY_EVENTS } from '../../replay/needs.ts';
import { EXIT, type ExitCode, graver, UsageError } from './exit-codes.ts';
import type { FindingOptions } from './finding-options.ts';
import type { KernelOptions } from './kernel-options.ts';
import { givenLogOptions } from './log-options.ts';
import { withProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** What the command was given beside the files. */
export interface ReplayCommandOptions extends KernelOptions, FindingOptions {}

/** Replays one file after the other. @returns how the command ends. */
export async function replayFiles(
  files: readonly string[],
  options: ReplayCommandOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  for (const [i, file] of files.entries()) {
    if (i > 0 && !options.json) terminal.stdout.write('\n');
    code = graver(code, await replayFile(file, options, terminal));
  }
  return code;
}

/** A recording is followed, not run: it has no state to be stopped at. */
function refuseLogOptions(file: string, options: ReplayCommandOptions): void {
  const given = givenLogOptions(options);
  if (given.length > 0) throw new UsageError(`${given.join(', ')}: ${file} is no log`);
}

async function replayLog(
  log: LogFile,
  options: ReplayCommandOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  try {
    // What a log holds is run: there is nothing to compare a model with.
    if (!options.model) throw new UsageError(`--no-model: ${log.name} is no recording`);
    const { reportLog } = await import('./replay-log.ts');
    return await reportLog(log, options, terminal);
  } finally {
    await log.close();
  }
}

/** What judges a recording is loaded while a thread may still be opening it. */
async function replayRecording(
  file: string,
  opening: Promise<Recording>,
  options: ReplayCommandOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  const [{ reportRecording }, recording] = await Promise.all([
    import('./replay-recording.ts'),
    opening,
  ]);
  try {
    refuseLogOptions(file, options);
    return await reportRecording(withProgress(recording, terminal), options, terminal);
  } finally {
    await recording.close();
  }
}

async function replayFile(
  file: string,
  options: ReplayCommandOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  try {
    const opened = await beginOpening(file, { only: REPLAY_EVENTS, ownThread: true });
    return await (opened.is === 'log'
      ? replayLog(opened.log, options, terminal)
      : replayRecording(file, opened.recording, options, terminal));
  } catch (error) {
    const isTheirs = [FormatError, LogError, UsageError].some((type) => error instanceof type);
    if (!(error instanceof Error && isTheirs)) throw error;
    terminal.stderr.write(`masterclock: ${printable(error.message, 1000)}\n`);
    return error instanceof UsageError ? EXIT.usage : EXIT.unreadable;
  }
}
