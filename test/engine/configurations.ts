/** The states that machines are in, read from the headers of their structs. */

import { hostMachine, vcpuMachine, vmMachine } from '../../machines/index.ts';
import type { World } from '../../src/engine/index.ts';

/** The machines that a world steps. */
export const MACHINES = { host: hostMachine, vm: vmMachine, vcpu: vcpuMachine } as const;

export type MachineName = keyof typeof MACHINES;

interface StateConfig {
  readonly states?: Readonly<Record<string, StateConfig>>;
}

const leaves = ({ states = {} }: StateConfig, prefix = ''): string[] =>
  Object.entries(states).flatMap(([name, inner]) =>
    inner.states === undefined ? [`${prefix}${name}`] : leaves(inner, `${prefix}${name}.`),
  );

/** Every leaf state of a machine, as `region.state`. */
export const statesOf = (name: MachineName): string[] => {
  const regions = MACHINES[name].config.states as Readonly<Record<string, StateConfig>>;
  return Object.entries(regions).flatMap(([region, config]) =>
    leaves(config).map((leaf) => `${region}.${leaf}`),
  );
};

/** The active states of one struct of a machine, as `region.state`. */
function activeStates(name: MachineName, state: object): string[] {
  const header = state as Readonly<Record<string, string>>;
  return Object.keys(MACHINES[name].config.states as object).map(
    (region) => `${region}.${header[region]}`,
  );
}

/** Every configuration that some machine of a world is in: `vm life.alive masterclock.on …`. */
export function configurationsOf(world: World): string[] {
  const text = (name: MachineName, state: object): string =>
    [name, ...activeStates(name, state)].join(' ');
  return [
    text('host', world.host),
    ...[...world.vms.values()].flatMap(({ cell, vcpus }) => [
      text('vm', cell.state),
      ...[...vcpus.values()].map(({ state }) => text('vcpu', state)),
    ]),
  ];
}
