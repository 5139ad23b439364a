import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

const DIRECTORY = new URL('../fixtures/vectors/', import.meta.url);

/** The rows of one file of golden vectors, 64-bit values as decimal strings. */
export function readVectors<Row>(name: string): readonly Row[] {
  const text = gunzipSync(readFileSync(new URL(`${name}.jsonl.gz`, DIRECTORY))).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
}
