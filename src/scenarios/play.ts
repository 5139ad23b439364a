/** Plays a scenario: its events happen, then their log is replayed, and only that is reported. */
import { MclogEncoder, type OpenedLog, openLog } from '../../events/log/index.ts';
import type { Finding } from '../../replay/index.ts';
import { type LogSummary, type ReplayLogOptions, replayLogAll } from '../../replay/log/index.ts';
import { CHECKPOINT_STRUCTS } from '../engine/index.ts';
import { type Profile, profile, type Switches, withSwitches } from '../profiles/index.ts';
import { nearest } from '../profiles/nearest.ts';
import { ScenarioError } from './error.ts';
import { expectedOf, optionOf, type Params } from './params.ts';
import { type Scenario, Stage, type StoryLine, type Table } from './scenario.ts';
import type { Simulation } from './simulation.ts';

/** How a scenario is played. */
export interface PlayOptions extends Pick<ReplayLogOptions, 'minNs' | 'vm'> {
  /** Id of another profile than the scenario's own. */
  readonly profile?: string;
  readonly set?: Partial<Switches>;
  /** Parameters by name, as written; those left out have their default. */
  readonly params?: Readonly<Record<string, string>>;
}

/** What came of one host's log. */
export interface PlayedHost {
  readonly simulation: Simulation;
  readonly findings: readonly Finding[];
  readonly summary: LogSummary;
}

/** What a scenario came to. */
export interface Played {
  readonly scenario: Scenario;
  readonly profile: Profile;
  /** Every parameter, as written. */
  readonly params: Readonly<Record<string, string>>;
  readonly story: readonly StoryLine[];
  readonly hosts: readonly PlayedHost[];
  readonly table: Table;
}

/**
 * The values of a scenario's parameters.
 *
 * @throws ScenarioError for one that it does not have, or that is out of range.
 */
function readParams(
  { name, params }: Scenario,
  given: Readonly<Record<string, string>>,
): { readonly values: Record<string, unknown>; readonly texts: Record<string, string> } {
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(params, key)) continue;
    const names = nearest(key, Object.keys(params)).map((it) => `--${optionOf(it)}`);
    const expected = names.length === 0 ? 'no parameter' : names.join(' or ');
    throw new ScenarioError(`${name}: expected ${expected}, found --${optionOf(key)}`);
  }
  const values: Record<string, unknown> = {};
  const texts: Record<string, string> = {};
  for (const [key, param] of Object.entries(params as Params)) {
    const text = given[key] ?? param.default;
    const value = param.parse(text);
    if (value === undefined) {
      const found = JSON.stringify(text.slice(0, 40));
      throw new ScenarioError(
        `--${optionOf(key)}: expected ${expectedOf(param, text)}, found ${found}`,
      );
    }
    values[key] = value;
    texts[key] = text;
  }
  return { values, texts };
}

/** A simulation's log, opened. */
async function logOf({ name, header, entries }: Simulation): Promise<OpenedLog> {
  const encoder = new MclogEncoder(header, CHECKPOINT_STRUCTS);
  const parts = [encoder.begin(), encoder.encode(entries), encoder.end()];
  const bytes = new Uint8Array(Buffer.concat(parts));
  const source = {
    name,
    size: bytes.length,
    readInto: async (target: Uint8Array, offset: number, length: number, position: number) => {
      const part = bytes.subarray(position, position + length);
      target.set(part, offset);
      return part.length;
    },
  };
  return openLog(source, { structs: CHECKPOINT_STRUCTS });
}

/**
 * Plays a scenario.
 *
 * @throws ScenarioError for parameters, ProfileError for a profile or switches that are none.
 */
export async function play(scenario: Scenario, options: PlayOptions = {}): Promise<Played> {
  const kernel = withSwitches(profile(options.profile ?? scenario.profile), options.set ?? {});
  const { values, texts } = readParams(scenario, options.params ?? {});
  const given = options.params ?? {};
  const written = Object.entries(texts).map(([key, text]) => {
    return [key, { text, isDefault: given[key] === undefined }] as const;
  });
  const stage = new Stage(kernel, options.set, Object.fromEntries(written));
  const makeTable = scenario.run(stage, values);
  const { minNs = 1n, vm } = options;
  const hosts: PlayedHost[] = [];
  for (const simulation of stage.simulations) {
    const log = await logOf(simulation);
    const replayed = await replayLogAll(log, { minNs, ...(vm === undefined ? {} : { vm }) });
    hosts.push({ simulation, ...replayed });
  }
  const { story } = stage;
  return { scenario, profile: kernel, params: texts, story, hosts, table: makeTable(hosts) };
}
