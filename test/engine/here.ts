/** What a generated history knows when it chooses its next input. */
import type { VcpuCell, VmOf, World } from '../../src/engine/index.ts';
import type { Dice } from './dice.ts';

/** A VM that is alive. */
export interface LiveVm {
  readonly id: number;
  readonly of: VmOf;
  readonly vcpus: readonly LiveVcpu[];
}

/** One of its vCPUs. */
export interface LiveVcpu {
  readonly vm: number;
  readonly id: number;
  readonly cell: VcpuCell;
}

/** Where the history stands. */
export interface Here {
  readonly world: World;
  readonly dice: Dice;
  /** Instant of the input to choose. */
  readonly tsc: bigint;
  readonly vms: readonly LiveVm[];
  readonly vcpus: readonly LiveVcpu[];
  /** Time that each vCPU's thread has waited, ns: never less than before. */
  readonly runDelay: bigint;
}

export function lookAround(world: World, dice: Dice, tsc: bigint, runDelay: bigint): Here {
  const vms = [...world.vms.values()].map((of) => ({
    id: of.id,
    of,
    vcpus: [...of.vcpus].map(([id, cell]) => ({ vm: of.id, id, cell })),
  }));
  return { world, dice, tsc, vms, vcpus: vms.flatMap(({ vcpus }) => vcpus), runDelay };
}

/** The vCPUs in one of the states of their life and of their run. */
export const vcpusThat = (
  here: Here,
  run: 'unloaded' | 'loaded' | 'guest',
  life: 'created' | 'online' = 'online',
): readonly LiveVcpu[] =>
  here.vcpus.filter(({ cell }) => cell.state.run === run && cell.state.life === life);
