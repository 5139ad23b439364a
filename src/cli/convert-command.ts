/**
 * `masterclock convert`: logs from one form to the other, and recordings with their driver's log to
 * logs. What it takes is loaded only when it is asked for, so that other commands start quickly.
 */
import type { Command } from 'commander';
import type { ExitCode } from './exit-codes.ts';
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
      'Writes a log anew, readable (.jsonl) or binary (.mclog) as the name of OUT says. A recording becomes a log of the inputs it shows; so does a folder with a recording and its driver’s log (trace.txt, actions.jsonl, meta.json), which shows more.',
    )
    .argument('<in>', 'a log, a recording, or such a folder; - for a log from stdin')
    .argument('<out>', 'a file that does not exist yet: NAME.jsonl or NAME.mclog')
    .action(async (from: string, to: string) => {
      const { convert } = await import('./convert.ts');
      finished(await convert(from, to, terminal));
    });
}
