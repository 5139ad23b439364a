/**
 * Generated histories, and some directed ones, take every transition of host, VM and vCPU under
 * some profile: what the generator never does no property has seen.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AnyTransitionDefinition, InspectionEvent } from 'xstate';
import { MSRS } from '../../events/index.ts';
import { actorStepper, type Stepper } from '../../src/engine/index.ts';
import { HISTORY_PROFILES, histories, runs } from './arbitraries.ts';
import { MACHINES } from './configurations.ts';
import { PLAIN_HOST, Teller, type Told } from './directed.ts';
import { newWorld, play } from './history.ts';

interface StateNode {
  readonly id: string;
  readonly transitions: ReadonlyMap<string, readonly AnyTransitionDefinition[]>;
  readonly states: Readonly<Record<string, StateNode>>;
}

/** Every transition of a machine by name, `vm.masterclock UPDATE_COPY 2`: the third of its list. */
function namesOf(node: StateNode): [AnyTransitionDefinition, string][] {
  const own = [...node.transitions].flatMap(([signal, list]) =>
    list.map((transition, index): [AnyTransitionDefinition, string] => [
      transition,
      `${node.id} ${signal} ${index}`,
    ]),
  );
  return [...own, ...Object.values(node.states).flatMap(namesOf)];
}

const SYSTEM_TIME: Told = { type: 'wrmsr', index: MSRS.MSR_KVM_SYSTEM_TIME, data: 0x2001n };
const HV_PAGE = { index: MSRS.HV_X64_MSR_REFERENCE_TSC, data: 0x7001n } as const;
const HV_EMULATION = { index: MSRS.HV_X64_MSR_TSC_EMULATION_CONTROL, data: 1n } as const;

/** What generated histories seldom do: a kernel too old for them, and rare meetings. */
function directed(stepper: Stepper): void {
  const old = new Teller('v4.4', PLAIN_HOST, stepper).boot(1);
  old.tell({ type: 'KVM_SET_CLOCK', clock: 0n, flags: 0 });
  // More loads in a second than may bring all pages up to date.
  const busy = new Teller('v7.3', PLAIN_HOST, stepper).boot(1);
  busy.run(0, SYSTEM_TIME);
  for (let cpu = 0; cpu < 16; cpu += 1) {
    busy.tell({ type: 'vcpu_load', cpu: cpu % 2 }, { type: 'vcpu_put' });
  }
  // The host sets the page that the guest counts on staying as it is.
  const hyperv = new Teller('v6.8', PLAIN_HOST, stepper).boot(1);
  hyperv.run(0, { type: 'wrmsr', ...HV_PAGE });
  hyperv.run(0, { type: 'wrmsr', ...HV_EMULATION }, { type: 'KVM_SET_MSRS', ...HV_PAGE });
  // Before v5.13 a page that broke with the masterclock is mended with it.
  const mended = new Teller('v5.10', PLAIN_HOST, stepper).boot(1);
  mended.run(0, { type: 'wrmsr', ...HV_PAGE });
  mended.tell({ type: 'change_clocksource', vclockMode: 0 }, { type: 'pvclock_gtod_work' });
  mended.run(0);
  mended.tell({ type: 'change_clocksource', vclockMode: 1 });
  mended.tell({ type: 'KVM_SET_CLOCK', clock: 0n, flags: 0 });
  mended.run(0);
  // A timer far ahead, which the generator's instants seldom leave standing.
  const timed = new Teller('v6.8', PLAIN_HOST, stepper).boot(1);
  const deadline = 1n << 60n;
  timed.run(0, { type: 'wrmsr', index: MSRS.IA32_TSC_DEADLINE, data: deadline });
  timed.tell({ type: 'tsc_deadline', vcpu: 0 });
  // A guest faster than a host that cannot scale.
  const fast = new Teller('v6.8', { ...PLAIN_HOST, hasTscControl: false }, stepper).boot(1);
  fast.run(0, { type: 'KVM_SET_TSC_KHZ', khz: 3_000_000 });
}

type Guard = (...args: readonly unknown[]) => boolean;

/** Lets every guard of the machines note what it answered: `vm.joinsGeneration true`. */
function watchGuards(answers: Set<string>): string[] {
  return Object.entries(MACHINES).flatMap(([machine, { implementations }]) => {
    const guards = implementations.guards as unknown as Record<string, Guard>;
    return Object.entries(guards).flatMap(([name, guard]) => {
      guards[name] = (...args) => {
        const answer = guard(...args);
        answers.add(`${machine}.${name} ${answer}`);
        return answer;
      };
      return [`${machine}.${name} true`, `${machine}.${name} false`];
    });
  });
}

/** Nothing sends these yet. */
const NOT_SENT = ['vcpu.level.l1 ENTER_L2 0', 'vcpu.level.l2 LEAVE_L2 0'];

test('every transition is taken, and every guard answers both ways', () => {
  const answers = new Set<string>();
  const possible = watchGuards(answers);
  const left = new Map(
    Object.values(MACHINES).flatMap((machine) => namesOf(machine.root as unknown as StateNode)),
  );
  const all = left.size;
  const stepper = actorStepper((event: InspectionEvent) => {
    if (event.type !== '@xstate.microstep') return;
    for (const transition of event._transitions) left.delete(transition);
  });
  for (const id of HISTORY_PROFILES) {
    fc.assert(
      fc.property(histories(120, [id]), (spec) => {
        play(spec, {}, newWorld(spec, stepper));
      }),
      runs(90),
    );
  }
  directed(stepper);
  expect([...left.values()].sort()).toEqual(NOT_SENT);
  expect(all).toBeGreaterThan(100);
  expect(possible.filter((answer) => !answers.has(answer))).toEqual([]);
});
