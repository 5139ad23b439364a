/** A Xen guest preempted while its clock is set back: negative time in a runstate. */
import { booted, tscKhz } from '../common.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration, durationText, number } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';
import { Accountants, shareText } from './guests.ts';

const AREA_GPA = 0x41_0000n;
/** MSR of the hypercall page: with one there are runstates. */
const HYPERCALL_MSR = 0x4000_0000;
const INTERCEPT_HCALL = 2;

/** A Xen guest of 64 bits that knows its runstate. */
function startWithRunstate(sim: Simulation): SimulatedVm {
  const vm = sim.vm();
  vm.start(1);
  // A runstate that was entered at 0 counts as none.
  sim.host.pass(1_000_000_000n);
  vm.ioctl({ type: 'KVM_XEN_HVM_CONFIG', flags: INTERCEPT_HCALL, msr: HYPERCALL_MSR });
  vm.ioctl({ type: 'KVM_XEN_SET_LONG_MODE', longMode: true });
  vm.exit(0);
  vm.on(0, { type: 'KVM_XEN_SET_RUNSTATE_ADDR', gpa: AREA_GPA });
  vm.on(0, { type: 'KVM_XEN_SET_RUNSTATE_CURRENT', state: 0n });
  vm.enter(0);
  return vm;
}

/** The vCPU is preempted; how long its thread has waited altogether is told where it comes back. */
function preempt(vm: SimulatedVm): void {
  vm.exit(0);
  vm.on(0, { type: 'vcpu_put', preempted: true });
}

function comeBack(vm: SimulatedVm, runDelayNs: bigint): void {
  const readings = { run_delay: runDelayNs };
  vm.on(0, { type: 'vcpu_load', cpu: 0 });
  vm.on(0, { type: 'kvm_entry', readings });
}

export const xenRunstate = scenario({
  name: 'xen-runstate',
  title: 'a clock set back while a Xen guest is preempted makes its runstate times negative',
  source:
    '“KVM: x86/xen: Prevent runstate times from becoming negative” (RFC v3 20/21), David Woodhouse, 2024',
  profile: 'v7.2',
  compare: ['v5.10', 'v6.1', 'v7.2', 'v7.3', 'rfc-v3'],
  switches: ['xenRunstateClamp', 'xenRunstate'],
  about: [
    'A Xen guest’s runstate says how long each vCPU was running, runnable (it waited for a CPU), blocked and offline, by the VM’s clock: at each change KVM adds the time since the last change to the state that ends. When the VMM has set the clock back meanwhile, that time is negative, and until v7.2 it is added modulo 2^64.',
    'Runnable and offline time is what a Xen guest takes for stolen. Where it went back, the guest’s accounting does with it what `steal-backwards` shows: all its time is stolen, for centuries.',
    '36a85200643e (v7.3) lets the state change and adds nothing while the clock is behind the last change; the RFC (20/21) did not even change the state. Either way what was waited until the clock has caught up is lost. With the RFC the state stays *runnable* meanwhile, and once the clock has caught up all the time since then counts as waited, although the vCPU ran.',
  ],
  params: {
    tscKhz: tscKhz(),
    ran: duration('10s', 'how long the vCPU runs at first', { least: '1s', most: '1d' }),
    waited: duration('1s', 'how long it is preempted each time', { least: '0', most: '1h' }),
    back: duration('4s', 'by how much the clock is set back meanwhile, at most to 0', {
      least: '0',
      most: '1d',
    }),
    tick: duration('4ms', 'the guest’s tick', { least: '1ms', most: '10ms' }),
    ticks: number('250', 'how many ticks are looked at after each moment', {
      least: '1',
      most: '2000',
    }),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz));
    const { host } = sim;
    const guests = new Accountants(sim, AREA_GPA, 'xen');
    const vm = startWithRunstate(sim);
    const span = BigInt(params.ticks) * params.tick;
    const look = (moment: string): Cell[] => {
      const { Linux, 'RFC v3 21/21': patched } = guests.ticks(params.ticks, params.tick);
      host.pass(span);
      const { runstate, runstateEntryNs, runstateNs } = vm.kvm(0);
      const [running, runnable] = [runstateNs.get(0), runstateNs.get(1)];
      return [moment, runstate, runstateEntryNs, running, runnable, Linux, patched];
    };
    let waits = 0n;
    const wait = (meanwhile?: () => void): void => {
      preempt(vm);
      host.pass(params.waited);
      meanwhile?.();
      waits += params.waited;
      comeBack(vm, waits);
    };
    host.pass(params.ran);
    wait();
    stage.tell(sim, `the vCPU ran, waited ${params.waited} ns for a CPU and runs`);
    guests.settle();
    const rows = [look('waited')];
    wait(() => {
      const now = vm.kvmclock(0);
      const { back } = params;
      if (back > now) {
        throw stage.refusal('back', `at most ${durationText(now)}, which the clock reads by then`);
      }
      vm.ioctl({ type: 'KVM_SET_CLOCK', clock: now - back, flags: 0 });
      stage.tell(sim, `it waits again, and KVM_SET_CLOCK sets the clock back by ${back} ns`);
    });
    rows.push(look('set back'));
    wait();
    rows.push(look('waited again'));
    host.pass(params.back);
    wait();
    stage.tell(sim, 'the clock has come to where it was, and it waited once more');
    rows.push(look('caught up'));
    const after = rows[1]!;
    const shares = [5, 6].map((column) => shareText(after[column] as bigint, span));
    const moved = BigInt.asIntN(64, (after[4] as bigint) - (rows[0]![4] as bigint));
    return () => ({
      columns: [
        'moment',
        'state',
        'entered at (ns)',
        'running (ns)',
        'runnable (ns)',
        'stolen, Linux (ns)',
        'stolen, RFC v3 21/21 (ns)',
      ],
      rows,
      verdict: !stage.profile.switches.xenRunstate
        ? 'this kernel has no runstates'
        : `runnable time went by ${moved} ns; of the guest’s time ${shares[0]} is reported as stolen, ${shares[1]} with RFC v3 21/21`,
    });
  },
});
