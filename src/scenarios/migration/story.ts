/** What happens in a migration, in the order of its instants. */
import type { Input, InputType } from '../../../events/index.ts';
import type { Performed } from '../../engine/index.ts';
import type { StoryLine } from '../scenario.ts';
import type { Journey } from './run.ts';
import type { Site } from './site.ts';

const IA32_TSC = 0x10;

/** The same deed so much later is told again. */
const AGAIN_NS = 1_000_000n;

/** What an input is to a reader; the same thing done to several vCPUs is told once. */
const DEEDS: { readonly [T in InputType]?: string } = {
  kvm_exit: 'the guest is stopped',
  KVM_GET_TSC_OFFSET: 'TSC offsets are read',
  KVM_GET_TSC_STATE: 'TSCs and the time are read',
  KVM_GET_CLOCK: 'the clock is read',
  KVM_GET_CLOCK_GUEST: 'the clock is read as the guest reads it',
  KVM_CREATE_VCPU: 'vCPUs are created',
  KVM_SET_TSC_KHZ: 'the TSCs’ frequency is set',
  KVM_SET_TSC_OFFSET: 'TSC offsets are set',
  KVM_SET_TSC_STATE: 'TSCs are set by the time',
  KVM_SET_CLOCK: 'the clock is set',
  KVM_SET_CLOCK_GUEST: 'the clock is set as the guest read it',
};

function deedOf(input: Input): string | undefined {
  if (!('index' in input)) return DEEDS[input.type];
  if (input.index !== IA32_TSC) return undefined;
  return input.type === 'KVM_GET_MSRS' ? 'TSCs are read' : 'TSCs are written';
}

function* deeds(site: Site, performed: Performed): Generator<StoryLine> {
  const host = site.simulation.name;
  const told = new Map<string, bigint>();
  for (const { input, dispatched } of performed.inputs) {
    const deed = deedOf(input);
    if (deed === undefined) continue;
    const timeNs = site.timeAt(input.tsc);
    const last = told.get(deed);
    told.set(deed, timeNs);
    if (last !== undefined && timeNs - last < AGAIN_NS) continue;
    yield { host, timeNs, text: dispatched.refused ? `${deed}, but the kernel refuses` : deed };
  }
}

/** The story of one migration; times are true ones since the guest's boot. */
export function storyOf({ source, destination, out, into, vcpus }: Journey): StoryLine[] {
  const runs = vcpus.map(({ enteredAt }) => enteredAt)[0] ?? 0n;
  return [
    ...deeds(source, out),
    ...deeds(destination, into),
    { host: destination.simulation.name, timeNs: runs, text: 'the guest runs' },
  ];
}
