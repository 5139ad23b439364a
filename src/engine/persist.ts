/**
 * A world as JSON and back: the same bytes, and so the same future.
 *
 * What is kept is all there is: the kernel's switches, the instant and number of the last input, and
 * the structs, in whose headers the machines' states stand. JSON comes from anywhere, so what is put
 * back is checked first for everything that recipes count on.
 */
import { gtodIsBasedOnTsc, HostState, MAX_HOST_CPUS, VcpuState, VmState } from '../clock/index.ts';
import { parseU64, StructJsonError, scaleTsc } from '../num/index.ts';
import { isSwitchValue, SWITCH_NAMES, SWITCHES, type Switches } from '../profiles/index.ts';
import { HOST_RULES, MOST_RATIO, type Rule } from './host-rules.ts';
import { RestoreError } from './restore-error.ts';
import type { Stepper } from './stepper.ts';
import { World } from './world.ts';

/** Name of the form, for whoever finds it. */
const FORM = 'masterclock/world';
/** Of the form; another one is not read. */
export const PERSIST_VERSION = 1;

/** A vCPU of a persisted world. */
interface PersistedVcpu {
  readonly id: number;
  readonly state: Readonly<Record<string, unknown>>;
}

/** A VM of a persisted world, its vCPUs in the order of creation. */
interface PersistedVm extends PersistedVcpu {
  readonly vcpus: readonly PersistedVcpu[];
}

/** A world in JSON. */
export interface PersistedWorld {
  readonly form: typeof FORM;
  readonly version: typeof PERSIST_VERSION;
  readonly switches: Switches;
  /** Inputs dispatched so far. */
  readonly count: number;
  /** Instant of the last one, host TSC, decimal. */
  readonly lastTsc: string;
  readonly host: Readonly<Record<string, unknown>>;
  readonly vms: readonly PersistedVm[];
}

/** All there is of a world, as plain JSON. */
export function persist(world: World): PersistedWorld {
  return {
    form: FORM,
    version: PERSIST_VERSION,
    switches: { ...world.switches },
    count: world.count,
    lastTsc: String(world.lastTsc),
    host: world.host.toJSON(),
    vms: [...world.vms.values()].map(({ id, cell, vcpus }) => ({
      id,
      state: cell.state.toJSON(),
      vcpus: [...vcpus].map(([vcpu, { state }]) => ({ id: vcpu, state: state.toJSON() })),
    })),
  };
}

type Members = ReadonlyMap<string, unknown>;

/** The members of an object: these and no others. */
function membersOf(json: unknown, path: string, names: readonly string[]): Members {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new RestoreError(path, 'an object', json);
  }
  const members = new Map<string, unknown>(Object.entries(json));
  for (const name of names) {
    if (!members.has(name)) throw new RestoreError(join(path, name), 'a value', undefined);
  }
  for (const name of members.keys()) {
    if (!names.includes(name)) throw new RestoreError(path, 'only its own members', name);
  }
  return members;
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

function listOf(json: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(json)) throw new RestoreError(path, 'an array', json);
  return json;
}

/** An integer that is one of the numbers JSON carries exactly. */
function countOf(json: unknown, path: string, most: number): number {
  if (typeof json === 'number' && Number.isInteger(json) && json >= 0 && json <= most) return json;
  throw new RestoreError(path, `an integer in 0 … ${most}`, json);
}

function tscOf(json: unknown, path: string): bigint {
  if (typeof json === 'string') {
    try {
      return parseU64(json);
    } catch {
      // Falls through to the error below, which says where it is.
    }
  }
  throw new RestoreError(path, 'a u64 as a decimal string', json);
}

function switchesOf(json: unknown): Switches {
  const members = membersOf(json, 'switches', SWITCH_NAMES);
  for (const name of SWITCH_NAMES) {
    const value = members.get(name);
    if (!isSwitchValue(name, value)) {
      throw new RestoreError(`switches.${name}`, SWITCHES[name].values.join(', '), value);
    }
  }
  return Object.freeze(Object.fromEntries(members)) as Switches;
}

/** Of a saved host, which stands in a world of a kernel: also which clocksource is the TSC to it. */
const hostRules = (switches: Switches): readonly Rule<HostState>[] => [
  [
    'vclockMode',
    'that of the clocksource',
    (h) => gtodIsBasedOnTsc(h.vclockMode, switches) === (h.clocksource === 'tsc'),
  ],
  ...HOST_RULES,
];

/** Whether a ratio leaves at least 1 Hz of a host's CPUs, as no scale can be made of less. */
function leavesHz(ratio: bigint, host: HostState): boolean {
  const cpus = host.constantTsc ? [] : host.cpuTscKhz;
  return [host.tscKhz, ...cpus].every(
    (khz) => khz === 0 || scaleTsc(BigInt(khz) * 1000n, ratio, host.tscScalingRatioFracBits) > 0n,
  );
}

