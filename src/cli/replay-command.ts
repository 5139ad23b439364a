/** `masterclock replay`: what it is given. What it does is loaded when it is done (`replay.ts`). */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ExitCode, UsageError } from './exit-codes.ts';
import { addFindingOptions, givenFindingOptions } from './finding-options.ts';
import { givenLogOptions, setOption } from './log-options.ts';
import type { ReplayCommandOptions } from './replay.ts';
import type { Terminal } from './terminal.ts';

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
    .action(async (files: string[], options: ReplayCommandOptions, command: Command) => {
      refuseBoth(givenLogOptions(options), givenFindingOptions(command));
      const { replayFiles } = await import('./replay.ts');
      finished(await replayFiles(files, options, terminal));
    });
}

/** Where a state is shown no findings are reported. */
function refuseBoth(state: readonly string[], findings: readonly string[]): void {
  if (state.length === 0 || findings.length === 0) return;
  throw new UsageError(`${findings.join(', ')}: ${state.join(', ')} shows a state and no findings`);
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
