/** The order of a restore: a deadline that KVM reckons from a TSC which is not there yet. */
import { MSRS } from '../../../events/index.ts';
import { formatNs } from '../../../replay/quantity.ts';
import { asked } from '../common.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';
import {
  ABOUT_ADVANCE,
  type Armed,
  armedBy,
  deadlineHost,
  deadlineParams,
  fire,
  firesText,
  guestCycles,
  pastBy,
} from './guest.ts';

const { IA32_TSC, IA32_TSC_DEADLINE } = MSRS;

const ORDERS = {
  'TSC, TSC_DEADLINE': [IA32_TSC, IA32_TSC_DEADLINE],
  'TSC_DEADLINE, TSC': [IA32_TSC_DEADLINE, IA32_TSC],
} as const;

/** The VMM writes the two MSRs that it saved. @returns the timer that was set of them */
function restore(
  sim: Simulation,
  vm: SimulatedVm,
  order: readonly number[],
  saved: ReadonlyMap<number, bigint>,
): Armed | undefined {
  vm.on(0, { type: 'vcpu_load', cpu: 0 });
  const armed = order.map((index) =>
    armedBy(sim, vm.on(0, { type: 'KVM_SET_MSRS', index, data: saved.get(index) ?? 0n })),
  );
  vm.leave(0);
  return armed.find((its) => its !== undefined);
}

export const deadlineRestore = scenario({
  name: 'deadline-restore',
  title: 'a deadline restored before the TSC leaves the guest waiting for its timer',
  source:
    '“Processes get stuck after resuming VM from snapshot” (firecracker #4099, mended by #4666), 2024',
  profile: 'v6.1',
  compare: ['v4.4', 'v5.10', 'v6.1', 'v7.3'],
  switches: [],
  about: [
    'A guest was saved `--age` after its TSC began, its timer due `--due` later. A VMM restores both MSRs into a new VM that was created `--boot` ago.',
    'TSC first: the distance is what it was. TSC_DEADLINE first: KVM reckons it from the new VM’s TSC, which has counted `--boot`, and the guest’s life lies between the two; the write of the TSC that follows does not touch the timer (`deadline-offset`). The vCPU gets no tick for as long as that is, less whole wraps of the conversion (`deadline-overflow`). Tasks that sleep on this vCPU do not wake up: users see processes that hang after a resume, until some other interrupt has Linux set its timer anew.',
    'A new VM whose TSC is past the deadline already (`--boot 1min --age 2s`) fires it at once. The guest enters by the TSC that is written after it, and has its interrupt as much early as the timer was due in.',
    ABOUT_ADVANCE,
  ],
  params: {
    ...deadlineParams('2500000'),
    age: duration('1d', 'how old the guest’s TSC is', { least: '2s', most: '3650d' }),
    due: duration('10ms', 'after which time its timer is due', { least: '1us', most: '1h' }),
    boot: duration('100ms', 'how long ago the new VM was created', { least: '0', most: '1min' }),
  },
  run(stage, params) {
    const rows = Object.entries(ORDERS).map(([name, order], i): Cell[] => {
      const sim = stage.host(deadlineHost(params), i === 0 ? 'tsc-first' : 'deadline-first');
      const vm = sim.vm();
      const tscKhz = asked(params.guestKhz);
      vm.perform({ type: 'launch', ...(tscKhz === undefined ? {} : { tscKhz }) });
      vm.perform({ type: 'hotplug', vcpu: 0, cpu: 0 });
      sim.host.pass(params.boot);
      const tsc = guestCycles(vm, params.age);
      const deadline = tsc + guestCycles(vm, params.due);
      const saved = new Map([
        [IA32_TSC, tsc],
        [IA32_TSC_DEADLINE, deadline],
      ]);
      const armed = restore(sim, vm, order, saved);
      stage.tell(sim, `restored in the order ${name}; the guest goes on`);
      vm.perform({ type: 'resume' });
      vm.enter(0);
      const isAtOnce = armed?.lateNs !== undefined;
      // An interrupt of a vCPU that is being restored waits for its first entry.
      const late = isAtOnce ? pastBy(vm, deadline) : fire(sim, vm, armed);
      stage.tell(sim, `its timer ${firesText(late, (ns) => `${ns} ns`)}`);
      return [name, params.due, isAtOnce ? 'at once' : (armed?.delayNs ?? 'never'), late];
    });
    const late = rows[1]![3] as bigint;
    return () => ({
      columns: ['order', 'due in (ns)', 'set for (ns)', 'late (ns)'],
      rows,
      verdict: `restored before the TSC, a timer due in ${formatNs(params.due)} ${firesText(late, formatNs)}`,
    });
  },
});
