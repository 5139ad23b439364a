/**
 * A world as plain objects, refreshed from its structs field by field, and what changed from one step
 * to the next as Immer's patches.
 */
import { enablePatches, type Patch, produceWithPatches } from 'immer';
import type { World } from '../../src/engine/index.ts';
import type { FieldArray, Scalar, StructBase } from '../../src/num/index.ts';

enablePatches();

/** A struct's fields: 64-bit ones as bigint. */
export type FieldValues = Readonly<Record<string, Scalar | readonly Scalar[]>>;

/** A VM and its vCPUs by id. */
export interface VmModel {
  readonly state: FieldValues;
  readonly vcpus: Readonly<Record<string, FieldValues>>;
}

/** All there is of a world, as plain objects. */
export interface ReadModel {
  /** How many inputs it has seen. */
  readonly inputs: number;
  /** Instant of the last one, host TSC. */
  readonly lastTsc: bigint;
  readonly host: FieldValues;
  /** By id. */
  readonly vms: Readonly<Record<string, VmModel>>;
}

/** One change of a read model: where, what it was (undefined: nothing) and what it is. */
export interface Change {
  readonly path: readonly (string | number)[];
  readonly before: unknown;
  readonly after: unknown;
}

/** What one step changed. */
export interface ModelStep {
  readonly model: ReadModel;
  /** Immer's patches from the model before to this one. */
  readonly patches: readonly Patch[];
  /** The way back. */
  readonly inverse: readonly Patch[];
}

type Draft = Record<string, Scalar | Scalar[]>;
type VmDraft = { state: Draft; vcpus: Record<string, Draft> };
type ModelDraft = { inputs: number; lastTsc: bigint; host: Draft; vms: Record<string, VmDraft> };

/** Nothing has happened, and nothing is known. */
const EMPTY_MODEL: ReadModel = { inputs: 0, lastTsc: 0n, host: {}, vms: {} };

function refresh(fields: Draft, state: StructBase): void {
  for (const { name, field, index } of state.layout.fields.values()) {
    if (!('element' in field)) {
      fields[name] = field.read(state, index);
      continue;
    }
    const values = (state as unknown as Record<string, FieldArray<Scalar>>)[name]!;
    fields[name] ??= [];
    const list = fields[name] as Scalar[];
    for (let i = 0; i < field.capacity; i++) list[i] = values.get(i);
  }
}

function refreshWorld(draft: ModelDraft, world: World): void {
  draft.inputs = world.count;
  draft.lastTsc = world.lastTsc;
  refresh(draft.host, world.host);
  for (const id of Object.keys(draft.vms)) {
    if (!world.vms.has(Number(id))) delete draft.vms[id];
  }
  for (const { id, cell, vcpus } of world.vms.values()) {
    draft.vms[id] ??= { state: {}, vcpus: {} };
    const vm = draft.vms[id];
    refresh(vm.state, cell.state);
    for (const [vcpu, { state }] of vcpus) {
      vm.vcpus[vcpu] ??= {};
      refresh(vm.vcpus[vcpu], state);
    }
  }
}

/** The model of a world as it is now, and what changed since `model`. */
export function stepOf(model: ReadModel, world: World): ModelStep {
  const [next, patches, inverse] = produceWithPatches(model, (draft) => {
    refreshWorld(draft as ModelDraft, world);
  });
  return { model: next, patches, inverse };
}

/** The model of a world. */
export const modelOf = (world: World): ReadModel => stepOf(EMPTY_MODEL, world).model;

function valueAt(model: ReadModel, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (at, name) =>
      typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[name] : undefined,
    model,
  );
}

/** Patches with what was there before. */
export const changesOf = (before: ReadModel, patches: readonly Patch[]): Change[] =>
  patches.map(({ path, value }) => ({
    path,
    before: valueAt(before, path),
    after: value as unknown,
  }));
