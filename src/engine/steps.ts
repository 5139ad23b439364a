/**
 * Routes in the form in which they are walked: all steps have one shape, so that walking them takes
 * no more than what they do.
 */
import type { HostSignal, VcpuSignal, VmSignal } from '../../machines/index.ts';
import type { Condition, Phase, Route } from './phase.ts';

/** What a step does. */
export const STEP = { host: 0, vm: 1, vcpu: 2, when: 3, eachVm: 4, eachVcpu: 5 } as const;

/** One step of a route; `kind` says which of the members count. */
export interface Step {
  readonly kind: (typeof STEP)[keyof typeof STEP];
  readonly host: HostSignal;
  readonly vm: VmSignal;
  readonly vcpu: VcpuSignal;
  readonly condition: Condition;
  readonly steps: readonly Step[];
}

const BLANK: Step = {
  kind: STEP.host,
  host: 'SUSPEND',
  vm: 'GET_CLOCK',
  vcpu: 'LOAD',
  condition: () => false,
  steps: [],
};

function stepOf(phase: Phase): Step {
  if ('when' in phase) {
    const steps = stepsOf(phase.phases);
    return { ...BLANK, kind: STEP.when, condition: phase.when, steps };
  }
  if ('each' in phase) {
    const kind = phase.each === 'vm' ? STEP.eachVm : STEP.eachVcpu;
    return { ...BLANK, kind, steps: stepsOf(phase.phases) };
  }
  switch (phase.level) {
    case 'host':
      return { ...BLANK, kind: STEP.host, host: phase.signal };
    case 'vm':
      return { ...BLANK, kind: STEP.vm, vm: phase.signal };
    case 'vcpu':
      return { ...BLANK, kind: STEP.vcpu, vcpu: phase.signal };
  }
}

/** The steps of a route. */
export const stepsOf = (route: Route): readonly Step[] => route.map(stepOf);
