/**
 * What a recipe or a guard sees besides the struct it belongs to.
 *
 * A recipe changes its own struct in place and nothing else. It reads the structs above it as they
 * are, and those of the vCPU that acts (the subject); what can be seen of it goes to `out`.
 */
import type { Input, InputOf, InputType, Observation, ReadingName } from '../../events/index.ts';
import type { Switches } from '../profiles/index.ts';
import type { HostState } from './host-state.ts';
import type { VcpuState } from './vcpu-state.ts';
import type { VmState } from './vm-state.ts';

/** What became of the masterclock, by rank: a later one outdoes an earlier one. */
export const MASTERCLOCK_DECISIONS = ['kept', 'requested', 'recomputed'] as const;

/** What became of the masterclock in one input. */
export type MasterclockDecision = (typeof MASTERCLOCK_DECISIONS)[number];

/** Where a recipe tells what can be seen of it. */
interface Out {
  /** Somebody looks at what is written to guests' memory; to make its bytes takes long. */
  readonly seesWrites: boolean;
  /** Something can be seen of the VM that the input acts on (and of one of its vCPUs). */
  emit(observation: Observation): void;
  /**
   * The masterclock was considered.
   *
   * @param by - the switch or condition that decided.
   */
  considered(decision: MasterclockDecision, by: string): void;
}

/** Everything a recipe or guard may read. */
export interface Ctx {
  readonly input: Input;
  readonly switches: Switches;
  readonly host: Readonly<HostState>;
  /** Id of the VM; −1 for an input of the host that has come to none. */
  readonly vmId: number;
  /** The VM; for an input of the host, the one whose turn it is. */
  readonly vm: Readonly<VmState>;
  /** The vCPU that acts; for an input of the host or VM, the one whose turn it is. */
  readonly vcpu: Readonly<VcpuState>;
  /** The VM's first vCPU, which Hyper-V's clock is reckoned from. */
  readonly bootVcpu: Readonly<VcpuState>;
  /** What the kernel's code reads from a clock: as told, or derived. The same each time. */
  read(name: ReadingName): bigint;
  readonly out: Out;
}

/** Changes a host. */
export type HostRecipe = (self: HostState, ctx: Ctx) => void;
/** Changes a VM. */
export type VmRecipe = (self: VmState, ctx: Ctx) => void;
/** Changes a vCPU. */
export type VcpuRecipe = (self: VcpuState, ctx: Ctx) => void;

/** Tells something of a host; pure. */
export type HostGuard = (self: Readonly<HostState>, ctx: Ctx) => boolean;
/** Tells something of a VM; pure. */
export type VmGuard = (self: Readonly<VmState>, ctx: Ctx) => boolean;
/** Tells something of a vCPU; pure. */
export type VcpuGuard = (self: Readonly<VcpuState>, ctx: Ctx) => boolean;

/**
 * The input as one of certain kinds, to which the routes table sends this recipe or guard only.
 *
 * @throws TypeError when a route sends it another: a mistake in the table.
 */
export function inputOf<T extends InputType>(ctx: Ctx, ...types: readonly T[]): InputOf<T> {
  const { input } = ctx;
  if (!(types as readonly string[]).includes(input.type)) {
    throw new TypeError(`expected ${types.join(' or ')}, routed ${input.type}`);
  }
  return input as InputOf<T>;
}
