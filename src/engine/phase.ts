/**
 * The vocabulary of the routes: how an input becomes signals to machines.
 *
 * A route is a list of phases, plain data as the machines are. A phase steps one machine, or holds
 * other phases: those of a function of the kernel's, or such as happen under a condition or once for
 * each VM or vCPU. Machines never send to each other; loops live here.
 */
import type { HostSignal, VcpuSignal, VmSignal } from '../../machines/index.ts';
import type { ConditionName } from './conditions.ts';

/** One step of an input's way. */
export type Phase =
  | { readonly level: 'host'; readonly signal: HostSignal }
  | { readonly level: 'vm'; readonly signal: VmSignal }
  | { readonly level: 'vcpu'; readonly signal: VcpuSignal }
  | { readonly when: ConditionName; readonly holds: boolean; readonly phases: Route }
  | { readonly each: 'vm' | 'vcpu'; readonly phases: Route }
  | { readonly call: string; readonly phases: Route };

/** An input's way. */
export type Route = readonly Phase[];

/** Steps the host. */
export const host = (signal: HostSignal): Phase => ({ level: 'host', signal });

/** Steps the VM whose turn it is. */
export const vm = (signal: VmSignal): Phase => ({ level: 'vm', signal });

/** Steps the vCPU whose turn it is. */
export const vcpu = (signal: VcpuSignal): Phase => ({ level: 'vcpu', signal });

/** These phases, if the condition holds when their turn comes. */
export const when = (condition: ConditionName, ...phases: Route): Phase => ({
  when: condition,
  holds: true,
  phases,
});

/** These phases, unless the condition holds when their turn comes. */
export const unless = (condition: ConditionName, ...phases: Route): Phase => ({
  when: condition,
  holds: false,
  phases,
});

/** These phases for each VM of the host. */
export const eachVm = (...phases: Route): Phase => ({ each: 'vm', phases });

/** These phases for each vCPU of the VM whose turn it is. */
export const eachVcpu = (...phases: Route): Phase => ({ each: 'vcpu', phases });

/** What one function of the kernel's does, by its name; what other routes may hold as well. */
export const call = (name: string, ...phases: Route): Phase => ({ call: name, phases });
