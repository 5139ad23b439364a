/** What a run of the torture test came to. */
export interface Tortured {
  readonly kills: number;
  /** Kills after which the log's tail was torn. */
  readonly torn: number;
  /** Entries that were acknowledged and found again. */
  readonly acknowledged: number;
  /** Entries lost, or other than they were: what the project promises never to happen. */
  readonly failures: readonly string[];
}

/** Kills writers of logs with SIGKILL and reads what they leave. */
export function torture(options: {
  readonly kills: number;
  readonly seed: number;
  readonly folder: string;
  readonly lanes?: number;
}): Promise<Tortured>;
