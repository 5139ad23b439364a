/**
 * A scenario: a short history of a simulated host and its guests that shows one behaviour.
 *
 * It says what happens and when; what comes of it is found by replaying the events that it made, so
 * that nothing in a report can differ from what its log holds.
 */
import type { Finding } from '../../replay/index.ts';
import type { HostOptions } from '../engine/index.ts';
import type { Profile, ProfileId, Switches, SwitchName } from '../profiles/index.ts';
import { ScenarioError } from './error.ts';
import { optionOf, type Params, type ParamValues } from './params.ts';
import { Simulation } from './simulation.ts';

/** A cell: a number of ns or cycles is exact. */
export type Cell = bigint | number | string | boolean;

/** What a scenario comes to, in rows. */
export interface Table {
  /** With units: `jump (ns)`. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** In a line, where what it comes to is in no single host's log. */
  readonly verdict?: string;
}

/** One thing that happens. */
export interface StoryLine {
  /** The host's name, where there are several. */
  readonly host: string;
  /** Since the simulated host's TSC began, ns. */
  readonly timeNs: bigint;
  readonly text: string;
}

/** What was found in a host's log when it was replayed. */
interface Replayed {
  readonly simulation: Simulation;
  readonly findings: readonly Finding[];
}

/** Makes the table when the logs have been replayed; in the order in which hosts were made. */
type MakeTable = (replayed: readonly Replayed[]) => Table;

/** A parameter's value as it was written, and whether somebody did. */
export interface Written {
  readonly text: string;
  readonly isDefault: boolean;
}

/** Where a scenario plays. */
export class Stage {
  readonly profile: Profile;
  /** Switches that were asked for, also where the kernel has them so anyway. */
  readonly set: Partial<Switches>;
  readonly story: StoryLine[] = [];
  readonly simulations: Simulation[] = [];

  readonly #written: Readonly<Record<string, Written>>;

  constructor(
    profile: Profile,
    set: Partial<Switches> = {},
    written: Readonly<Record<string, Written>> = {},
  ) {
    this.profile = profile;
    this.set = set;
    this.#written = written;
  }

  /** What to throw for a parameter whose value only what happens shows to be none. */
  refusal(param: string, expected: string): ScenarioError {
    const { text, isDefault } = this.#written[param]!;
    const found = isDefault ? `${text}, the default` : text;
    return new ScenarioError(`--${optionOf(param)}: expected ${expected}, found ${found}`);
  }

  /** A host; several have names, and may have other kernels. */
  host(options: HostOptions, name = 'host', profile = this.profile): Simulation {
    const simulation = new Simulation(name, profile, options);
    this.simulations.push(simulation);
    return simulation;
  }

  /** Says what happens now on a host. */
  tell({ name, host }: Simulation, text: string): void {
    this.story.push({ host: name, timeNs: host.timeNs, text });
  }
}

/** What is written down of a scenario. */
export interface Scenario<P extends Params = Params> {
  /** As on the command line: `ntp-hotplug`. */
  readonly name: string;
  /** What it shows, in one line. */
  readonly title: string;
  /** The mail it comes from: its subject, author and year. */
  readonly source: string;
  /** The kernel it runs under if none is asked for. */
  readonly profile: ProfileId;
  /** Kernels worth comparing with, and switches that decide. */
  readonly compare: readonly ProfileId[];
  readonly switches: readonly SwitchName[];
  /** Paragraphs of its page, Markdown. */
  readonly about: readonly string[];
  readonly params: P;
  readonly run: (stage: Stage, params: ParamValues<P>) => MakeTable;
}

/** A scenario whose parameters keep their types where it runs. */
export const scenario = <const P extends Params>(its: Scenario<P>): Scenario =>
  its as unknown as Scenario;
