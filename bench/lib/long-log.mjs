/**
 * Makes a long log from a bundled recording: what happened to its VM happens again and again, each
 * time later and to a new VM, which is destroyed at the end.
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { JsonlEncoder, MclogEncoder } from '../../dist/events/log/index.js';
import { logOfRecording, readRecording } from '../../dist/replay/conformance/index.js';
import { CHECKPOINT_STRUCTS, worldOfHeader } from '../../dist/src/engine/index.js';

/** Later by so many cycles and ns, on another VM. */
function later(input, vm, cycles, ns) {
  const moved = { ...input, vm, tsc: input.tsc + cycles };
  if (input.readings === undefined) return moved;
  const shift = (name, value) => {
    if (value === undefined || name === 'run_delay') return value;
    return BigInt.asUintN(64, value + (name.endsWith('.ns') ? ns : cycles));
  };
  moved.readings = Object.fromEntries(
    Object.entries(input.readings).map(([name, told]) => [
      name,
      Array.isArray(told) ? told.map((value) => shift(name, value)) : shift(name, told),
    ]),
  );
  return moved;
}

/** Every thread leaves its vCPU, and the VM goes. */
function* ending(world, vm, tsc) {
  for (const [vcpu, { state }] of world.vms.get(vm).vcpus) {
    if (state.run === 'guest') yield { type: 'kvm_exit', vm, vcpu, tsc };
    if (state.run !== 'unloaded') yield { type: 'vcpu_put', vm, vcpu, tsc };
  }
  yield { type: 'destroy_vm', vm, cpu: 0, tsc };
}

/** Inputs of a recording, `count` or a few more, round by round; each is one that can happen. */
function* rounds({ header, entries }, switches, count) {
  const world = worldOfHeader(header, { switches });
  const inputs = entries.filter((e) => e.kind === 'input').map((e) => e.input);
  const ofVm = inputs.filter((input) => 'vm' in input);
  const period = inputs.at(-1).tsc + 1_000_000n;
  const ns = (period * 1_000_000n) / BigInt(world.host.tscKhz);
  let made = 0;
  for (let round = 0; made < count; round++) {
    const batch = [];
    const take = (input) => {
      world.dispatch(input);
      batch.push({ kind: 'input', input });
    };
    const shift = BigInt(round) * period;
    // The host's own inputs happen once.
    for (const input of round === 0 ? inputs : ofVm) {
      take('vm' in input ? later(input, round, shift, BigInt(round) * ns) : input);
    }
    for (const input of ending(world, round, world.lastTsc)) take(input);
    made += batch.length;
    yield batch;
  }
}

/**
 * Writes the log as `.mclog` or `.jsonl`.
 * @returns {Promise<number>} how many inputs it has
 */
export async function writeLongLog(recording, form, path, count) {
  const log = logOfRecording(await readRecording(recording));
  const { header } = log;
  const encoder =
    form === 'mclog' ? new MclogEncoder(header, CHECKPOINT_STRUCTS) : new JsonlEncoder(header);
  const stream = createWriteStream(path);
  stream.write(encoder.begin());
  let inputs = 0;
  for (const batch of rounds(log, header.switches, count)) {
    inputs += batch.length;
    if (!stream.write(encoder.encode(batch))) await once(stream, 'drain');
  }
  stream.end(encoder.end());
  await once(stream, 'finish');
  return inputs;
}
