/** What a guest had at some points of a simulation, as the replay of its log has it. */
import { worldOfHeader } from '../../engine/index.ts';
import type { Simulation } from '../simulation.ts';
import { type Frozen, VM } from './guest.ts';

/** A vCPU after so many inputs. */
export interface Mark {
  readonly id: number;
  readonly inputs: number;
}

/** The vCPUs at the marks, in their order. */
export function witness(
  { header, entries, world: played }: Simulation,
  marks: readonly Mark[],
): readonly Frozen[] {
  const world = worldOfHeader(header, { switches: played.switches });
  const seen = new Map<Mark, Frozen>();
  const look = (): void => {
    for (const mark of marks) {
      if (mark.inputs !== world.count) continue;
      const vcpu = world.vms.get(VM)?.vcpus.get(mark.id);
      if (vcpu !== undefined) {
        seen.set(mark, { vcpu: vcpu.state.clone(), host: world.host.clone() });
      }
    }
  };
  for (const entry of entries) {
    if (entry.kind !== 'input') continue;
    world.dispatch(entry.input);
    look();
  }
  return marks.map((mark) => {
    const frozen = seen.get(mark);
    if (frozen === undefined)
      throw new RangeError(`no vCPU ${mark.id} after ${mark.inputs} inputs`);
    return frozen;
  });
}
