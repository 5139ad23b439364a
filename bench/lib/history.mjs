/** The inputs of a bundled recording as the model replays it, by way of the bytes of a log. */
import { fileURLToPath } from 'node:url';

const dist = new URL('../../dist/', import.meta.url);
const { CHECKPOINT_STRUCTS, worldOfHeader } = await import(new URL('src/engine/index.js', dist));
const { MclogDecoder, MclogEncoder } = await import(new URL('events/log/index.js', dist));

const folder = (name) =>
  fileURLToPath(new URL(`../../test/fixtures/recordings/${name}`, import.meta.url));

/**
 * The log of a recording. What V8 learns from making it would slow down what is measured, so that
 * threads that measure get its bytes.
 */
export async function logBytesOf(name) {
  const { logOfRecording, readRecording } = await import(
    new URL('replay/conformance/index.js', dist)
  );
  const { header, entries } = logOfRecording(await readRecording(folder(name)));
  const encoder = new MclogEncoder(header, CHECKPOINT_STRUCTS);
  const parts = [encoder.begin(), encoder.encode(entries), encoder.end()];
  return Buffer.concat(parts);
}

/**
 * The inputs, in columns and one by one, and how to make the world they happened to, in which nothing
 * has happened yet.
 */
export function historyOf(bytes) {
  const decoder = new MclogDecoder('history.mclog', { structs: CHECKPOINT_STRUCTS });
  const stretches = [...decoder.push(bytes), ...decoder.finish()];
  const { header } = decoder;
  return {
    stretches,
    inputs: stretches.flatMap(({ inputs, from, to }) => [...inputs.rows(from, to)]),
    newWorld: (stepper) => worldOfHeader(header, { switches: header.switches, stepper }),
  };
}
