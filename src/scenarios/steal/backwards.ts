/** A steal clock that goes back: the guest's kernel takes the difference for a very large one. */
import { booted, tscKhz } from '../common.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration, number } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import { Accountants, shareText } from './guests.ts';

const RECORD_GPA = 0x40_0000n;
const ENABLE = 1n;

/** The vCPU's thread comes back to its CPU, having waited for CPUs so long altogether. */
function comeBack(vm: SimulatedVm, runDelayNs: bigint): void {
  vm.leave(0);
  vm.on(0, { type: 'vcpu_load', cpu: 0 });
  vm.on(0, { type: 'kvm_entry', readings: { run_delay: runDelayNs } });
}

export const stealBackwards = scenario({
  name: 'steal-backwards',
  title: 'a steal clock that goes back has the guest report all its time as stolen',
  source:
    '“sched/cputime: Cope with steal time going backwards or negative” (RFC v3 21/21), David Woodhouse, 2024',
  profile: 'v7.3',
  compare: ['v4.4', 'v6.1', 'v7.3', 'rfc-v3'],
  switches: [],
  about: [
    'KVM adds to the guest’s steal record what the vCPU’s thread has waited for a CPU (`run_delay`) since it last looked. The number is the thread’s own: a VMM that goes on with the vCPU on another thread, which has waited less, has KVM add a negative difference, and the record goes back.',
    'At each tick a Linux guest takes the record’s advance, at most the tick, for stolen, and takes that off the advance. An advance that is negative is 2^64 ns less something: every tick is stolen, until the record is caught up with in 584 years. The patch (not merged) takes the record as it is once the advance is two ticks or more: one tick is reported, and that is all.',
    'The patch is of the guest’s kernel, so both guests are shown under any `--profile`. Where the new thread has waited longer nothing is wrong with either, except that what is more than a tick is reported later (Linux) or not at all (the patch).',
  ],
  params: {
    tscKhz: tscKhz(),
    waited: duration('10s', 'what the vCPU’s thread has waited', { least: '0', most: '1d' }),
    other: duration('2s', 'what the other thread has waited', { least: '0', most: '1d' }),
    tick: duration('4ms', 'the guest’s tick', { least: '1ms', most: '10ms' }),
    ticks: number('250', 'how many ticks are looked at after each moment', {
      least: '1',
      most: '2000',
    }),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz));
    const vm = sim.vm();
    vm.start(1);
    const guests = new Accountants(sim, RECORD_GPA, 'kvm');
    vm.writeMsr(0, 'MSR_KVM_STEAL_TIME', RECORD_GPA | ENABLE);
    const span = BigInt(params.ticks) * params.tick;
    const look = (moment: string): Cell[] => {
      const { Linux, 'RFC v3 21/21': patched } = guests.ticks(params.ticks, params.tick);
      sim.host.pass(span);
      return [moment, vm.kvm(0).stealNs, span, Linux, patched];
    };
    comeBack(vm, params.waited);
    guests.settle();
    stage.tell(sim, `the vCPU’s thread has waited ${params.waited} ns for CPUs; the guest knows`);
    const rows = [look('before')];
    comeBack(vm, params.other);
    stage.tell(sim, `the VMM goes on with a thread that has waited ${params.other} ns`);
    rows.push(look('another thread'));
    comeBack(vm, params.other);
    rows.push(look('later'));
    const shares = [3, 4].map((column) => shareText(rows[2]![column] as bigint, span));
    return () => ({
      columns: [
        'moment',
        'steal clock (ns)',
        'ticks (ns)',
        'stolen, Linux (ns)',
        'stolen, RFC v3 21/21 (ns)',
      ],
      rows,
      verdict: `of the guest’s time ${shares[0]} is reported as stolen later on, ${shares[1]} with RFC v3 21/21`,
    });
  },
});
