/** `masterclock simulate`: what follows it is understood when the scenarios are loaded. */
import type { Command } from 'commander';
import type { ExitCode } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

/** Adds the command to `program`; `finished` is told how it ended. */
export function addSimulateCommand(
  program: Command,
  terminal: Terminal,
  finished: (code: ExitCode) => void,
): void {
  program
    .command('simulate')
    .summary('show what a known story does to a guest’s clock under any kernel')
    .argument('[args...]')
    .helpOption(false)
    .allowUnknownOption()
    .action(async (_args: string[], _options: unknown, command: Command) => {
      const { simulate } = await import('./simulate.ts');
      finished(await simulate(command.args, command, terminal));
    });
}
