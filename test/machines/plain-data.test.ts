import { describe, expect, test } from 'vitest';
import {
  GUEST_SIGNALS,
  guestMachine,
  HOST_SIGNALS,
  hostMachine,
  VCPU_SIGNALS,
  VM_SIGNALS,
  VMM_SIGNALS,
  VMM_VCPU_SIGNALS,
  vcpuMachine,
  vmMachine,
  vmmMachine,
  vmmVcpuMachine,
} from '../../machines/index.ts';
import {
  GuestState,
  HostState,
  VcpuState,
  VmmState,
  VmmVcpuState,
  VmState,
} from '../../src/clock/index.ts';
import type { AnyStructType } from '../../src/num/index.ts';

interface Machine {
  readonly config: object;
  readonly events: readonly string[];
  readonly states: Readonly<Record<string, Region>>;
}
interface Region {
  readonly states: Readonly<Record<string, Region>>;
  readonly initial: { readonly target: readonly { readonly key: string }[] | undefined };
}

const MACHINES: Readonly<
  Record<string, { machine: unknown; struct: AnyStructType; signals: object }>
> = {
  host: { machine: hostMachine, struct: HostState, signals: HOST_SIGNALS },
  vm: { machine: vmMachine, struct: VmState, signals: VM_SIGNALS },
  vcpu: { machine: vcpuMachine, struct: VcpuState, signals: VCPU_SIGNALS },
  vmm: { machine: vmmMachine, struct: VmmState, signals: VMM_SIGNALS },
  vmmVcpu: { machine: vmmVcpuMachine, struct: VmmVcpuState, signals: VMM_VCPU_SIGNALS },
  guest: { machine: guestMachine, struct: GuestState, signals: GUEST_SIGNALS },
};

/** Every value in a config that is no plain data, by its path. */
function impure(value: unknown, path: string): string[] {
  if (value === null || ['string', 'number', 'boolean', 'undefined'].includes(typeof value)) {
    return [];
  }
  if (typeof value !== 'object') return [path];
  const proto = Object.getPrototypeOf(value);
  if (proto !== Object.prototype && proto !== Array.prototype) return [path];
  return Object.entries(value).flatMap(([key, inner]) => impure(inner, `${path}.${key}`));
}

/** Keys of a config that the subset leaves out, by their path. */
function foreign(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    ...(['invoke', 'after', 'history', 'entry', 'exit', 'delays'].includes(key)
      ? [`${path}.${key}`]
      : []),
    ...foreign(inner, `${path}.${key}`),
  ]);
}

/** Names of guards and actions that a config uses. */
function namesUsed(value: unknown, key = ''): string[] {
  if (typeof value === 'string') return key === 'guard' || key === 'actions' ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([inner, item]) =>
    namesUsed(item, Array.isArray(value) ? key : inner),
  );
}

/** Leaf states of a region, with dots for nesting. */
const leaves = (states: Readonly<Record<string, Region>>, prefix = ''): string[] =>
  Object.entries(states).flatMap(([name, { states: inner }]) =>
    Object.keys(inner).length === 0 ? [`${prefix}${name}`] : leaves(inner, `${prefix}${name}.`),
  );

const firstLeaf = (region: Region): string => {
  const key = region.initial.target?.[0]?.key;
  if (key === undefined) return '';
  const rest = firstLeaf(region.states[key]!);
  return rest === '' ? key : `${key}.${rest}`;
};

describe.each(Object.entries(MACHINES))('the machine %s', (_name, { machine, struct, signals }) => {
  const { config, events, states } = machine as Machine;
  const { context, ...rest } = config as { context: unknown };

  test('is plain data but for its context', () => {
    expect(impure(rest, 'config')).toEqual([]);
    expect(JSON.parse(JSON.stringify(rest))).toEqual(rest);
    expect(typeof context).toBe('function');
  });

  test('keeps to the subset that can be turned into tables', () => {
    expect(foreign(rest, 'config')).toEqual([]);
  });

  test('names only guards and actions that it has', () => {
    const { implementations } = machine as {
      implementations: { guards: object; actions: object };
    };
    const known = new Set([
      ...Object.keys(implementations.guards),
      ...Object.keys(implementations.actions),
    ]);
    expect(namesUsed(rest).filter((name) => !known.has(name))).toEqual([]);
  });

  test('reacts to each of its signals, and to nothing else', () => {
    expect([...events].sort()).toEqual(Object.keys(signals).sort());
  });

  test('has each region’s leaf states in the header of its struct, the first one first', () => {
    const blank = new struct();
    for (const [region, node] of Object.entries(states)) {
      const first = (blank as unknown as Record<string, unknown>)[region];
      expect(first, region).toBe(firstLeaf(node));
      for (const leaf of leaves(node.states)) {
        const with_ = struct.fromJSON({ ...blank.toJSON(), [region]: leaf });
        expect((with_ as unknown as Record<string, unknown>)[region]).toBe(leaf);
      }
    }
  });
});
