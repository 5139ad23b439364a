/** One thing that a mail asks for. */
export interface SeedRow {
  readonly what: string;
  readonly scenario: string;
  /** How it is played for the row to show. */
  readonly play?: {
    readonly profile?: string;
    /** By name, as written. */
    readonly params?: Readonly<Record<string, string>>;
  };
  /** `name=value`. */
  readonly switches?: readonly string[];
  /** `path#name`, of something declared there. */
  readonly code: readonly string[];
  /** `path#title`. */
  readonly test: string;
}

/** A source mail. */
export interface Seed {
  readonly file: string;
  readonly mail: string;
  readonly author: string;
  readonly date: string;
  readonly rows: readonly SeedRow[];
}

export function readSeeds(): readonly Seed[];
export function seedsPage(seeds: readonly Seed[]): string;
