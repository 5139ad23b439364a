/** `masterclock replay`: recordings in, findings out. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { LogError } from '../../events/log/error.ts';
import {
  FormatError,
  openAny,
  printable,
  REPLAY_EVENTS,
  type Recording,
  type ReplayOptions,
  replayInGroups,
  summaryLines,
  summaryToJson,
  unjudgeable,
  verdict,
} from '../../replay/index.ts';
import { EXIT, type ExitCode, graver, UsageError } from './exit-codes.ts';
import { addFindingOptions, checkVm, type FindingOptions, FindingReport } from './findings.ts';
import { type KernelOptions, modelAsked } from './kernel-options.ts';
import { givenLogOptions, setOption } from './log-options.ts';
import { withProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';

interface Options extends KernelOptions, FindingOptions {}

/** Adds the command to `program`; `finished` is told how it ended. */
export function addReplayCommand(
  program: Command,
  terminal: Terminal,
  finished: (code: ExitCode) => void,
): void {
  addFindingOptions(program.command('replay'))
    .summary('find the moments when a guest’s clock jumped in recordings of real hosts')
    .description(
      'Reads recordings of a host (trace.dat, or ftrace text) and reports when a guest’s clock jumped, how far, on which vCPU and after what. Runs logs (.mclog, .jsonl) again, bit by bit.',
    )
    .argument('<file...>', 'recordings; - for stdin')
    .option('--vm <id>', 'report only this VM (ids are in the summary)')
    .addOption(
      new Option('--at <n>', 'of a log: the state after its first n inputs').argParser(parseCount),
    )
    .option('--diff', 'of a log: what its last input, or that of --at, changed', false)
    .option('--profile <id>', 'compare with this kernel; replay a log under it instead of its own')
    .addOption(setOption('set a switch of that kernel otherwise'))
    .option('--no-model', 'do not compare a recording with the model of its kernel')
    .addHelpText('after', HELP)
    .action(async (files: string[], options: Options) => {
      let code: ExitCode = EXIT.ok;
      for (const [i, file] of files.entries()) {
        if (i > 0 && !options.json) terminal.stdout.write('\n');
        code = graver(code, await replayFile(file, options, terminal));
      }
      finished(code);
    });
}

const HELP = `
Exit codes:
  0  nothing at or above --fail-on      3  a recording can't be read
  1  findings at or above it            4  too much was lost to judge
  2  wrong usage                       70  masterclock itself failed

Examples:
  Record on the host, as root, while it happens:
    trace-cmd record -C x86-tsc -e kvm -e power:suspend_resume \\
      -e syscalls:sys_enter_ioctl -e syscalls:sys_exit_ioctl
  Then, anywhere:
    masterclock replay trace.dat
    masterclock replay --json --min-ns 1000 trace.dat | jq 'select(.rule == "jump")'
    ssh host cat trace.txt | masterclock replay -
    masterclock replay --at 120 --diff vm.mclog`;

function parseCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('A whole number is expected.');
  return Number(text);
}

/** A recording is followed, not run: it has no state to be stopped at. */
function refuseLogOptions(file: string, options: Options): void {
  const given = givenLogOptions(options);
  if (given.length > 0) throw new UsageError(`${given.join(', ')}: ${file} is no log`);
}

async function replayFile(file: string, options: Options, terminal: Terminal): Promise<ExitCode> {
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
  options: Options,
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
