/**
 * How fast recordings are replayed, from bundled recordings made long by repetition. Whole
 * processes are timed, the command line as users run it, each figure beside a named peer's in the
 * same run. The slow ones, which are the peers and our own reading of JSON, get a sixteenth of the
 * length: their rates are what counts.
 *
 *     npm run bench [-- [--only text|trace.dat|log|num|stepper|flat|memory]… [--lines N] [--keep] [--quick]]
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { writeLongLog } from './lib/long-log.mjs';
import { writeLongText } from './lib/long-text.mjs';
import { writeLongTraceDat } from './lib/long-tracedat.mjs';
import { isQuick } from './lib/quick.mjs';

/** Ends for what was asked in a way that nobody understands. */
function refuse(why) {
  console.error(why);
  process.exit(2);
}

function asked() {
  try {
    const { values } = parseArgs({
      options: {
        lines: { type: 'string', default: isQuick ? '50000' : '16000000' },
        only: { type: 'string', multiple: true, default: [] },
        keep: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
      },
    });
    if (/^[1-9]\d*$/.test(values.lines)) return values;
    return refuse(`--lines ${values.lines}: expected a number above 0`);
  } catch (error) {
    return refuse(error.message);
  }
}

const values = asked();
const LINES = Number(values.lines);
const ROUNDS = isQuick ? 1 : 3;
/** Whoever is slow reads this part. */
const PEER_PART = 16;
/** Binary logs are read at this many times the length too. */
const LONG_LOG = 4;
/** Events in the bundled recording that the long trace.dat files are made of. */
const EVENTS_OF_THREADS = 6200;

const root = fileURLToPath(new URL('..', import.meta.url));
mkdirSync(`${root}bench/out`, { recursive: true });
/** A folder of this run's own, as another may be under way. */
const out = mkdtempSync(`${root}bench/out/`);
process.on('exit', () => {
  if (!values.keep) rmSync(out, { recursive: true });
});
const recording = (name, file) => `${root}test/fixtures/recordings/${name}/${file}`;

/** Seconds that one run of a command takes. */
function run(command, args) {
  const from = process.hrtime.bigint();
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  // 1 says that there are findings.
  if (error !== undefined || status === null || status > 1) {
    throw error ?? new Error(`${command} ended with ${status}`);
  }
  return Number(process.hrtime.bigint() - from) / 1e9;
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

/** Medians of commands run in turn, so that a change of the machine's speed meets all of them. */
function inTurn(commands) {
  const times = commands.map(() => []);
  for (let round = 0; round <= ROUNDS; round++) {
    commands.forEach(([command, ...args], i) => {
      const seconds = run(command, args);
      if (round > 0) times[i].push(seconds);
    });
  }
  return times.map(median);
}

const replay = (file) => [process.execPath, `${root}bin/masterclock.js`, 'replay', '--json', file];

/** Runs one of the other benches, which prints its own figures. */
function bench(name) {
  const args = [`${root}bench/${name}.bench.mjs`, ...(isQuick ? ['--quick'] : [])];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status !== 0) throw new Error(`the bench ${name} ended with ${status}`);
}

const has = (command) => spawnSync(command, ['--version']).error === undefined;
const row = (...cells) =>
  console.log(
    cells.map((c, i) => String(c)[i === 0 ? 'padEnd' : 'padStart'](i === 0 ? 34 : 14)).join(' '),
  );
const millions = (n) => `${(n / 1e6).toFixed(2)} M/s`;

/** The usual way to read such text in JavaScript, as the peer of the text reader. */
const PEER = `
import { createInterface } from 'node:readline';
import { createReadStream } from 'node:fs';
const LINE = /^ *(.+)-(\\d+) +\\[(\\d+)\\] +\\S+ +(\\d+): (\\w+): (.*)$/;
const PAGE = /vcpu_id (\\d+), pvclock { version (\\d+), tsc_timestamp 0x([0-9a-f]+), system_time 0x([0-9a-f]+)/;
let pages = 0, last = 0n;
for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) {
  const m = LINE.exec(line);
  if (m === null) continue;
  last = BigInt(m[4]);
  if (m[5] === 'kvm_pvclock_update' && PAGE.test(m[6])) pages++;
}
`;
const peer = `${out}/readline-regexp.mjs`;
writeFileSync(peer, PEER);

/** A bundled recording's text, unpacked. */
function unpacked(name) {
  const source = `${out}/${name}.txt`;
  writeFileSync(source, gunzipSync(readFileSync(recording(name, 'trace.txt.gz'))));
  return source;
}

async function text(name) {
  const source = unpacked(name);
  const long = `${out}/${name}.long.txt`;
  const short = `${out}/${name}.short.txt`;
  await writeLongText(source, long, LINES);
  await writeLongText(source, short, LINES / PEER_PART);
  const [ours, theirs] = inTurn([replay(long), [process.execPath, peer, short]]);
  const rate = LINES / ours;
  const peerRate = LINES / PEER_PART / theirs;
  row(`text: ${name}`, millions(rate), millions(peerRate), `${(rate / peerRate).toFixed(1)}×`);
  rmSync(long);
}

