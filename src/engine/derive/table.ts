/**
 * The form of decision tables: what a machine does in each state at each signal, as plain data.
 *
 * A machine's regions are independent, so each has a table of its own. What a state does not react
 * to has no entry.
 */

/** What is done: the recipes to run, in order, and the leaf state to be in afterwards. */
export interface Outcome {
  readonly run: readonly string[];
  /** Absent where the state stays as it is. */
  readonly to?: string;
}

/** A guard to ask, and what follows from its answer. */
export interface Question {
  readonly ask: string;
  readonly yes: Decision;
  readonly no: Decision;
}

/** What a state does at a signal: guards are asked in order until it is decided. */
export type Decision = Outcome | Question;

/** What a state does: signal → decision. */
type Row = Readonly<Record<string, Decision>>;

/** A region: leaf state → what it does. */
export type RegionTable = Readonly<Record<string, Row>>;

/** A machine: its regions in the order in which they act. */
export interface MachineTable {
  readonly machine: string;
  readonly regions: Readonly<Record<string, RegionTable>>;
}
