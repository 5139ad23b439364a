/** `masterclock replay` of a log: run it again, stop at an input, show what changed there. */
import { type OpenedLog, openLog } from '../../events/log/index.ts';
import type { LogFile } from '../../replay/index.ts';
import {
  type LogSummary,
  lostAll,
  NoSuchInputError,
  type ReplayLogOptions,
  replayLog,
  replayLogInGroups,
  stateAt,
} from '../../replay/log/index.ts';
import { changeToJson, logSummaryToJson, stateToJson } from '../../replay/report/log-json.ts';
import { changeText, logLines, logVerdict, stateLines } from '../../replay/report/log-text.ts';
import { CHECKPOINT_STRUCTS } from '../engine/checkpoint.ts';
import { ProfileError, parseSet, type Switches } from '../profiles/index.ts';
import { EXIT, type ExitCode, UsageError } from './exit-codes.ts';
import type { FindingOptions } from './finding-options.ts';
import { checkVm, FindingReport } from './findings.ts';
import type { LogOptions } from './log-options.ts';
import { LineWriter, styleFor, type Terminal } from './terminal.ts';

/** A profile or switch that is none was asked for on the command line. */
async function asked<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof ProfileError) throw new UsageError(error.message);
    throw error;
  }
}

function exitOf(summary: LogSummary, byFindings: ExitCode): ExitCode {
  if (summary.isUnknown) return EXIT.unjudgeable;
  if (summary.checkpoints.differing.length > 0) return EXIT.findings;
  return lostAll(summary) ? EXIT.unjudgeable : byFindings;
}

/** Replays a log, or goes to one of its inputs. */
export async function reportLog(
  file: LogFile,
  options: LogOptions & FindingOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  const { at, diff, profile, json } = options;
  const log = await openLog(file, { structs: CHECKPOINT_STRUCTS });
  return asked(async () => {
    const set: Partial<Switches> = Object.assign({}, ...options.set.map(parseSet));
    const kernel = {
      ...(profile === undefined ? {} : { profile }),
      ...(options.set.length === 0 ? {} : { set }),
    };
    if (at !== undefined || diff) {
      const index = at ?? (await replayLog(log, kernel)).inputs;
      const out = new LineWriter(terminal.stdout);
      return reportState(log, index, { kernel, diff, json }, out, terminal);
    }
    return reportFindings(log, kernel, options, terminal);
  });
}

async function reportFindings(
  log: OpenedLog,
  kernel: Pick<ReplayLogOptions, 'profile' | 'set'>,
  options: FindingOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  const { json, minNs, vm } = options;
  const written = new FindingReport(options, terminal);
  const only = vm === undefined ? {} : { vm };
  const summary = await written.drain(replayLogInGroups(log, { ...kernel, minNs, ...only }));
  checkVm(vm, log.name, summary.findings);
  if (json) written.out.line(logSummaryToJson(summary));
  else {
    written.writeText(logVerdict(summary, written.worst), summary.findings, logLines(summary));
  }
  await written.out.flush();
  return exitOf(summary, written.code);
}

async function reportState(
  log: Parameters<typeof stateAt>[0],
  at: number,
  how: { kernel: Parameters<typeof stateAt>[2]; diff: boolean; json: boolean },
  out: LineWriter,
  terminal: Terminal,
): Promise<ExitCode> {
  const state = await stateAt(log, at, how.kernel).catch((error: unknown) => {
    throw error instanceof NoSuchInputError
      ? new UsageError(`--at ${at}: ${error.message}`)
      : error;
  });
  if (how.json) {
    out.line(stateToJson(state));
    if (how.diff) for (const change of state.changes) out.line(changeToJson(change));
  } else {
    const [verdict = '', ...rest] = stateLines(state);
    out.line(styleFor(terminal)('strong', verdict));
    for (const line of how.diff ? ['', ...state.changes.map(changeText)] : rest) out.line(line);
  }
  await out.flush();
  return state.isUnknown ? EXIT.unjudgeable : EXIT.ok;
}
