/**
 * To what KVM_SET_CLOCK set the clock, and what a VM's creation read, which no recording has: such
 * that the log comes to the clock offsets that later pages show.
 *
 * Every kernel's offset moves with the clock asked for, ns by ns, so one trial beside the log tells.
 */
import type { InputOf } from '../../events/index.ts';
import type { LogEntry } from '../../events/log/index.ts';
import { checkpointOf, InputError, World, worldOfCheckpoint } from '../../src/engine/index.ts';
import { subU64 } from '../../src/num/index.ts';
import type { Switches } from '../../src/profiles/index.ts';
import type { KeptWorld } from './kept-world.ts';

/** The world that a kept one was at first. */
export const startOf = ({ start }: KeptWorld, switches: Switches): World =>
  new World({ switches, host: start.host });

/** The clock that leads a VM to an offset. */
function clockFor(world: World, input: InputOf<'KVM_SET_CLOCK'>, offset: bigint): bigint {
  const trial = worldOfCheckpoint(checkpointOf(world), { switches: { ...world.switches } });
  trial.dispatch(input);
  const { kvmclockOffset } = trial.vms.get(input.vm)!.cell.state;
  return subU64(BigInt.asUintN(64, input.clock + offset), BigInt.asUintN(64, kvmclockOffset));
}

/** An entry as it must have been, to lead to an offset. */
function leadingTo(world: World, entry: LogEntry, offset: bigint | undefined): LogEntry {
  if (entry.kind !== 'input' || offset === undefined) return entry;
  const { input } = entry;
  if (input.type === 'KVM_SET_CLOCK') {
    return { kind: 'input', input: { ...input, clock: clockFor(world, input, offset) } };
  }
  const readings = { ...input.readings, 'create.ns': BigInt.asUintN(64, -offset) } as const;
  return { kind: 'input', input: { ...input, readings } };
}

/** The entries of a kept world, with every clock set to what it must have been set to. */
export function withClocksSet(kept: KeptWorld, switches: Switches): LogEntry[] {
  let world = startOf(kept, switches);
  return kept.entries.map((entry, place) => {
    if (entry.kind === 'checkpoint') {
      world = worldOfCheckpoint(entry.checkpoint, { switches: { ...switches } });
    }
    if (entry.kind !== 'input') return entry;
    const set = leadingTo(world, entry, kept.clockOffsetAt(place));
    if (set.kind === 'input') dispatchIfPossible(world, set.input);
    return set;
  });
}

/** After a gap an input may be impossible; the log has it as it was seen all the same. */
function dispatchIfPossible(world: World, input: Parameters<World['dispatch']>[0]): void {
  try {
    world.dispatch(input);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
  }
}
