/**
 * Logs of older versions, read as if they had been written today.
 *
 * An upgrade takes what one version wrote to what the next one would have written: plain JSON in,
 * plain JSON out, for the header and for each entry. Binary logs carry the declaration of their
 * records, so their entries are told as JSON first; reading an old log is not the fast path.
 *
 * Whoever changes what a log means raises `LOG_VERSION`, adds the upgrade from the version before
 * to `UPGRADES`, and a sample to the tests. Structs have no upgrade: checkpoints are a shortcut, and
 * an upgrade may drop them.
 */
import { LOG_VERSION } from './entry.ts';
import { EntryError } from './error.ts';
import type { JsonObject } from './json-entry.ts';
import { versionOf } from './json-header.ts';

/** From one version to the next. */
export interface Upgrade {
  readonly header: (json: JsonObject) => JsonObject;
  /** `undefined` drops the entry. */
  readonly entry: (json: JsonObject) => JsonObject | undefined;
}

/** Upgrades by the version they start from. */
export type Upgrades = ReadonlyMap<number, Upgrade>;

/** Every version there ever was, but the current one. */
export const UPGRADES: Upgrades = new Map();

/** The way from a log's version to the current one. */
export interface UpgradePath {
  /** The log's. */
  readonly version: number;
  /** There is nothing to upgrade. */
  readonly isCurrent: boolean;
  readonly header: (json: JsonObject) => JsonObject;
  readonly entry: (json: JsonObject) => JsonObject | undefined;
}

/**
 * @param json - a header of any version.
 * @throws EntryError when it is no header, or of a version that is newer or unknown.
 */
export function upgradePath(json: unknown, upgrades: Upgrades): UpgradePath {
  const version = versionOf(json);
  if (version > LOG_VERSION) {
    const expected = `version ${LOG_VERSION} or older (a newer masterclock reads it)`;
    throw new EntryError('version', expected, `version ${version}`);
  }
  const steps: Upgrade[] = [];
  for (let from = version; from < LOG_VERSION; from += 1) {
    const step = upgrades.get(from);
    if (step === undefined) {
      const known = Math.min(...upgrades.keys(), LOG_VERSION);
      throw new EntryError('version', `version ${known} … ${LOG_VERSION}`, `version ${version}`);
    }
    steps.push(step);
  }
  return {
    version,
    isCurrent: steps.length === 0,
    header: (header) => ({
      ...steps.reduce((at, step) => step.header(at), header),
      version: LOG_VERSION,
    }),
    entry: (entry) =>
      steps.reduce<JsonObject | undefined>(
        (at, step) => (at === undefined ? undefined : step.entry(at)),
        entry,
      ),
  };
}
