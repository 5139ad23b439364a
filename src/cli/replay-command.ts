/** `masterclock replay`: recordings in, findings out. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { LogError } from '../../events/log/error.ts';
import {
  atLeast,
  type Finding,
  FormatError,
  findingLines,
  findingToJson,
  mechanismLines,
  openAny,
  printable,
  REPLAY_EVENTS,
  type Recording,
  type ReplayOptions,
  type ReplaySummary,
  replayInGroups,
  SEVERITIES,
  type Severity,
  Shown,
  type Style,
  summaryLines,
  summaryToJson,
  unjudgeable,
  verdict,
} from '../../replay/index.ts';
import { count } from '../../replay/quantity.ts';
import { EXIT, type ExitCode, graver, UsageError } from './exit-codes.ts';
import { givenLogOptions, type LogOptions } from './log-options.ts';
import { withProgress } from './progress.ts';
import { LineWriter, styleFor, type Terminal } from './terminal.ts';

interface Options extends LogOptions {
  readonly json: boolean;
  readonly minNs: bigint;
  readonly failOn: Severity | 'never';
  readonly vm?: string;
}

/** Adds the command to `program`; `finished` is told how it ended. */
export function addReplayCommand(
  program: Command,
  terminal: Terminal,
  finished: (code: ExitCode) => void,
): void {
  program
    .command('replay')
    .summary('find the moments when a guest’s clock jumped in recordings of real hosts')
    .description(
      'Reads recordings of a host (trace.dat, or ftrace text) and reports when a guest’s clock jumped, how far, on which vCPU and after what. Runs logs (.mclog, .jsonl) again, bit by bit.',
    )
    .argument('<file...>', 'recordings; - for stdin')
    .option('--json', 'print one JSON object a line: findings, then a summary', false)
    .addOption(
      new Option('--min-ns <n>', 'report no step smaller than this')
        .argParser(parseNs)
        .default(1n, '1'),
    )
    .addOption(
      new Option('--fail-on <severity>', 'exit with 1 on findings of this severity or above')
        .choices([...SEVERITIES, 'never'])
        .default('warning'),
    )
    .option('--vm <id>', 'report only this VM (ids are in the summary)')
    .addOption(
      new Option('--at <n>', 'of a log: the state after its first n inputs').argParser(parseCount),
    )
    .option('--diff', 'of a log: what its last input, or that of --at, changed', false)
    .option('--profile <id>', 'of a log: replay it under this kernel instead of its own')
    .option('--set <switch=value>', 'of a log: set a switch otherwise; repeatable', collect, [])
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

function parseNs(text: string): bigint {
  if (!/^\d{1,19}$/.test(text)) {
    throw new InvalidArgumentError('A whole number of nanoseconds is expected.');
  }
  return BigInt(text);
}

function parseCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('A whole number is expected.');
  return Number(text);
}

const collect = (text: string, before: readonly string[]): readonly string[] => [...before, text];

/** Recordings have no kernel of their own to be replayed under, yet. */
function refuseLogOptions(file: string, options: Options): void {
  const given = givenLogOptions(options);
  if (given.length > 0) throw new UsageError(`${given.join(', ')}: ${file} is no log`);
}

async function replayFile(file: string, options: Options, terminal: Terminal): Promise<ExitCode> {
  try {
    const opened = await openAny(file, { only: REPLAY_EVENTS, ownThread: true });
    try {
      if (opened.is === 'log') {
        // The engine is loaded for logs only: recordings need none of it.
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
  const { json, failOn, minNs, vm } = options;
  const out = new LineWriter(terminal.stdout);
  const shown = new Shown();
  let failed = false;
  const replayOptions: ReplayOptions = { minNs, ...(vm === undefined ? {} : { vm }) };
  const summary = await drain(replayInGroups(recording, replayOptions), async (findings) => {
    for (const finding of findings) {
      if (failOn !== 'never' && atLeast(finding.severity, failOn)) failed = true;
      if (!json) shown.add(finding);
      else out.line(findingToJson(finding));
      if (out.full) await out.flush();
    }
  });
  checkVm(vm, summary);
  if (json) out.line(summaryToJson(summary));
  else writeText(summary, shown, out, styleFor(terminal));
  await out.flush();
  if (unjudgeable(summary) !== undefined) return EXIT.unjudgeable;
  return failed ? EXIT.findings : EXIT.ok;
}

async function drain(
  run: AsyncGenerator<readonly Finding[], ReplaySummary>,
  take: (findings: readonly Finding[]) => Promise<void>,
): Promise<ReplaySummary> {
  for (;;) {
    const next = await run.next();
    if (next.done) return next.value;
    await take(next.value);
  }
}

function checkVm(vm: string | undefined, { vms, vmCount, recording }: ReplaySummary): void {
  if (vm === undefined || vms.length < vmCount || vms.some((v) => v.id === vm)) return;
  const known = vms.length === 0 ? 'it has none' : `it has ${vms.map((v) => v.id).join(', ')}`;
  throw new UsageError(`${recording} has no VM ${vm}: ${known}`);
}

function writeText(summary: ReplaySummary, shown: Shown, out: LineWriter, style: Style): void {
  out.line(style('strong', verdict(summary, shown.worst)));
  const list = shown.list();
  if (list.length > 0) out.line('');
  for (const line of findingLines(list, summary, style)) out.line(line);
  if (shown.total > list.length) {
    out.line(`… and ${count(shown.total - list.length, 'finding')} no worse; --json lists all`);
  }
  out.line('');
  const explained = [...mechanismLines(summary)];
  for (const line of explained) out.line(line);
  if (explained.length > 0) out.line('');
  for (const line of summaryLines(summary)) out.line(line);
}
