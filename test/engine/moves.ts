/** How a kind of input on a VM or a vCPU becomes a move of a generated history. */
import type { Input } from '../../events/index.ts';
import { type Here, type LiveVcpu, type LiveVm, vcpusThat } from './here.ts';
import type { Move } from './host-moves.ts';

export type Names = { readonly vm: number; readonly vcpu: number; readonly tsc: bigint };

/** On some VM. */
export const vmMove = (
  weight: number,
  make: (here: Here, vm: LiveVm) => Input | undefined,
): Move => ({
  weight,
  make: (here) => (here.vms.length === 0 ? undefined : make(here, here.dice.of(here.vms))),
});

/** On some vCPU that is unloaded, loaded or in the guest. */
export const vcpuMove = (
  weight: number,
  run: 'unloaded' | 'loaded' | 'guest',
  make: (here: Here, names: Names, vcpu: LiveVcpu) => Input | undefined,
  life: 'created' | 'online' = 'online',
): Move => ({
  weight,
  make: (here) => {
    const able = vcpusThat(here, run, life);
    if (able.length === 0) return undefined;
    const vcpu = here.dice.of(able);
    return make(here, { vm: vcpu.vm, vcpu: vcpu.id, tsc: here.tsc }, vcpu);
  },
});
