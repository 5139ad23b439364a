/** Finds recordings below a folder. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { RecordingError } from './recording.ts';

/** How deep below a folder recordings may lie. */
const MAX_DEPTH = 6;

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch {
    throw new RecordingError(folder, 'a readable folder');
  }
}

/** The files that make a folder a recording; either may be gzipped. */
const NEEDED = ['meta.json', 'actions.jsonl'];

/**
 * The folders with a recording: those that hold `meta.json` and `actions.jsonl`, in order of name.
 *
 * @throws RecordingError when the folder can't be read.
 */
export async function findRecordings(folder: string, depth = MAX_DEPTH): Promise<string[]> {
  const entries = await entriesOf(folder);
  const files = new Set(entries.filter((e) => !e.isDirectory()).map(({ name }) => name));
  if (NEEDED.every((name) => files.has(name) || files.has(`${name}.gz`))) return [folder];
  if (depth === 0) return [];
  const folders = entries.filter((e) => e.isDirectory()).map(({ name }) => name);
  const found: string[] = [];
  for (const name of folders.sort())
    found.push(...(await findRecordings(join(folder, name), depth - 1)));
  return found;
}
