/** One thing that a mail asks for. */
export interface SeedRow {
  readonly what: string;
  readonly scenario?: string;
  /** `name=value`. */
  readonly switches?: readonly string[];
  /** `path#name`. */
  readonly code?: readonly string[];
  /** `path#part of its name`. */
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
