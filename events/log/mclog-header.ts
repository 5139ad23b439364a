/** The header frame of a binary log, writer beside reader: JSON, with the layout of what follows. */
import { describeValue } from '../../src/num/index.ts';
import {
  decodeStructEntries,
  encodeStructEntries,
  type StructEntry,
  structEntry,
} from './checkpoint-bytes.ts';
import type { LogHeader } from './entry.ts';
import { EntryError } from './error.ts';
import type { JsonObject, StructTypes } from './json-entry.ts';
import { decodeHeader, encodeHeader } from './json-header.ts';
import { decodeSchema, encodeSchema, SCHEMA, type Schema, schemaOfToday } from './schema.ts';
import { type UpgradePath, type Upgrades, upgradePath } from './upgrade.ts';

/** All that a header frame says. */
export interface MclogHeader {
  readonly header: LogHeader;
  readonly schema: Schema;
  readonly structs: readonly StructEntry[];
  /** How its entries come to be today's; undefined when they are. */
  readonly upgrade: UpgradePath | undefined;
}

/** The payload of a header frame of today. */
export const encodeMclogHeader = (header: LogHeader, structs: StructTypes): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      ...encodeHeader(header),
      schema: encodeSchema(SCHEMA),
      structs: encodeStructEntries(structs.map(structEntry)),
    }),
  );

function parse(payload: Uint8Array): JsonObject {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    throw new EntryError('header', 'JSON', 'other text');
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as JsonObject;
  throw new EntryError('header', 'an object', describeValue(json));
}

/**
 * What a header frame says.
 *
 * @param version - what stands before the first frame.
 * @throws EntryError when it is none, or of a version that is newer or unknown.
 */
export function decodeMclogHeader(
  payload: Uint8Array,
  version: number,
  upgrades: Upgrades,
): MclogHeader {
  const json = parse(payload);
  const path = upgradePath(json, upgrades);
  if (path.version !== version) {
    throw new EntryError('version', `version ${version}`, `version ${path.version}`);
  }
  const { schema, structs, ...old } = json;
  const declared = decodeSchema(schema);
  return {
    header: decodeHeader(path.header(old)),
    schema: path.isCurrent ? schemaOfToday(declared) : declared,
    structs: decodeStructEntries(structs),
    upgrade: path.isCurrent ? undefined : path,
  };
}
