/** A simulated host, the VMs on it, and the log of everything that happens to them. */
import type { Composite, Input, Observation } from '../../events/index.ts';
import type { LogEntry, LogHeader } from '../../events/log/index.ts';
import { headerOf } from '../../replay/log/index.ts';
import {
  type Dispatched,
  type HostOptions,
  makeHost,
  type Performed,
  type Plan,
  type Vmm,
  type VmmPolicyId,
  World,
} from '../engine/index.ts';
import type { Profile } from '../profiles/index.ts';
import { SimulatedVm } from './guest.ts';
import { SimulatedHost } from './host.ts';

/** An input that happens now. */
type Now<I> = I extends unknown ? Omit<I, 'tsc'> : never;

export class Simulation {
  /** Which host it is, where there are several. */
  readonly name: string;
  readonly world: World;
  readonly host: SimulatedHost;
  readonly header: LogHeader;
  readonly #entries: LogEntry[] = [];
  readonly #watchers: ((seen: Observation) => void)[] = [];
  #vms = 0;

  constructor(name: string, profile: Profile, options: HostOptions) {
    this.name = name;
    this.world = new World({ switches: { ...profile.switches }, host: makeHost(options) });
    this.header = headerOf(this.world, profile);
    this.host = new SimulatedHost(this.world, (input) => this.#keep(input), options.tsc ?? 0n);
  }

  /** Everything that happened, in order. */
  get entries(): readonly LogEntry[] {
    return this.#entries;
  }

  #note(input: Input, { observations }: Dispatched): void {
    this.#entries.push({ kind: 'input', input });
    for (const watch of this.#watchers) observations.forEach(watch);
  }

  #keep(input: Input): Dispatched {
    const dispatched = this.world.dispatch(input);
    this.#note(input, dispatched);
    return dispatched;
  }

  /** From now on somebody is told what can be seen of what happens. */
  watch(watcher: (seen: Observation) => void): void {
    this.#watchers.push(watcher);
  }

  /** Something happens, now. */
  dispatch(input: Now<Input>): Dispatched {
    return this.#keep({ ...input, tsc: this.host.tsc } as Input);
  }

  /** A VMM does something in one go; where its plan takes time, that has passed afterwards. */
  perform(vmm: Vmm, vm: number, event: Composite, plan: Partial<Plan>): Performed {
    const done = vmm.perform(event, { tsc: this.host.tsc, ...plan });
    this.#entries.push({ kind: 'composite', vm, inputs: done.inputs.length, event });
    for (const { input, dispatched } of done.inputs) this.#note(input, dispatched);
    this.host.reach(this.world.lastTsc);
    return done;
  }

  /** A VMM that has no VM yet. */
  vm(policy: VmmPolicyId = 'plain'): SimulatedVm {
    this.#vms += 1;
    return new SimulatedVm(this, this.#vms - 1, policy);
  }
}
