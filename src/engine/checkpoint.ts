/** Worlds to and from the header and the checkpoints of a log. */
import type { Checkpoint, CheckpointStruct, LogHeader } from '../../events/log/index.ts';
import { HostState, VcpuState, VmState } from '../clock/index.ts';
import type { StructBase } from '../num/index.ts';
import { PERSIST_VERSION, type PersistedWorld, restore } from './persist.ts';
import { RestoreError } from './restore-error.ts';
import type { Stepper } from './stepper.ts';
import type { World } from './world.ts';

/** Types of the structs that checkpoints are made of. */
export const CHECKPOINT_STRUCTS = [HostState, VmState, VcpuState] as const;

/** How a world is put together. */
export interface WorldOfLogOptions {
  /** Of all kernels' switches, those in force. */
  readonly switches: LogHeader['switches'];
  /** What moves the machines; their decision tables by default. */
  readonly stepper?: Stepper;
}

/**
 * All there is of a world.
 *
 * @param inputs - how many inputs its log holds so far; by default as many as the world has seen.
 */
export function checkpointOf(world: World, inputs = world.count): Checkpoint {
  const structs: CheckpointStruct[] = [{ state: world.host.clone() }];
  for (const { id, cell, vcpus } of world.vms.values()) {
    structs.push({ vm: id, state: cell.state.clone() });
    for (const [vcpu, { state }] of vcpus) structs.push({ vm: id, vcpu, state: state.clone() });
  }
  return { inputs, lastTsc: world.lastTsc, structs };
}

/** Whether a world is what a checkpoint says, byte by byte. */
export function isAtCheckpoint(world: World, checkpoint: Checkpoint): boolean {
  const now = checkpointOf(world, checkpoint.inputs);
  return (
    now.lastTsc === checkpoint.lastTsc &&
    now.structs.length === checkpoint.structs.length &&
    now.structs.every(({ vm, vcpu, state }, i) => {
      const then = checkpoint.structs[i]!;
      return vm === then.vm && vcpu === then.vcpu && state.equals(then.state);
    })
  );
}

const persisted = (
  { switches }: WorldOfLogOptions,
  what: Pick<PersistedWorld, 'count' | 'lastTsc' | 'host' | 'vms'>,
): unknown => ({ form: 'masterclock/world', version: PERSIST_VERSION, switches, ...what });

const restored = (json: unknown, { stepper }: WorldOfLogOptions): World =>
  restore(json, stepper === undefined ? {} : { stepper });

/**
 * The world in which a log begins.
 *
 * @throws RestoreError when its host or a switch cannot be.
 */
export const worldOfHeader = ({ host }: LogHeader, options: WorldOfLogOptions): World =>
  restored(persisted(options, { count: 0, lastTsc: '0', host, vms: [] }), options);

const jsonOf = (state: StructBase): Record<string, unknown> => state.toJSON();

/**
 * The world that a checkpoint holds.
 *
 * @throws RestoreError when there cannot be such a world.
 */
export function worldOfCheckpoint(checkpoint: Checkpoint, options: WorldOfLogOptions): World {
  const [host, ...others] = checkpoint.structs;
  if (host === undefined || host.vm !== undefined) {
    throw new RestoreError('the checkpoint', 'a host', 'none', 'none');
  }
  type Saved = { id: number; state: Record<string, unknown> };
  const vms: (Saved & { vcpus: Saved[] })[] = [];
  for (const { vm, vcpu, state } of others) {
    const last = vms.at(-1);
    if (vm !== undefined && vcpu === undefined)
      vms.push({ id: vm, state: jsonOf(state), vcpus: [] });
    else if (vcpu !== undefined && last?.id === vm)
      last?.vcpus.push({ id: vcpu, state: jsonOf(state) });
    else
      throw new RestoreError(
        'the checkpoint',
        'each vCPU after its VM',
        'another order',
        'another order',
      );
  }
  const json = persisted(options, {
    count: checkpoint.inputs,
    lastTsc: String(checkpoint.lastTsc),
    host: jsonOf(host.state),
    vms,
  });
  return restored(json, options);
}
