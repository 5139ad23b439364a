/** The bundled recordings of real kernels, read once, and what may be taken from each. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import {
  type CheckedRecording,
  type Conformance,
  conformanceOf,
  readRecording,
} from '../../replay/conformance/index.ts';
import { fixture, unzipped } from '../replay/fixtures.ts';

/** Where they lie. */
export const FOLDER = fileURLToPath(new URL('../fixtures/recordings/', import.meta.url));

/** All of them, by name. */
export const BUNDLED = readdirSync(FOLDER).sort();

/** Those with `gtod` probes, which show the host's clocks at every update. */
export const DEEP = BUNDLED.filter((name) => name.includes('-deep-'));

const read = new Map<string, Promise<CheckedRecording>>();

/** A bundled recording. */
export function recordingOf(name: string): Promise<CheckedRecording> {
  const known = read.get(name) ?? readRecording(join(FOLDER, name));
  read.set(name, known);
  return known;
}

const predicted = new Map<string, Promise<Conformance>>();

/** How well it is predicted, with the profile that its release stands for. */
export function conformanceOfBundled(name: string): Promise<Conformance> {
  const known = predicted.get(name) ?? recordingOf(name).then((its) => conformanceOf(its));
  predicted.set(name, known);
  return known;
}

/** The three files of a recording. */
export interface Files {
  readonly 'meta.json': string;
  readonly 'actions.jsonl': string;
  readonly 'trace.txt': string;
}

/** The files of a bundled recording, to be changed. */
export const filesOf = (name: string): Files => ({
  'meta.json': readFileSync(fixture(name, 'meta.json'), 'utf8'),
  'actions.jsonl': unzipped(name, 'actions.jsonl'),
  'trace.txt': unzipped(name, 'trace.txt'),
});

/** An empty folder that is gone when the test is done. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'masterclock-conformance-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  return folder;
}

/** Writes files into a folder; those that are `undefined` are left out. */
export function writeFiles(folder: string, files: { readonly [name: string]: string | undefined }) {
  for (const [name, text] of Object.entries(files)) {
    if (text !== undefined) writeFileSync(join(folder, name), text);
  }
}
