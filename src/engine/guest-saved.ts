/** What `Guest.persist` told, read back: JSON comes from anywhere, so every part is checked. */
import { GuestState, MAX_GUEST_CPUS } from '../clock/index.ts';
import { describeValue, parseU64, StructJsonError } from '../num/index.ts';
import { GuestMemory } from './guest-memory.ts';
import type { GuestReader, PersistedGuest, StealClock } from './guest-options.ts';

/** All there is of a guest. */
export interface SavedGuest {
  readonly state: GuestState;
  readonly memory: GuestMemory;
  readonly pages: Map<number, bigint>;
  readonly steals: Map<number, readonly [by: StealClock, gpa: bigint]>;
  readonly wallClockGpa: bigint;
  readonly reading: PersistedGuest['reading'];
}

const MOST_ID = 0xffff_ffff;

const refuse = (path: string, expected: string, found: unknown): never => {
  throw new StructJsonError(`guest${path}`, expected, describeValue(found));
};

function objectOf(json: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) {
    return json as Readonly<Record<string, unknown>>;
  }
  return refuse(path, 'an object', json);
}

const listOf = (json: unknown, path: string): readonly unknown[] =>
  Array.isArray(json) ? json : refuse(path, 'an array', json);

function vcpuOf(json: unknown, path: string, most: number): number {
  const isVcpu = typeof json === 'number' && Number.isInteger(json) && json >= 0 && json <= most;
  return isVcpu ? json : refuse(path, `a vCPU in 0 … ${most}`, json);
}

const gpaOf = (json: unknown, path: string): bigint =>
  typeof json === 'string' ? parseU64(json) : refuse(path, 'a u64 as a decimal string', json);

const READERS: readonly GuestReader[] = ['clocksource', 'sched_clock'];
const STEAL_CLOCKS: readonly StealClock[] = ['kvm', 'xen'];

const oneOf = <T extends string>(known: readonly T[], json: unknown, path: string): T =>
  known.find((name) => name === json) ?? refuse(path, known.join(' or '), json);

/**
 * The guest that JSON is.
 *
 * @throws StructJsonError, SyntaxError or RangeError when it is none.
 */
export function savedGuest(json: unknown): SavedGuest {
  const members = objectOf(json, '');
  const state = GuestState.fromJSON(members['state']);
  const pages = listOf(members['pages'], '.pages').map((item, i) => {
    const [vcpu, gpa] = listOf(item, `.pages[${i}]`);
    return [vcpuOf(vcpu, `.pages[${i}]`, MOST_ID), gpaOf(gpa, `.pages[${i}]`)] as const;
  });
  const steals = listOf(members['steals'] ?? [], '.steals').map((item, i) => {
    const path = `.steals[${i}]`;
    const [vcpu, by, gpa] = listOf(item, path);
    const clock = [oneOf(STEAL_CLOCKS, by, path), gpaOf(gpa, path)] as const;
    return [vcpuOf(vcpu, path, MAX_GUEST_CPUS - 1), clock] as const;
  });
  const { vcpu, by } = objectOf(members['reading'], '.reading');
  const reading = {
    vcpu: vcpuOf(vcpu, '.reading.vcpu', MOST_ID),
    by: oneOf(READERS, by, '.reading.by'),
  };
  const saved = { state, pages: new Map(pages), steals: new Map(steals), reading };
  if (state.read !== 'idle' && !saved.pages.has(reading.vcpu)) {
    refuse('.reading.vcpu', 'a vCPU with a page', reading.vcpu);
  }
  const memory = objectOf(members['memory'], '.memory') as Readonly<Record<string, string>>;
  return {
    ...saved,
    memory: GuestMemory.fromJSON(memory),
    wallClockGpa: gpaOf(members['wallClockGpa'], '.wallClockGpa'),
  };
}
