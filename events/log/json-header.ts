/** A log's header as a JSON object, writer beside reader. */
import { describeValue } from '../../src/num/index.ts';
import { LOG_FORM, LOG_VERSION, type LogHeader, type LogSwitch } from './entry.ts';
import { EntryError } from './error.ts';
import { type JsonObject, membersOf } from './json-entry.ts';

/** A header as JSON. */
export const encodeHeader = ({ profile, switches, host, options }: LogHeader): JsonObject => ({
  form: LOG_FORM,
  version: LOG_VERSION,
  profile,
  switches: { ...switches },
  host: { ...host },
  options: { ...options },
});

/** What a JSON object is, as far as any version of the form has it. */
export function versionOf(json: unknown): number {
  const members = typeof json === 'object' && json !== null ? (json as JsonObject) : {};
  if (members['form'] !== LOG_FORM) {
    const found = describeValue(members['form']);
    throw new EntryError('form', `"${LOG_FORM}"`, found);
  }
  const version = members['version'];
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 0) {
    throw new EntryError('version', 'the number of a version', describeValue(version));
  }
  return version;
}

function objectOf(json: unknown, field: string): JsonObject {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new EntryError(field, 'an object', describeValue(json));
  }
  return json as JsonObject;
}

const isSwitch = (value: unknown): value is LogSwitch =>
  typeof value === 'string' || typeof value === 'boolean' || Number.isInteger(value);

/**
 * The header that a JSON object of this version is.
 *
 * @throws EntryError when it is none.
 */
export function decodeHeader(json: unknown): LogHeader {
  const names = ['form', 'version', 'profile', 'switches', 'host', 'options'];
  const { profile, switches, host, options } = membersOf(json, undefined, names);
  if (typeof profile !== 'string') {
    throw new EntryError('profile', 'the id of a profile', describeValue(profile));
  }
  for (const [name, value] of Object.entries(objectOf(switches, 'switches'))) {
    if (!isSwitch(value)) {
      throw new EntryError(`switches.${name}`, 'a switch’s value', describeValue(value));
    }
  }
  for (const [name, value] of Object.entries(objectOf(options, 'options'))) {
    if (typeof value !== 'string') {
      throw new EntryError(`options.${name}`, 'text', describeValue(value));
    }
  }
  return {
    profile,
    switches: switches as LogHeader['switches'],
    host: objectOf(host, 'host'),
    options: options as LogHeader['options'],
  };
}
