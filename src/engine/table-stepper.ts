/**
 * Machines as decision tables that run on the live structs, in place: the same guards and recipes in
 * the same order as the machines' actors, without actors.
 *
 * The tables are derived from the machines (`derive/`). Here their names are bound to code, and
 * their states to the bytes that stand for them in the header of a struct.
 */
import {
  type Ctx,
  HostState,
  hostGuards,
  hostRecipes,
  VcpuState,
  VmState,
  vcpuGuards,
  vcpuRecipes,
  vmGuards,
  vmRecipes,
} from '../clock/index.ts';
import type { AnyStructType, StructBase } from '../num/index.ts';
import type { Cell, Stepper } from './stepper.ts';
import type { Decision, MachineTable } from './table.ts';
import { HOST_TABLE } from './tables/host.ts';
import { VCPU_TABLE } from './tables/vcpu.ts';
import { VM_TABLE } from './tables/vm.ts';

type Guard<S> = (self: Readonly<S>, ctx: Ctx) => boolean;
type Recipe<S> = (self: S, ctx: Ctx) => void;

/** The code of a machine by name. */
interface Code<S> {
  readonly guards: Readonly<Record<string, Guard<S>>>;
  readonly recipes: Readonly<Record<string, Recipe<S>>>;
}

/** A decision whose names are bound. All nodes have one shape, for the sake of speed. */
interface Node<S> {
  /** What to ask; `undefined` where it is decided. */
  readonly guard: Guard<S> | undefined;
  readonly yes: Node<S> | undefined;
  readonly no: Node<S> | undefined;
  readonly recipes: readonly Recipe<S>[];
  /** Where in the struct the region's state stands. */
  readonly offset: number;
  /** The byte of the state to be in afterwards; −1 where it stays. */
  readonly to: number;
}

/** What one region does at one signal. */
interface Reaction<S> {
  /** Where in the struct the region's state stands. */
  readonly offset: number;
  /** By that byte. */
  readonly nodes: readonly (Node<S> | undefined)[];
}

/** A machine's tables with their names bound. */
interface Program<S> {
  /** What the regions do, by signal, in the order in which they act. */
  readonly reactions: ReadonlyMap<string, readonly Reaction<S>[]>;
  /** Room for what the regions of one machine decide in one step. */
  readonly decided: Node<S>[];
}

/** A table names what the machine's code or struct does not have. */
function missing(table: MachineTable, what: string): never {
  throw new TypeError(`table ${table.machine}: expected what its machine has, found ${what}`);
}

/** Binds the decisions of one table. */
class Binder<S> {
  readonly #table: MachineTable;
  readonly #code: Code<S>;
  readonly #type: AnyStructType;

  constructor(table: MachineTable, code: Code<S>, type: AnyStructType) {
    this.#table = table;
    this.#code = code;
    this.#type = type;
  }

  bind(): Program<S> {
    const bound = new Map<string, Reaction<S>[]>();
    for (const [region, states] of Object.entries(this.#table.regions)) {
      const place = this.#type.layout.fields.get(region) ?? missing(this.#table, region);
      for (const signal of new Set(Object.values(states).flatMap(Object.keys))) {
        const nodes: (Node<S> | undefined)[] = Object.keys(states).map(() => undefined);
        for (const [state, row] of Object.entries(states)) {
          const decision = row[signal];
          if (decision === undefined) continue;
          nodes[this.#byteOf(region, state)] = this.#node(region, decision);
        }
        const reactions = bound.get(signal) ?? [];
        bound.set(signal, reactions);
        reactions.push({ offset: place.offset, nodes });
      }
    }
    return { reactions: bound, decided: [] };
  }

  /** The byte that stands for a state: what the struct writes for its name. */
  #byteOf(region: string, state: string): number {
    const { field, offset } = this.#type.layout.fields.get(region)!;
    if ('element' in field) return missing(this.#table, region);
    const blank = new this.#type();
    field.write(blank, offset, state);
    return blank.bytes[offset]!;
  }

  #node(region: string, decision: Decision): Node<S> {
    const { offset } = this.#type.layout.fields.get(region)!;
    if ('run' in decision) {
      const recipes = decision.run.map(
        (name) => this.#code.recipes[name] ?? missing(this.#table, name),
      );
      const to = decision.to === undefined ? -1 : this.#byteOf(region, decision.to);
      return { guard: undefined, yes: undefined, no: undefined, recipes, offset, to };
    }
    const guard = this.#code.guards[decision.ask] ?? missing(this.#table, decision.ask);
    const yes = this.#node(region, decision.yes);
    const no = this.#node(region, decision.no);
    return { guard, yes, no, recipes: [], offset, to: -1 };
  }
}

/** One machine as a table. */
class TableCell<S extends StructBase, N extends string> implements Cell<S, N> {
  readonly state: S;
  readonly #program: Program<S>;

  constructor(program: Program<S>, state: S) {
    this.state = state;
    this.#program = program;
  }

  /** All regions decide before any acts, and the states change when all have acted. */
  step(signal: N, ctx: Ctx): void {
    const { reactions, decided } = this.#program;
    const regions = reactions.get(signal);
    if (regions === undefined) return;
    const self = this.state;
    const { bytes } = self;
    let acting = 0;
    for (let i = 0; i < regions.length; i++) {
      const { offset, nodes } = regions[i]!;
      let node = nodes[bytes[offset]!];
      if (node === undefined) continue;
      while (node.guard !== undefined) node = (node.guard(self, ctx) ? node.yes : node.no)!;
      decided[acting] = node;
      acting += 1;
    }
    for (let i = 0; i < acting; i++) {
      const { recipes } = decided[i]!;
      for (let k = 0; k < recipes.length; k++) recipes[k]!(self, ctx);
    }
    for (let i = 0; i < acting; i++) {
      const { offset, to } = decided[i]!;
      if (to >= 0) bytes[offset] = to;
    }
  }
}

/** The tables of the machines that a world steps. */
export interface Tables {
  readonly host: MachineTable;
  readonly vm: MachineTable;
  readonly vcpu: MachineTable;
}

/** As they were derived from the machines. */
export const TABLES: Tables = { host: HOST_TABLE, vm: VM_TABLE, vcpu: VCPU_TABLE };

const HOST_CODE = { guards: hostGuards, recipes: hostRecipes };
const VM_CODE = { guards: vmGuards, recipes: vmRecipes };
const VCPU_CODE = { guards: vcpuGuards, recipes: vcpuRecipes };

function bindAll(tables: Tables): Stepper {
  const host = new Binder<HostState>(tables.host, HOST_CODE, HostState).bind();
  const vm = new Binder<VmState>(tables.vm, VM_CODE, VmState).bind();
  const vcpu = new Binder<VcpuState>(tables.vcpu, VCPU_CODE, VcpuState).bind();
  return {
    host: (state) => new TableCell(host, state),
    vm: (state) => new TableCell(vm, state),
    vcpu: (state) => new TableCell(vcpu, state),
  };
}

const DERIVED = bindAll(TABLES);

/**
 * Steps machines as tables.
 *
 * @param tables - others than those of the machines, for tests of what finds a fault in them.
 * @throws TypeError when a table names what its machine does not have.
 */
export const tableStepper = (tables: Tables = TABLES): Stepper =>
  tables === TABLES ? DERIVED : bindAll(tables);