async function traceDat(name, compression) {
  const write = async (length, count) => {
    const path = `${out}/${name}.${compression}.${length}.dat`;
    const repeat = Math.ceil(count / EVENTS_OF_THREADS);
    await writeLongTraceDat(recording(name, 'trace.dat'), path, { repeat, compression });
    return { path, events: repeat * EVENTS_OF_THREADS };
  };
  const long = await write('long', LINES);
  const short = await write('short', LINES / PEER_PART);
  const [ours, theirs] = inTurn([replay(long.path), ['trace-cmd', 'report', '-i', short.path]]);
  const rate = long.events / ours;
  const peerRate = short.events / theirs;
  const ratio = `${(rate / peerRate).toFixed(1)}×`;
  row(`trace.dat ${compression}: ${name}`, millions(rate), millions(peerRate), ratio);
  rmSync(long.path);
}

/** The usual way to read a log of JSON lines in JavaScript: what only reading it takes. */
const JSON_PEER = `
import { createInterface } from 'node:readline';
import { createReadStream } from 'node:fs';
let entries = 0, last = 0n;
for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) {
  const entry = JSON.parse(line);
  if (entry.tsc !== undefined) last = BigInt(entry.tsc);
  entries++;
}
`;

/**
 * Logs: dispatched, digested and judged by us, only read by the peer, which reads JSON alone. Binary
 * ones of two lengths: starting up and being compiled takes some part of the shorter one's time.
 */
async function logs(name) {
  const peerScript = `${out}/readline-json.mjs`;
  writeFileSync(peerScript, JSON_PEER);
  const write = async (form, count) => {
    const path = `${out}/${name}.${count}.${form}`;
    const recorded = `${root}test/fixtures/recordings/${name}`;
    return { form, path, inputs: await writeLongLog(recorded, form, path, count) };
  };
  const readable = await write('jsonl', LINES / PEER_PART);
  const ours = [await write('mclog', LINES), await write('mclog', LINES * LONG_LOG), readable];
  const seconds = inTurn([
    ...ours.map(({ path }) => replay(path)),
    [process.execPath, peerScript, readable.path],
  ]);
  const peerRate = readable.inputs / seconds.at(-1);
  for (const [i, { form, path, inputs }] of ours.entries()) {
    const rate = inputs / seconds[i];
    const what = `.${form}: ${name}, ${(inputs / 1e6).toPrecision(2)} M`;
    row(what, millions(rate), millions(peerRate), `${(rate / peerRate).toFixed(2)}×`);
    rmSync(path);
  }
}

/** Peak resident memory of a replay, MiB. */
function peakMemory(file) {
  const script = `
    const { main } = await import(${JSON.stringify(`${root}dist/src/cli/main.js`)});
    const sink = { write: () => true };
    await main(['replay', '--json', ${JSON.stringify(file)}], '', { stdout: sink, stderr: sink, noColor: true });
    console.log(process.resourceUsage().maxRSS);
  `;
  const args = ['--input-type=module', '-e', script];
  const { stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the replay whose memory counts ended with ${status}`);
  return (Number(stdout) / 1024).toFixed(0);
}

/** What can be measured, in this order. */
const PARTS = {
  text: async () => {
    row('text in, findings out', 'masterclock', 'readline+RegExp', 'ratio');
    for (const name of ['threads-6.12', 'ntp-hotplug', 'set-clock-7.3']) await text(name);
  },
  'trace.dat': async () => {
    if (!has('trace-cmd')) {
      console.log('trace.dat: not measured, trace-cmd (the peer) is not installed');
      return;
    }
    row('trace.dat in, findings out', 'masterclock', 'trace-cmd report', 'ratio');
    // Debian's trace-cmd reads no zlib.
    for (const compression of ['none', ...(has('zstd') ? ['zstd'] : [])]) {
      await traceDat('threads-6.12', compression);
    }
  },
  log: async () => {
    row('log in, findings out', 'masterclock', 'JSON.parse', 'ratio');
    await logs('threads-6.12');
  },
  num: () => {
    console.log('arithmetic, beside the same in plain bigints');
    bench('num');
  },
  stepper: () => {
    console.log('the model: whole dispatch, decision tables beside XState actors');
    bench('stepper');
  },
  flat: () => {
    console.log(
      'the model: cost of an event in worlds of different sizes (flat: it does not depend on them)',
    );
    bench('flat');
  },
  memory: async () => {
    console.log('the model: memory over a long log (flat: it does not grow with the log)');
    bench('memory');
    console.log(
      '\npeak memory while reading text, MiB (flat: it does not grow with the recording)',
    );
    const source = unpacked('threads-6.12');
    const long = `${out}/memory.txt`;
    for (const lines of [LINES / 4, LINES]) {
      await writeLongText(source, long, lines);
      const size = `${(statSync(long).size / 2 ** 20).toFixed(0)} MiB`;
      row(`${lines} lines, ${size}`, peakMemory(long));
    }
  },
};

const wanted = values.only.length === 0 ? Object.keys(PARTS) : values.only;
const unknown = wanted.find((name) => !Object.hasOwn(PARTS, name));
if (unknown !== undefined) {
  refuse(`--only ${unknown}: expected one of ${Object.keys(PARTS).join(', ')}`);
}
console.log(
  `Node ${process.version}; ${LINES} lines or events; medians of ${ROUNDS} runs of whole processes, start-up included`,
);
for (const name of wanted) {
  console.log();
  await PARTS[name]();
}
