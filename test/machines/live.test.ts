import { toArray } from 'rxjs';
import { describe, expect, test } from 'vitest';
import type { InspectionEvent } from 'xstate';
import type { Input, Observation } from '../../events/index.ts';
import {
  type Dispatched,
  live,
  makeHost,
  type PersistedWorld,
  persist,
  RestoreError,
  World,
} from '../../src/engine/index.ts';
import { UnknownProfileError } from '../../src/profiles/index.ts';

const INPUTS: readonly Input[] = [
  { type: 'KVM_CREATE_VM', vm: 0, tsc: 1000n },
  { type: 'KVM_CREATE_VCPU', vm: 0, vcpu: 0, cpu: 0, tsc: 2000n },
  { type: 'vcpu_postcreate', vm: 0, vcpu: 0, tsc: 3000n },
  { type: 'vcpu_load', vm: 0, vcpu: 0, cpu: 0, tsc: 4000n },
  { type: 'kvm_entry', vm: 0, vcpu: 0, tsc: 5000n },
];

const options = { profile: 'v6.8', host: { tscKhz: 2_500_000 } } as const;

describe('a live world', () => {
  test('streams what is seen, and what each input came to', () => {
    const clock = live(options);
    const seen: Observation[] = [];
    let results: readonly Dispatched[] = [];
    clock.observations$.subscribe((observation) => seen.push(observation));
    clock.dispatched$.pipe(toArray()).subscribe((all) => {
      results = all;
    });
    const done = INPUTS.map((input) => clock.dispatch(input));
    clock.complete();
    expect(results).toEqual(done);
    expect(seen).toEqual(done.flatMap(({ observations }) => observations));
    expect(seen.map(({ type }) => type)).toContain('kvm_update_master_clock');
  });

  test('tells the active states as plain data', () => {
    const clock = live(options);
    for (const input of INPUTS) clock.dispatch(input);
    const states = clock.states();
    expect(JSON.parse(JSON.stringify(states))).toEqual(states);
    expect(states.host).toEqual({ clocksource: 'tsc', tsc: 'stable', power: 'running' });
    expect(states.vms[0]?.states['masterclock']).toBe('on');
    expect(states.vms[0]?.vcpus[0]).toMatchObject({ vcpu: 0, states: { run: 'guest' } });
  });

  test('lets an inspector see every signal', () => {
    const signals: string[] = [];
    const inspect = (event: InspectionEvent) => {
      if (event.type === '@xstate.event') signals.push(event.event.type);
    };
    const clock = live({ ...options, inspect });
    clock.dispatch(INPUTS[0]!);
    expect(signals).toContain('CREATE_VM');
    expect(signals).toContain('UPDATE_COPY');
  });

  test('goes on after an input that cannot be', () => {
    const clock = live(options);
    let seen = 0;
    clock.dispatched$.subscribe(() => {
      seen += 1;
    });
    expect(() => clock.dispatch(INPUTS[1]!)).toThrow(/VM/);
    clock.dispatch(INPUTS[0]!);
    expect(seen).toBe(1);
  });

  test('is over when completed', () => {
    const clock = live(options);
    clock.complete();
    expect(() => clock.dispatch(INPUTS[0]!)).toThrow(/completed/);
  });

  test('goes on from a saved world, whichever way that was run', () => {
    for (const cut of INPUTS.keys()) {
      const whole = live({ ...options, set: { getClock: 'base' } });
      const seen = INPUTS.map((input) => whole.dispatch(input));
      const table = new World({ switches: whole.profile.switches, host: makeHost(options.host) });
      const first = live({ ...options, set: { getClock: 'base' } });
      for (const input of INPUTS.slice(0, cut)) {
        first.dispatch(input);
        table.dispatch(input);
      }
      for (const world of [first.world, table]) {
        const from = JSON.parse(JSON.stringify(persist(world))) as PersistedWorld;
        const signals: string[] = [];
        const inspect = (event: InspectionEvent) => signals.push(event.type);
        const other = live({ profile: options.profile, from, inspect });
        expect(other.profile.overridden).toEqual(['getClock']);
        expect(INPUTS.slice(cut).map((input) => other.dispatch(input))).toEqual(seen.slice(cut));
        expect(other.states()).toEqual(whole.states());
        expect(signals).toContain('@xstate.event');
      }
    }
    const from = { form: 'else' } as unknown as PersistedWorld;
    expect(() => live({ profile: options.profile, from })).toThrow(RestoreError);
  });

  test('takes switches on top of a profile, and refuses unknown ones', () => {
    expect(live({ ...options, set: { getClock: 'base' } }).profile.overridden).toEqual([
      'getClock',
    ]);
    expect(() => live({ ...options, profile: 'v6.80' })).toThrow(UnknownProfileError);
  });
});
