import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INPUTS, type InputType } from '../../events/index.ts';
import { HOST_SIGNALS, VCPU_SIGNALS, VM_SIGNALS } from '../../machines/index.ts';
import { type Dispatched, MSR_ROUTES, type Phase, ROUTES } from '../../src/engine/index.ts';
import { histories, runs } from './arbitraries.ts';
import { MACHINES, type MachineName } from './configurations.ts';
import { futureOf } from './future.ts';
import { newWorld, play } from './history.ts';
import { partsOf } from './machine-parts.ts';

const SIGNALS: Readonly<Record<MachineName, Readonly<Record<string, string>>>> = {
  host: HOST_SIGNALS,
  vm: VM_SIGNALS,
  vcpu: VCPU_SIGNALS,
};
const NAMES: readonly MachineName[] = ['host', 'vm', 'vcpu'];

const signalsOf = (route: readonly Phase[]): string[] =>
  route.flatMap((phase) =>
    'phases' in phase ? signalsOf(phase.phases) : [`${phase.level} ${phase.signal}`],
  );

const routed = new Set(
  [
    ...Object.values(ROUTES),
    ...[...MSR_ROUTES.values()].flatMap((r) => [r.wrmsr, r.KVM_SET_MSRS]),
  ].flatMap(signalsOf),
);

describe('the table of routes', () => {
  it('has a route for every input', () => {
    const inputs = Object.keys(INPUTS) as InputType[];
    const byMsr: readonly InputType[] = ['wrmsr', 'KVM_SET_MSRS'];
    expect(inputs.filter((type) => !byMsr.includes(type) && !Object.hasOwn(ROUTES, type))).toEqual(
      [],
    );
    expect(Object.keys(ROUTES).filter((type) => !Object.hasOwn(INPUTS, type))).toEqual([]);
    const routes = [
      ...Object.values(ROUTES),
      ...[...MSR_ROUTES.values()].flatMap(({ wrmsr, KVM_SET_MSRS }) => [wrmsr, KVM_SET_MSRS]),
    ];
    expect(routes.filter((route) => signalsOf(route).length === 0)).toEqual([]);
  });

  it('names signals that their machines declare, and all of them', () => {
    const declared = NAMES.flatMap((name) => Object.keys(SIGNALS[name]).map((s) => `${name} ${s}`));
    expect([...routed].filter((signal) => !declared.includes(signal))).toEqual([]);
    expect(declared.filter((signal) => !routed.has(signal))).toEqual([]);
  });
});

describe.each(NAMES.map((name) => [name]))('the machine of the %s', (name) => {
  const parts = partsOf(name);
  const { implementations } = MACHINES[name];

  it('handles in some state every signal it declares, and no other', () => {
    expect([...parts.signals].sort()).toEqual(Object.keys(SIGNALS[name]).sort());
  });

  it('says what each signal means', () => {
    expect(Object.entries(SIGNALS[name]).filter(([, doc]) => doc.length < 5)).toEqual([]);
  });

  it('uses every guard and action it is given, and has every one it uses', () => {
    expect([...parts.guards].sort()).toEqual(Object.keys(implementations.guards).sort());
    expect([...parts.actions].sort()).toEqual(Object.keys(implementations.actions).sort());
  });
});

const seenOf = ({ observations }: Dispatched, type: string, name?: string): boolean =>
  observations.some(
    (o) => o.type === type && (name === undefined || ('name' in o && o.name === name)),
  );

describe('every dispatch', () => {
  it('yields one masterclock record that agrees with what was seen', () => {
    const decisions = new Set<string>();
    fc.assert(
      fc.property(histories(), (spec) => {
        play(spec, {
          after: (_input, dispatched) => {
            const { decision, by } = dispatched.masterclock;
            decisions.add(decision);
            expect(by.trim()).not.toBe('');
            expect(decision === 'recomputed').toBe(seenOf(dispatched, 'kvm_update_master_clock'));
            if (seenOf(dispatched, 'request', 'MASTERCLOCK_UPDATE'))
              expect(decision).not.toBe('kept');
          },
        });
      }),
      runs(80),
    );
    expect([...decisions].sort()).toEqual(['kept', 'recomputed', 'requested']);
  });

  it('comes to the same when it all happens again', () => {
    fc.assert(
      fc.property(histories(), (spec) => {
        const inputs = play(spec);
        expect(futureOf(newWorld(spec), inputs)).toEqual(futureOf(newWorld(spec), inputs));
      }),
      runs(60),
    );
  });
});
