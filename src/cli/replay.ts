/** `masterclock replay`: recordings in, findings out. */
import { LogError } from '../../events/log/error.ts';
import { FormatError, printable } from '../../replay/formats/error.ts';
import { openAny } from '../../replay/formats/open.ts';
import type { Recording } from '../../replay/formats/recording.ts';
import { REPLAY_EVENTS, type ReplayOptions, replayInGroups } from '../../replay/replay.ts';
import { summaryToJson } from '../../replay/report/json.ts';
import { summaryLines, unjudgeable, verdict } from '../../replay/report/text.ts';
import { EXIT, type ExitCode, graver, UsageError } from './exit-codes.ts';
import type { FindingOptions } from './finding-options.ts';
import { checkVm, FindingReport } from './findings.ts';
import { type KernelOptions, modelAsked } from './kernel-options.ts';
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

async function replayFile(
  file: string,
  options: ReplayCommandOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  try {
    const opened = await openAny(file, { only: REPLAY_EVENTS, ownThread: true });
    try {
      if (opened.is === 'log') {
        // What only logs take is loaded for them alone.
        const { reportLog } = await import('./replay-log.ts');
        return await reportLog(opened.log, options, terminal);
      }
      refuseLogOptions(file, options);
      return await report(withProgress(opened.recording, terminal), options, terminal);
    } finally {
      await (opened.is === 'log' ? opened.log : opened.recording).close();
    }
  } catch (error) {
    const isTheirs = [FormatError, LogError, UsageError].some((type) => error instanceof type);
    if (!(error instanceof Error && isTheirs)) throw error;
    terminal.stderr.write(`masterclock: ${printable(error.message, 1000)}\n`);
    return error instanceof UsageError ? EXIT.usage : EXIT.unreadable;
  }
}

async function report(
  recording: Recording,
  options: ReplayCommandOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  const { json, minNs, vm } = options;
  const written = new FindingReport(options, terminal);
  const model = modelAsked(options);
  const replayOptions: ReplayOptions = { minNs, model, ...(vm === undefined ? {} : { vm }) };
  const summary = await written.drain(replayInGroups(recording, replayOptions));
  checkVm(vm, summary.recording, summary);
  if (json) written.out.line(summaryToJson(summary));
  else written.writeText(verdict(summary, written.worst), summary, summaryLines(summary));
  await written.out.flush();
  return unjudgeable(summary) === undefined ? written.code : EXIT.unjudgeable;
}
