/** The inputs of a bundled recording as the model replays it. */
import { fileURLToPath } from 'node:url';

const dist = new URL('../../dist/', import.meta.url);
const { World } = await import(new URL('src/engine/index.js', dist));
const { conformanceOf, readRecording } = await import(new URL('replay/conformance/index.js', dist));

const folder = (name) =>
  fileURLToPath(new URL(`../../test/fixtures/recordings/${name}`, import.meta.url));

/**
 * The inputs, each with the readings that were taken from the recording, and the world they happened
 * to: its switches, and its host as JSON.
 */
export async function historyOf(name) {
  const recording = await readRecording(folder(name));
  const { dispatch } = World.prototype;
  const runs = new Map();
  World.prototype.dispatch = function (input, source) {
    if (!runs.has(this)) {
      runs.set(this, { switches: this.switches, host: this.host.toJSON(), inputs: [] });
    }
    const reads = new Map();
    const noting =
      source &&
      ((reading, place) => {
        const value = source(reading, place);
        if (value !== undefined) {
          reads.set(reading, [...(reads.get(reading) ?? []), [place.vcpu?.vcpuIdx ?? 0, value]]);
        }
        return value;
      });
    const done = dispatch.call(this, input, noting);
    runs.get(this).inputs.push({ ...input, ...readingsOf(input, reads) });
    return done;
  };
  conformanceOf(recording);
  World.prototype.dispatch = dispatch;
  return [...runs.values()][0];
}

/** One value where a clock was read once, else one for each vCPU in its turn. */
function readingsOf({ readings }, reads) {
  if (reads.size === 0) return readings === undefined ? {} : { readings };
  const told = { ...readings };
  for (const [reading, values] of reads) {
    const each = [];
    for (const [index, value] of values) each[index] = value;
    told[reading] = values.length === 1 ? values[0][1] : Array.from(each, (v) => v ?? values[0][1]);
  }
  return { readings: told };
}
