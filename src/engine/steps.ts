/**
 * Routes in the form in which they are walked: one list of steps of one shape, in which what happens
 * under a condition or for each follows its condition, so that walking them takes no more than what
 * they do.
 */
import type { HostSignal, VcpuSignal, VmSignal } from '../../machines/index.ts';
import type { Condition, Phase, Route } from './phase.ts';

/** What a step does. */
export const STEP = { host: 0, vm: 1, vcpu: 2, when: 3, eachVm: 4, eachVcpu: 5 } as const;

/** What a step does, by its kind. */
interface Deed {
  readonly host?: HostSignal;
  readonly vm?: VmSignal;
  readonly vcpu?: VcpuSignal;
  readonly condition?: Condition;
  readonly inner?: number;
}

/** One step of a route; `kind` says which of the members count. A class, so that V8 knows one shape. */
export class Step {
  readonly kind: (typeof STEP)[keyof typeof STEP];
  readonly host: HostSignal;
  readonly vm: VmSignal;
  readonly vcpu: VcpuSignal;
  readonly condition: Condition;
  /** How many of the steps that follow are those of the condition, or of each. */
  readonly inner: number;

  constructor(kind: Step['kind'], deed: Deed) {
    this.kind = kind;
    this.host = deed.host ?? 'SUSPEND';
    this.vm = deed.vm ?? 'GET_CLOCK';
    this.vcpu = deed.vcpu ?? 'LOAD';
    this.condition = deed.condition ?? (() => true);
    this.inner = deed.inner ?? 0;
  }
}

function stepsOfPhase(phase: Phase): readonly Step[] {
  if ('when' in phase) {
    const inner = stepsOf(phase.phases);
    return [new Step(STEP.when, { condition: phase.when, inner: inner.length }), ...inner];
  }
  if ('each' in phase) {
    const inner = stepsOf(phase.phases);
    const kind = phase.each === 'vm' ? STEP.eachVm : STEP.eachVcpu;
    return [new Step(kind, { inner: inner.length }), ...inner];
  }
  switch (phase.level) {
    case 'host':
      return [new Step(STEP.host, { host: phase.signal })];
    case 'vm':
      return [new Step(STEP.vm, { vm: phase.signal })];
    case 'vcpu':
      return [new Step(STEP.vcpu, { vcpu: phase.signal })];
  }
}

/** The steps of a route. */
export const stepsOf = (route: Route): readonly Step[] => route.flatMap(stepsOfPhase);