const VM_RULES: readonly Rule<VmState>[] = [
  ['life', 'alive', (vm) => vm.life === 'alive'],
  [
    'defaultTscKhz',
    'what a ratio can express',
    (vm, h) => !h.hasTscControl || !h.constantTsc || vm.defaultTscKhz < h.tscKhz * MOST_RATIO,
  ],
  [
    'lastTscScalingRatio',
    '0 or a ratio that leaves at least 1 Hz',
    (vm, h) =>
      vm.lastTscScalingRatio === 0n || !h.hasTscControl || leavesHz(vm.lastTscScalingRatio, h),
  ],
];

const VCPU_RULES: readonly Rule<VcpuState>[] = [
  ['life', 'created or online', (v) => v.life === 'created' || v.life === 'online'],
  ['cpu', `−1 … ${MAX_HOST_CPUS - 1}`, (v) => v.cpu >= -1 && v.cpu < MAX_HOST_CPUS],
  ['virtualTscShift', 'a shift of −63 … 63', (v) => Math.abs(v.virtualTscShift) <= 63],
  ['pvclockTscShift', 'a shift of −31 … 31', (v) => Math.abs(v.pvclockTscShift) <= 31],
];

/** A struct from its JSON, checked. */
function stateOf<S>(
  json: unknown,
  path: string,
  type: { fromJSON(json: unknown): S },
  rules: readonly Rule<S>[],
  hostOf: (state: S) => HostState,
): S {
  let state: S;
  try {
    state = type.fromJSON(json);
  } catch (error) {
    if (!(error instanceof StructJsonError)) throw error;
    const field = error.path.slice(error.path.indexOf('.') + 1);
    const at = error.path.includes('.') ? join(path, field) : path;
    throw new RestoreError(at, error.expected, json, error.found);
  }
  for (const [field, expected, holds] of rules) {
    if (!holds(state, hostOf(state))) {
      throw new RestoreError(join(path, field), expected, state[field]);
    }
  }
  return state;
}

const MOST_ID = 0xffff_ffff;

type SavedVm = { state: VmState; vcpus: Map<number, VcpuState> };

function vcpusOf(json: unknown, path: string, host: HostState): Map<number, VcpuState> {
  const vcpus = new Map<number, VcpuState>();
  listOf(json, path).forEach((item, index) => {
    const at = `${path}[${index}]`;
    const members = membersOf(item, at, ['id', 'state']);
    const id = countOf(members.get('id'), `${at}.id`, MOST_ID);
    const state = stateOf(members.get('state'), `${at}.state`, VcpuState, VCPU_RULES, () => host);
    if (vcpus.has(id)) throw new RestoreError(`${at}.id`, 'an id of its own', id);
    if (state.vcpuId !== id) throw new RestoreError(`${at}.state.vcpuId`, String(id), state.vcpuId);
    vcpus.set(id, state);
  });
  return vcpus;
}

function vmsOf(json: unknown, host: HostState): Map<number, SavedVm> {
  const vms = new Map<number, SavedVm>();
  listOf(json, 'vms').forEach((item, index) => {
    const at = `vms[${index}]`;
    const members = membersOf(item, at, ['id', 'state', 'vcpus']);
    const id = countOf(members.get('id'), `${at}.id`, MOST_ID);
    if (vms.has(id)) throw new RestoreError(`${at}.id`, 'an id of its own', id);
    const state = stateOf(members.get('state'), `${at}.state`, VmState, VM_RULES, () => host);
    vms.set(id, { state, vcpus: vcpusOf(members.get('vcpus'), `${at}.vcpus`, host) });
  });
  return vms;
}

/**
 * The world that `persist()` wrote, from parsed JSON.
 *
 * @param options - `stepper`: what moves the machines; their decision tables by default.
 * @throws RestoreError when the JSON is damaged, of another form or of another version.
 */
export function restore(json: unknown, options: { readonly stepper?: Stepper } = {}): World {
  const named = new Map<string, unknown>(
    typeof json === 'object' && json !== null ? Object.entries(json) : [],
  );
  if (named.get('form') !== FORM) throw new RestoreError('form', `"${FORM}"`, named.get('form'));
  if (named.get('version') !== PERSIST_VERSION) {
    throw new RestoreError('version', String(PERSIST_VERSION), named.get('version'));
  }
  const names = ['form', 'version', 'switches', 'count', 'lastTsc', 'host', 'vms'];
  const members = membersOf(json, '', names);
  const switches = switchesOf(members.get('switches'));
  const count = countOf(members.get('count'), 'count', Number.MAX_SAFE_INTEGER);
  const lastTsc = tscOf(members.get('lastTsc'), 'lastTsc');
  const host = stateOf(
    members.get('host'),
    'host',
    HostState,
    hostRules(switches),
    (state) => state,
  );
  const vms = vmsOf(members.get('vms'), host);
  const world = new World({ switches, host, ...options });
  world.restore(count, lastTsc, vms);
  return world;
}
