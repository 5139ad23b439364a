/** The command line: parses it, runs a command, and turns every way to end into an exit code. */
import { Command, CommanderError } from 'commander';
import { printable } from '../../replay/formats/error.ts';
import { addConvertCommand } from './convert-command.ts';
import { EXIT, type ExitCode, UsageError } from './exit-codes.ts';
import { addHelpCommand } from './help-command.ts';
import { addReplayCommand } from './replay-command.ts';
import { addSimulateCommand } from './simulate-command.ts';
import type { Terminal } from './terminal.ts';

const EXAMPLES = `
Example:
  masterclock replay trace.dat`;

/** Runs the command line `args` (without node and script) and returns the exit code. */
export async function main(
  args: readonly string[],
  version: string,
  terminal: Terminal,
): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const program = new Command('masterclock')
    .description('The clock of KVM guests: finds when and why it jumped.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
      outputError: (text, write) => write(`masterclock: ${text.replace(/^error: /, '')}`),
    });
  const finished = (ended: ExitCode): void => {
    code = ended;
  };
  addReplayCommand(program, terminal, finished);
  addConvertCommand(program, terminal, finished);
  addSimulateCommand(program, terminal, finished);
  addHelpCommand(program, terminal, finished);
  try {
    if (args.length === 0) {
      program.outputHelp();
      return EXIT.usage;
    }
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof UsageError) {
      terminal.stderr.write(`masterclock: ${printable(error.message, 1000)}\n`);
      return EXIT.usage;
    }
    const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    terminal.stderr.write(
      `masterclock: a bug, please report it with the command line: ${printable(what, 1000)}\n`,
    );
    return EXIT.failed;
  }
}
