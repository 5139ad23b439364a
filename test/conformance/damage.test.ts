/** Whatever is done to a recording: a verdict, or an error that says what is wrong with it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ActionError,
  type CheckedRecording,
  profileOfRelease,
  RecordingError,
  readRecording,
} from '../../replay/conformance/index.ts';
import { Prediction } from '../../replay/conformance/predict.ts';
import { FormatError } from '../../replay/formats/index.ts';
import { emptyFolder, type Files, filesOf, recordingOf, writeFiles } from './bundled.ts';

const NAMES = ['boot-deep-5.10', 'suspend-deep-6.12', 'tsc-unstable-6.12'] as const;

function judge(recording: CheckedRecording): number {
  const { switches } = profileOfRelease(recording.meta.kernel);
  return new Prediction(recording, switches).run().judged;
}

/** A verdict, or one of the typed errors in one line. */
async function expectAnswer(folder: string, files: Files): Promise<void> {
  writeFiles(folder, { ...files });
  let recording: CheckedRecording;
  try {
    recording = await readRecording(folder);
  } catch (error) {
    const typed = [ActionError, RecordingError, FormatError].some((of) => error instanceof of);
    expect(typed, String(error)).toBe(true);
    expect((error as Error).message).toMatch(/^[^\n]+expected [^\n]+$/);
    return;
  }
  expect(judge(recording)).toBeGreaterThanOrEqual(0);
}

/** One number of a text replaced by another, at about a place. */
interface Change {
  readonly at: number;
  readonly by: string;
}

const NUMBERS = ['0', '1', '-1', '4294967295', '9223372036854775808', '18446744073709551615'];
const change = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  by: fc.oneof(fc.constantFrom(...NUMBERS), fc.nat().map(String)),
});

const withNumbers = (text: string, changes: readonly Change[]): string =>
  changes.reduce((of, { at, by }) => {
    const from = Math.floor(at * of.length);
    const tail = of.slice(from).replace(/(?<![\w.])-?\d+(?![\w.])/, by);
    return `${of.slice(0, from)}${tail}`;
  }, text);

const FILES = ['actions.jsonl', 'trace.txt', 'meta.json'] as const;

for (const name of NAMES) {
  test(`${name}: numbers changed`, async () => {
    const files = filesOf(name);
    const folder = emptyFolder();
    const changes = fc.record({
      file: fc.constantFrom(...FILES),
      changes: fc.array(change, { minLength: 1, maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(changes, ({ file, changes }) =>
        expectAnswer(folder, { ...files, [file]: withNumbers(files[file], changes) }),
      ),
      { numRuns: 25 },
    );
  });
}

test('lines lost, doubled and exchanged', async () => {
  const files = filesOf('boot-deep-5.10');
  const folder = emptyFolder();
  const shuffle = fc.record({
    file: fc.constantFrom('actions.jsonl' as const, 'trace.txt' as const),
    drop: fc.double({ min: 0, max: 1, noNaN: true }),
    move: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  await fc.assert(
    fc.asyncProperty(shuffle, ({ file, drop, move }) => {
      const lines = files[file].split('\n');
      const [moved = ''] = lines.splice(Math.floor(drop * lines.length), 1);
      lines.splice(Math.floor(move * lines.length), 0, moved, moved);
      return expectAnswer(folder, { ...files, [file]: lines.join('\n') });
    }),
    { numRuns: 25 },
  );
});

test('fields of actions that are something else', async () => {
  const recording = await recordingOf('clock-deep-5.10');
  const values = ['text', '', '0x', '-1', '99999999999999999999', -1, 1e300, null, [], {}, true];
  for (const value of values) {
    const actions = recording.actions.map((action) => ({
      ...action,
      args: Object.fromEntries(Object.keys(action.args).map((name) => [name, value])),
      out: Object.fromEntries(Object.keys(action.out).map((name) => [name, value])),
    }));
    expect(judge({ ...recording, actions })).toBeGreaterThan(0);
  }
});
