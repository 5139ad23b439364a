// Kills processes that append to logs, with SIGKILL at random moments, and reads what they leave: every
// acknowledged entry has to be there, nothing else than what was written may be, and the next writer has
// to go on where the log ends.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync, truncateSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { entriesOf, JsonlDecoder, MclogDecoder } from '../dist/events/log/index.js';
import { entryAt, scramble } from './torture-entries.mjs';

const CHILD = fileURLToPath(new URL('torture-child.mjs', import.meta.url));

/** A log is written by so many processes, one after another. */
const KILLS_PER_LOG = 6;
/** Longest life after its first word, µs; and after its start, for those killed before they speak. */
const LIFE_US = 30_000;
const EARLY_US = 60_000;

const sleep = (us) => new Promise((done) => setTimeout(done, us / 1000));

/** Lets a process append and kills it; what it had said by then. */
async function killOne(path, form, seed, dice) {
  const child = spawn(process.execPath, [CHILD, path, form, String(seed)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  let complaint = '';
  child.stderr.on('data', (text) => {
    complaint += text;
  });
  const ended = new Promise((done) => child.on('close', (_code, signal) => done(signal)));
  const spoke = new Promise((done) => {
    child.stdout.on('data', (text) => {
      said += text;
      done();
    });
  });
  const isEarly = dice % 8 === 0;
  await Promise.race([isEarly ? sleep((dice >>> 4) % EARLY_US) : spoke, ended]);
  if (!isEarly) await sleep((dice >>> 4) % LIFE_US);
  child.kill('SIGKILL');
  const signal = await ended;
  const lines = said
    .slice(0, said.lastIndexOf('\n') + 1)
    .trimEnd()
    .split('\n');
  const opened = /^opened (\d+)$/.exec(lines[0]);
  return {
    failure: signal === 'SIGKILL' ? undefined : `ended by itself: ${complaint.slice(0, 500)}`,
    opened: opened === null ? undefined : Number(opened[1]),
    ...(lines.length > 1 ? acknowledgedBy(lines.at(-1)) : { acknowledged: 0, size: undefined }),
  };
}

function acknowledgedBy(line) {
  const [acknowledged, size] = line.split(' ').map(Number);
  return { acknowledged, size };
}

/**
 * Cuts what was written after the last acknowledgement: what a write leaves that was killed in its
 * midst. Kernels seldom let a write to a file be killed, so this is done by hand.
 */
function tear(path, size, dice) {
  const beyond = statSync(path).size - size;
  if (beyond > 0) truncateSync(path, size + (dice % beyond));
}

/** Reads a log: how many entries it has, and whether they are what they have to be. */
function readBack(path, form, seed) {
  if (!existsSync(path)) return { entries: 0 };
  const bytes = readFileSync(path);
  const decoder = form === 'mclog' ? new MclogDecoder(path) : new JsonlDecoder(path);
  try {
    const entries = [...decoder.push(bytes), ...decoder.finish()].flatMap(entriesOf);
    const wrong = entries.findIndex((e, n) => !isDeepStrictEqual(e, entryAt(seed, n)));
    if (wrong >= 0) return { entries: wrong, failure: `entry ${wrong} is another one` };
    return { entries: entries.length, torn: decoder.torn };
  } catch (error) {
    // Killed before the header was written whole; then nothing was acknowledged.
    if (decoder.header === undefined)
      return { entries: 0, torn: { offset: 0, bytes: bytes.length } };
    return { entries: 0, failure: String(error.message) };
  }
}

async function oneLog(path, form, seed, kills, figures) {
  let before = 0;
  for (let kill = 0; kill < kills; kill++) {
    const killed = await killOne(path, form, seed, scramble(seed, 1_000_000 + kill));
    const dice = scramble(seed, 2_000_000 + kill);
    if (killed.size !== undefined && dice % 4 !== 0) tear(path, killed.size, dice >>> 2);
    const read = readBack(path, form, seed);
    const fail = (what) => figures.failures.push(`seed ${seed}, kill ${kill} (${form}): ${what}`);
    if (killed.failure !== undefined) fail(killed.failure);
    if (read.failure !== undefined) fail(read.failure);
    const least = Math.max(before, killed.acknowledged);
    if (read.entries < least) fail(`${least} entries were acknowledged, ${read.entries} are there`);
    if (killed.opened !== undefined && killed.opened !== before) {
      fail(`the writer found ${killed.opened} entries, the reader before it ${before}`);
    }
    figures.kills += 1;
    if (read.torn !== undefined) figures.torn += 1;
    figures.acknowledged += Math.max(0, killed.acknowledged - before);
    before = read.entries;
  }
  if (existsSync(path)) unlinkSync(path);
}

export async function torture({ kills, seed, folder, lanes = 4 }) {
  const figures = { kills: 0, torn: 0, acknowledged: 0, failures: [] };
  let next = 0;
  const lane = async () => {
    while (next * KILLS_PER_LOG < kills) {
      const log = next++;
      const form = log % 3 === 0 ? 'jsonl' : 'mclog';
      const left = Math.min(KILLS_PER_LOG, kills - log * KILLS_PER_LOG);
      await oneLog(join(folder, `${log}.${form}`), form, scramble(seed, log), left, figures);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return figures;
}
