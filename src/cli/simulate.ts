/** What `masterclock simulate` does: plays a scenario and reports what came of it. */
import { Command } from 'commander';
import { LogError } from '../../events/log/index.ts';
import { atLeast } from '../../replay/findings/severity.ts';
import { printable } from '../../replay/formats/error.ts';
import { PROFILE_IDS, ProfileError, parseSet, type Switches } from '../profiles/index.ts';
import { nearest } from '../profiles/nearest.ts';
import { SCENARIOS, scenarioOf } from '../scenarios/all.ts';
import { ScenarioError } from '../scenarios/error.ts';
import { optionOf, takes } from '../scenarios/params.ts';
import { type Played, play } from '../scenarios/play.ts';
import { playedLines, playedToJson } from '../scenarios/report.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import { EXIT, type ExitCode, UsageError } from './exit-codes.ts';
import { addFindingOptions, type FindingOptions } from './finding-options.ts';
import { type LogOptions, setOption } from './log-options.ts';
import { checkNew, exitOfError, type NewLog, writeNewLogs } from './new-log.ts';
import { LineWriter, styleFor, type Terminal } from './terminal.ts';

interface Options extends FindingOptions, Pick<LogOptions, 'profile' | 'set'> {
  readonly log?: string;
}

/** The options that every scenario has. */
const withOptions = (command: Command): Command =>
  addFindingOptions(command)
    .option('--profile <id>', `the kernel: ${PROFILE_IDS.join(', ')}`)
    .addOption(setOption('set a switch otherwise'))
    .option('--log <file>', 'write the events as a log (.mclog or .jsonl)');

/** A scenario's own command, with its parameters as options. */
function commandOf(scenario: Scenario, done: (options: Options & Given) => Promise<void>): Command {
  const command = new Command(scenario.name)
    .description(`${scenario.title} (${scenario.source})`)
    .allowUnknownOption()
    .action(async (options: Options & Given, its: Command) => {
      if (its.parent?.getOptionValue('list') === true) {
        throw new UsageError(`simulate: expected a scenario or --list, found ${its.name()} too`);
      }
      refuseUnknown(its.args, its);
      await done(options);
    });
  for (const [name, param] of Object.entries(scenario.params)) {
    const told = `${param.doc}: ${takes(param)} (default: ${param.default})`;
    command.option(`--${optionOf(name)} <value>`, told);
  }
  return withOptions(command);
}

/** Parameters as they were given. */
type Given = Readonly<Record<string, unknown>>;

/** What is left of the command line is no option of this scenario. */
function refuseUnknown(args: readonly string[], command: Command): void {
  const [found] = args;
  if (found === undefined) return;
  const known = command.options.map(({ long }) => long ?? '');
  throw new UsageError(
    `simulate ${command.name()}: expected ${nearest(found, known).join(' or ')}, found ${found}`,
  );
}

const givenParams = (scenario: Scenario, options: Given): Record<string, string> =>
  Object.fromEntries(
    Object.keys(scenario.params).flatMap((name) =>
      typeof options[name] === 'string' ? [[name, options[name]]] : [],
    ),
  );

/** A host's name as it may stand in a file's. */
const fileNameOf = (name: string): string => name.replace(/[^\w.-]+/g, '-').replace(/^-+|-+$/g, '');

/** The events of a played scenario as logs, one for each host. */
const logsOf = ({ hosts }: Played, to: string): NewLog[] =>
  hosts.map(({ simulation: { name, header, entries } }, i) => ({
    path: i === 0 ? to : to.replace(/(\.\w+)$/, `-${fileNameOf(name)}$1`),
    header,
    entries: [entries],
  }));

async function report(
  scenario: Scenario,
  options: Options & Given,
  terminal: Terminal,
): Promise<ExitCode> {
  const { json, log, minNs, failOn, profile } = options;
  const set: Partial<Switches> = Object.assign({}, ...options.set.map(parseSet));
  const params = givenParams(scenario, options);
  const asked = profile === undefined ? {} : { profile };
  if (log !== undefined) checkNew(log);
  const played = await play(scenario, { ...asked, set, minNs, params });
  if (log !== undefined) await writeNewLogs(logsOf(played, log));
  const out = new LineWriter(terminal.stdout);
  for (const line of json ? playedToJson(played) : playedLines(played, styleFor(terminal))) {
    out.line(line);
  }
  await out.flush();
  const found = played.hosts.flatMap(({ findings }) => findings);
  const fails = failOn !== 'never' && found.some(({ severity }) => atLeast(severity, failOn));
  return fails ? EXIT.findings : EXIT.ok;
}

async function list(json: boolean, terminal: Terminal): Promise<void> {
  const out = new LineWriter(terminal.stdout);
  const width = Math.max(...SCENARIOS.map(({ name }) => name.length));
  for (const { name, title, source } of SCENARIOS) {
    out.line(json ? JSON.stringify({ name, title, source }) : `${name.padEnd(width)}  ${title}`);
  }
  await out.flush();
}

/**
 * Runs `simulate` with the arguments that follow it.
 *
 * @throws CommanderError as the command line does, UsageError for what is none.
 */
export async function simulate(
  args: readonly string[],
  { parent }: Command,
  terminal: Terminal,
): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const command = new Command('simulate')
    .usage('[options] <scenario> [scenario options]')
    .description('Plays a scenario: prints what happens, what a guest’s clock did, and a table.')
    .option('--list', 'list the scenarios', false)
    .option('--json', 'list them as JSON', false)
    .argument('[scenario]', 'its name; its own options are in `simulate <scenario> --help`')
    .action(async (name: string | undefined, options: { list: boolean; json: boolean }) => {
      if (name !== undefined) scenarioOf(name);
      if (!options.list) throw new UsageError('simulate: expected a scenario, or --list');
      await list(options.json, terminal);
    });
  for (const scenario of SCENARIOS) {
    command.addCommand(
      commandOf(scenario, async (options) => {
        code = await report(scenario, options, terminal);
      }),
    );
  }
  if (parent !== null) inherit(command, parent);
  try {
    await command.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof ScenarioError || error instanceof ProfileError) {
      throw new UsageError(error.message);
    }
    if (!(error instanceof LogError)) throw error;
    terminal.stderr.write(`masterclock: ${printable(error.message, 1000)}\n`);
    return exitOfError(error);
  }
  return code;
}

/** Prints the help of `simulate`, or of a scenario. @throws as `simulate`. */
export async function helpOnSimulate(
  names: readonly string[],
  command: Command,
  terminal: Terminal,
): Promise<ExitCode> {
  // With --help, commander would not look at a name that is none.
  const [name] = names;
  const isKnown = name === undefined || SCENARIOS.some((scenario) => scenario.name === name);
  return simulate(isKnown ? [...names, '--help'] : names, command, terminal);
}

/** Output and exits as the program has them, also where help names the program. */
function inherit(command: Command, program: Command): void {
  for (const its of [command, ...command.commands]) {
    // `refuseUnknown` says more of what is left over than commander would.
    its.copyInheritedSettings(program).allowExcessArguments();
  }
  // --json after a scenario's name is the scenario's.
  command.name(`${program.name()} simulate`).enablePositionalOptions();
}
