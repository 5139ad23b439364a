/** Which transitions of a machine there are, and which of them a story takes. */
import type {
  AnyStateMachine,
  AnyStateNode,
  AnyTransitionDefinition,
  InspectionEvent,
} from 'xstate';

/** A transition by its source, its signal, and its place among those of the signal. */
function nameOf(transition: AnyTransitionDefinition): string {
  const { source, eventType } = transition;
  const place = source.transitions.get(eventType)?.indexOf(transition) ?? -1;
  return `${source.id} ${eventType} ${place}`;
}

const nodesOf = (node: AnyStateNode): AnyStateNode[] => [
  node,
  ...Object.values(node.states as Record<string, AnyStateNode>).flatMap(nodesOf),
];

/** All transitions of a machine. */
export const transitionsOf = (machine: AnyStateMachine): string[] =>
  nodesOf(machine.root).flatMap((node) => [...node.transitions.values()].flat().map(nameOf));

/** Notes the transitions that an inspector sees. */
export class Taken {
  readonly names = new Set<string>();

  readonly inspect = (event: InspectionEvent): void => {
    if (event.type !== '@xstate.microstep') return;
    for (const transition of event._transitions) this.names.add(nameOf(transition));
  };
}
