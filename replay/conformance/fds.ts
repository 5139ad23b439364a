/** Which VM or vCPU an ioctl is for: by the file descriptors that creating them returned. */
import { IOCTLS, type IoctlName } from '../../events/index.ts';
import type { Action } from './action.ts';
import { narrow } from './action.ts';
import type { Step } from './steps.ts';

const COMMANDS: ReadonlyMap<number, IoctlName> = new Map(
  IOCTLS.map(({ cmd, name }) => [cmd, name]),
);

/** The name of an ioctl that has to do with clocks. */
export const ioctlName = (cmd: number): IoctlName | undefined => COMMANDS.get(cmd);

/** What an ioctl is for. */
type Target =
  | { readonly kind: 'vm'; readonly vm: number }
  | { readonly kind: 'vcpu'; readonly vm: number; readonly vcpu: number };

/** A step with what it is for and the action during which it happened. */
export interface PlacedStep {
  readonly step: Step;
  /** VMs are numbered in the order of creation. */
  readonly target: Target | undefined;
  readonly action: Action | undefined;
}

/** The last vCPU ids and VMs of a descriptor table as steps go by. */
class Descriptors {
  readonly #targets = new Map<number, Target>();
  /** The number of the newest VM that the driver calls by each of its own numbers. */
  readonly byDriver = new Map<number, number>();
  #vms = 0;

  /** What a step is for, before it takes effect. */
  targetOf(step: Step): Target | undefined {
    return 'call' in step && step.call !== undefined ? this.#targets.get(step.call.fd) : undefined;
  }

  /** Learns what a step created. */
  learn(step: Step, action: Action | undefined): Target | undefined {
    if (step.kind !== 'ioctl-exit' || step.ret < 0n) return undefined;
    const name = ioctlName(step.call.cmd);
    const fd = Number(step.ret);
    if (name === 'KVM_CREATE_VM') {
      const created: Target = { kind: 'vm', vm: this.#vms };
      this.#vms += 1;
      this.#targets.set(fd, created);
      const driver = narrow(action?.args['vm']);
      if (driver !== undefined) this.byDriver.set(driver, created.vm);
      return created;
    }
    if (name !== 'KVM_CREATE_VCPU') return undefined;
    const vm = this.#targets.get(step.call.fd)?.vm;
    if (vm === undefined) return undefined;
    const created: Target = { kind: 'vcpu', vm, vcpu: Number(step.call.arg) };
    this.#targets.set(fd, created);
    return created;
  }
}

/** All steps with their targets. */
export interface Placed {
  readonly steps: readonly PlacedStep[];
  /** What the driver called each VM, by our number. */
  readonly driverVm: ReadonlyMap<number, number>;
}

/** Places steps, in their order. */
export function placeSteps(steps: readonly Step[], actions: readonly Action[]): Placed {
  const descriptors = new Descriptors();
  const byIndex = new Map(actions.map((action) => [action.index, action]));
  const driverVm = new Map<number, number>();
  const placed: PlacedStep[] = [];
  let action: Action | undefined;
  for (const step of steps) {
    if (step.kind === 'op') action = byIndex.get(step.index);
    const before = descriptors.targetOf(step);
    const created = descriptors.learn(step, action);
    if (created?.kind === 'vm') {
      const driver = narrow(action?.args['vm']);
      if (driver !== undefined) driverVm.set(created.vm, driver);
    }
    const released =
      step.kind === 'op' || step.kind === 'release' ? vmOfAction(action, descriptors) : undefined;
    placed.push({ step, target: created ?? before ?? released, action });
  }
  return { steps: placed, driverVm };
}

/** The VM that an action of the driver names. */
function vmOfAction(action: Action | undefined, descriptors: Descriptors): Target | undefined {
  const driver = narrow(action?.args['vm']);
  const vm = driver === undefined ? undefined : descriptors.byDriver.get(driver);
  return vm === undefined ? undefined : { kind: 'vm', vm };
}
