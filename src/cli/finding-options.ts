/** The options of findings: which are reported, how, and which are a failure. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { SEVERITIES, type Severity } from '../../replay/findings/severity.ts';

/** What decides how findings are reported. */
export interface FindingOptions {
  readonly json: boolean;
  readonly minNs: bigint;
  readonly failOn: Severity | 'never';
  readonly vm?: string;
}

/** The options that decide how findings are reported, for every command that reports some. */
export const addFindingOptions = (command: Command): Command =>
  command
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
    );

/** How those were written that were given. */
export const givenFindingOptions = (command: Command): readonly string[] =>
  command.options
    .filter((option) => ['vm', 'minNs', 'failOn'].includes(option.attributeName()))
    .filter((option) => command.getOptionValueSource(option.attributeName()) === 'cli')
    .map(({ long }) => long ?? '');

function parseNs(text: string): bigint {
  if (!/^\d{1,19}$/.test(text)) {
    throw new InvalidArgumentError('A whole number of nanoseconds is expected.');
  }
  return BigInt(text);
}
