/** Runs tables that no build has made code of: the same code is made here and now. */
import {
  type Ctx,
  HostState,
  hostGuards,
  hostRecipes,
  VcpuState,
  VmState,
  vcpuGuards,
  vcpuRecipes,
  vmGuards,
  vmRecipes,
} from '../../src/clock/index.ts';
import type { MachineTable } from '../../src/engine/derive/index.ts';
import { tableCode } from '../../src/engine/derive/table-code.ts';
import type { Stepper } from '../../src/engine/index.ts';
import type { AnyStructType } from '../../src/num/index.ts';
import type { Tables } from './table-faults.ts';

type Method = (this: { readonly state: unknown }, ctx: Ctx) => void;

/** A class with a method for each signal of a table; one without an entry anywhere does nothing. */
function classOf(table: MachineTable, type: AnyStructType, guards: object, recipes: object) {
  const { constants, methods } = tableCode(table, type);
  const preamble = [...constants].map(([name, value]) => `const ${name} = ${value};`).join('\n');
  const compiled = [...methods].map(([signal, body]) => {
    const make = new Function(
      'guards',
      'recipes',
      `${preamble}\nreturn function (ctx) {\n${body.join('\n')}\n};`,
    ) as (guards: object, recipes: object) => Method;
    return [signal, make(guards, recipes)] as const;
  });
  const nothing = (): void => {};
  return (state: unknown) => {
    const cell = Object.create(Object.fromEntries(compiled)) as object;
    Object.assign(cell, { state });
    return new Proxy(cell, { get: (target, name) => Reflect.get(target, name) ?? nothing });
  };
}

/** Steps machines as these tables say. */
export function stepperOf({ host, vm, vcpu }: Tables): Stepper {
  return {
    host: classOf(host, HostState, hostGuards, hostRecipes),
    vm: classOf(vm, VmState, vmGuards, vmRecipes),
    vcpu: classOf(vcpu, VcpuState, vcpuGuards, vcpuRecipes),
  } as unknown as Stepper;
}
