// Predicts recordings of real kernels with the model and says what came out wrong.
//
//   npm run conformance -- [--json] [--profile ID] [--set SWITCH=VALUE] [--show N] DIR…
//
// DIR is a recording (actions.jsonl, trace.txt, meta.json, each also as .gz) or a folder above some. Exit codes: 0
// nothing wrong, 1 something wrong, 2 usage, 3 a recording that can't be read.
import { parseArgs } from 'node:util';

const USAGE =
  'usage: npm run conformance -- [--json] [--profile ID] [--set SWITCH=VALUE] [--show N] DIR…';
const EXIT_WRONG = 1;
const EXIT_USAGE = 2;
const EXIT_UNREADABLE = 3;

const dist = new URL('../dist/', import.meta.url);
const { conformanceJson, conformanceOf, conformanceText, findRecordings, readRecording, totalOf } =
  await import(new URL('replay/conformance/index.js', dist));
const { printable } = await import(new URL('replay/formats/index.js', dist));
const { parseSet, profile, withSwitches } = await import(new URL('src/profiles/index.js', dist));

function fail(code, message) {
  process.stderr.write(`conformance: ${message}\n`);
  process.exit(code);
}

function readArguments() {
  const options = {
    json: { type: 'boolean', default: false },
    profile: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    show: { type: 'string', default: '3' },
    help: { type: 'boolean', default: false },
  };
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    return fail(EXIT_USAGE, `${printable(error.message)}\n${USAGE}`);
  }
}

/** The profile asked for; undefined leaves it to each recording. */
function givenProfile(values, kernelProfile) {
  if (values.profile === undefined && values.set.length === 0) return undefined;
  try {
    const base = values.profile === undefined ? kernelProfile : profile(values.profile);
    return values.set.reduce((of, text) => withSwitches(of, parseSet(text)), base);
  } catch (error) {
    return fail(EXIT_USAGE, printable(error.message));
  }
}

// Whoever reads may have seen enough.
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
});

const { values, positionals } = readArguments();
if (values.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
if (positionals.length === 0) fail(EXIT_USAGE, USAGE);
if (!/^\d{1,6}$/.test(values.show)) fail(EXIT_USAGE, `--show: expected a number\n${USAGE}`);

const { profileOfRelease } = await import(new URL('replay/conformance/index.js', dist));
const all = [];
try {
  for (const folder of positionals) {
    const found = await findRecordings(folder);
    if (found.length === 0) {
      fail(
        EXIT_UNREADABLE,
        `${printable(folder)}: expected a recording or a folder above some, found none`,
      );
    }
    for (const name of found) {
      const recording = await readRecording(name);
      const given = givenProfile(values, profileOfRelease(recording.meta.kernel));
      all.push(conformanceOf(recording, given));
      if (process.stderr.isTTY) process.stderr.write(`\r${all.length} recordings`);
    }
  }
} catch (error) {
  if (!['RecordingError', 'ActionError', 'FormatError'].includes(error.name)) throw error;
  fail(EXIT_UNREADABLE, error.message);
}
if (process.stderr.isTTY) process.stderr.write('\r');
process.stdout.write(
  values.json ? conformanceJson(all) : conformanceText(all, Number(values.show)),
);
process.exitCode = totalOf(all).wrong === 0 ? 0 : EXIT_WRONG;
