/** `masterclock replay` of a recording: its findings as they are settled, then the summary. */
import type { Recording } from '../../replay/formats/recording.ts';
import { type ReplayOptions, replayInGroups } from '../../replay/replay.ts';
import { summaryToJson } from '../../replay/report/json.ts';
import { summaryLines, unjudgeable, verdict } from '../../replay/report/text.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { checkVm, FindingReport } from './findings.ts';
import { modelAsked } from './kernel-options.ts';
import type { ReplayCommandOptions } from './replay.ts';
import type { Terminal } from './terminal.ts';

/**
 * Replays a recording and writes what was found.
 *
 * @returns how the command ends.
 * @throws FormatError where the recording can't be read; UsageError for a VM that it does not have.
 */
export async function reportRecording(
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
