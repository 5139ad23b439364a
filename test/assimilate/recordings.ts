/** Bundled recordings as text, replayed beside the model of their kernel. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { profileOfRelease } from '../../replay/assimilate/profile.ts';
import type { Finding } from '../../replay/index.ts';
import type { profile } from '../../src/profiles/index.ts';
import { fixture, replayText, unzipped } from '../replay/fixtures.ts';

const FOLDER = fileURLToPath(new URL('../fixtures/recordings/', import.meta.url));

const filesOf = (name: string): readonly string[] => readdirSync(`${FOLDER}/${name}`);

/** Every bundled recording that has text and says which kernel it is of. */
export const RECORDINGS: readonly string[] = readdirSync(FOLDER)
  .filter((name) => filesOf(name).includes('meta.json') && filesOf(name).includes('trace.txt.gz'))
  .sort();

export const textOf = (name: string): string => unzipped(name, 'trace.txt');

/** The kernel that a recording is of. */
export function kernelOf(name: string) {
  const meta: unknown = JSON.parse(readFileSync(fixture(name, 'meta.json'), 'utf8'));
  const { kernel } = meta as { readonly kernel: string };
  return profileOfRelease(kernel);
}

/** Divergences, and the summary of the model. */
export async function compare(text: string, kernel: ReturnType<typeof profile> | undefined) {
  const { findings, summary } = await replayText(text, { model: { profile: kernel } });
  const isDivergence = ({ rule }: Finding): boolean => rule === 'divergence';
  return { divergences: findings.filter(isDivergence), model: summary.model! };
}

/** Events of system calls. */
export const CALLS = /sys_ioctl|sys_enter|sys_exit/;

/** A recording without the lines that match. */
export const without = (text: string, lines: RegExp): string =>
  text
    .split('\n')
    .filter((line) => !lines.test(line))
    .join('\n');

/** A recording that begins later. */
export function from(text: string, part: number): string {
  const lines = text.split('\n');
  return lines.slice(Math.floor(lines.length * part)).join('\n');
}

/** A recording that lost a tenth of its events. */
export function losing(text: string, part: number): string {
  const lines = text.split('\n');
  const at = Math.floor(lines.length * part);
  const tenth = Math.floor(lines.length / 10);
  return [...lines.slice(0, at), 'CPU:0 [LOST EVENTS]', ...lines.slice(at + tenth)].join('\n');
}
