/**
 * The vocabulary of the routes: how an input becomes signals to machines.
 *
 * A route is a list of phases. A phase steps one machine, or holds other phases that happen under a
 * condition or once for each VM or vCPU. Machines never send to each other; loops live here.
 */
import type { HostSignal, VcpuSignal, VmSignal } from '../../machines/index.ts';
import type { Ctx } from '../clock/index.ts';

/** Whether a phase happens; asked when its turn comes. */
export type Condition = (ctx: Ctx) => boolean;

/** A condition with a name of its own: `docs/machines.md` prints them. */
export const named = (name: string, condition: Condition): Condition =>
  Object.defineProperty(condition, 'name', { value: name });

/** The opposite. */
export const not = (condition: Condition): Condition =>
  named(`not ${condition.name}`, (ctx) => !condition(ctx));

/** One step of an input's way. */
export type Phase =
  | { readonly level: 'host'; readonly signal: HostSignal }
  | { readonly level: 'vm'; readonly signal: VmSignal }
  | { readonly level: 'vcpu'; readonly signal: VcpuSignal }
  | { readonly when: Condition; readonly phases: Route }
  | { readonly each: 'vm' | 'vcpu'; readonly phases: Route };

/** An input's way. */
export type Route = readonly Phase[];

/** Steps the host. */
export const host = (signal: HostSignal): Phase => ({ level: 'host', signal });

/** Steps the VM whose turn it is. */
export const vm = (signal: VmSignal): Phase => ({ level: 'vm', signal });

/** Steps the vCPU whose turn it is. */
export const vcpu = (signal: VcpuSignal): Phase => ({ level: 'vcpu', signal });

/** These phases, if the condition holds when their turn comes. */
export const when = (condition: Condition, ...phases: Route): Phase => ({
  when: condition,
  phases,
});

/** These phases for each VM of the host. */
export const eachVm = (...phases: Route): Phase => ({ each: 'vm', phases });

/** These phases for each vCPU of the VM whose turn it is. */
export const eachVcpu = (...phases: Route): Phase => ({ each: 'vcpu', phases });
