/** A world's structs as they were at one moment. */
import type { HostState, VcpuState, VmState } from '../clock/index.ts';
import type { World } from '../engine/index.ts';

/** A VM's struct and those of its vCPUs. */
export interface VmCopy {
  readonly id: number;
  readonly state: VmState;
  readonly vcpus: ReadonlyMap<number, VcpuState>;
}

/** All structs of a world. */
export interface WorldCopy {
  readonly host: HostState;
  readonly vms: ReadonlyMap<number, VmCopy>;
}

/** The structs as they are now, for good. */
export function copyWorld(world: World): WorldCopy {
  const vms = [...world.vms.values()].map(({ id, cell, vcpus }): [number, VmCopy] => [
    id,
    {
      id,
      state: cell.state.clone(),
      vcpus: new Map([...vcpus].map(([vcpu, { state }]) => [vcpu, state.clone()])),
    },
  ]);
  return { host: world.host.clone(), vms: new Map(vms) };
}

/** A vCPU of a copy. */
export const vcpuOf = (copy: WorldCopy, vm: number, vcpu: number): VcpuState | undefined =>
  copy.vms.get(vm)?.vcpus.get(vcpu);
