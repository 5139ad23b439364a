/** `masterclock help`: that of a command, or of a scenario, whose help is loaded when it is asked for. */
import type { Command } from 'commander';
import { type ExitCode, UsageError } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

/** Adds the command to `program`; `finished` is told how it ended. */
export function addHelpCommand(
  program: Command,
  terminal: Terminal,
  finished: (code: ExitCode) => void,
): void {
  program
    .command('help')
    .summary('print the help of a command')
    .argument('[command...]', 'its name; for a scenario `simulate` and the name')
    .action(async ([name, ...rest]: string[]) => {
      if (name === undefined) program.help();
      const command = program.commands.find((its) => its.name() === name);
      if (command === undefined) {
        const known = program.commands.map((its) => its.name()).join(', ');
        throw new UsageError(`help: expected one of ${known}, found ${name}`);
      }
      if (name === 'simulate') {
        const { helpOnSimulate } = await import('./simulate.ts');
        finished(await helpOnSimulate(rest, command, terminal));
        return;
      }
      if (rest.length > 0) throw new UsageError(`help: expected one command, found ${rest[0]} too`);
      command.help();
    });
}
