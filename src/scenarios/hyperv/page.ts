/** Hyper-V's reference TSC page through its life: what its status, sequence and numbers do, step by step. */
import { asked, booted, guestKhz, tscKhz } from '../common.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';
import { enablePage, HV_PAGE_GPA, pageTime, TICK_NS } from './guest.ts';

/** Far from what KVM expects: no synchronisation takes a TSC for this one. */
const APART_CYCLES = 1n << 50n;
/** Which vector is raised in a guest that was migrated, and that it is wanted. */
const REENLIGHTEN = 0x1_0000n | 0xffn;

/** Something that happens to the page. */
interface Step {
  readonly name: string;
  readonly happen: (vm: SimulatedVm, stepNs: bigint) => void;
}

/** The VMM sets the clock so much ahead, which is a masterclock update. */
const setAhead = (vm: SimulatedVm, stepNs: bigint): void => {
  vm.ioctl({ type: 'KVM_SET_CLOCK', clock: vm.kvmclock(0) + stepNs, flags: 0 });
};

function writeTsc(vm: SimulatedVm, vcpus: readonly number[], tsc: bigint): void {
  for (const vcpu of vcpus) vm.setMsr(vcpu, 'IA32_TSC', tsc);
  for (const vcpu of vcpus) vm.enter(vcpu);
}

const STEPS: readonly Step[] = [
  { name: 'the guest writes the page’s address', happen: enablePage },
  { name: 'KVM_SET_CLOCK', happen: setAhead },
  {
    name: 'vCPU 1’s TSC is written, far off; KVM_SET_CLOCK',
    happen: (vm, stepNs) => {
      writeTsc(vm, [1], vm.tsc(1) + APART_CYCLES);
      setAhead(vm, stepNs);
    },
  },
  {
    name: 'both TSCs are written alike: the masterclock is back',
    happen: (vm) => {
      writeTsc(vm, [0, 1], vm.tsc(0) + APART_CYCLES);
    },
  },
  { name: 'the guest writes the page’s address again', happen: enablePage },
  {
    name: 'the guest asks for reenlightenment, TSCs are emulated; KVM_SET_CLOCK',
    happen: (vm, stepNs) => {
      vm.writeMsr(0, 'HV_X64_MSR_REENLIGHTENMENT_CONTROL', REENLIGHTEN);
      vm.writeMsr(0, 'HV_X64_MSR_TSC_EMULATION_CONTROL', 1n);
      setAhead(vm, stepNs);
    },
  },
  {
    name: 'emulation is over; KVM_SET_CLOCK',
    happen: (vm, stepNs) => {
      vm.writeMsr(0, 'HV_X64_MSR_TSC_EMULATION_CONTROL', 0n);
      setAhead(vm, stepNs);
    },
  },
  {
    name: 'the guest turns the page off',
    happen: (vm) => {
      vm.writeMsr(0, 'HV_X64_MSR_REFERENCE_TSC', HV_PAGE_GPA);
    },
  },
];

/** The page as it is after a step. */
function rowOf(name: string, sim: Simulation, vm: SimulatedVm): Cell[] {
  const page = pageTime(sim, vm);
  const msr = vm.readMsr(0, 'HV_X64_MSR_TIME_REF_COUNT');
  const { hvTscPage, hvTscSequence, hvTscScale, masterclock } = sim.world.vms.get(0)!.cell.state;
  const ahead = page === undefined ? '' : page - vm.kvmclock(0) / TICK_NS;
  const status = sim.world.switches.hvPage === 'status' ? hvTscPage : '–';
  return [name, masterclock, status, hvTscSequence, hvTscScale, page ?? 'off', msr, ahead];
}

export const hvPage = scenario({
  name: 'hv-page',
  title: 'Hyper-V’s reference TSC page: when it is written, kept, broken and mended',
  source:
    '“KVM: x86: hyper-v: Track Hyper-V TSC page status” (cc9cfddb0433), Vitaly Kuznetsov, 2021',
  profile: 'v7.3',
  compare: ['v4.4', 'v4.9', 'v5.15', 'v6.1', 'v7.3'],
  switches: ['hvPage', 'hvPageFrom'],
  about: [
    'The page holds a scale and an offset by which a guest turns its TSC into units of 100 ns, and a sequence; 0 tells it to use the MSR HV_X64_MSR_TIME_REF_COUNT instead. Its numbers are those of the pvclock page: the scale is 2^(32 + shift) · mul / 100.',
    'Since cc9cfddb0433 (v5.12) a status decides. *guestChanged* and *hostChanged* ask for the page to be written with the next stable clock, and every masterclock update goes from *set* through *hostChanged*: the sequence moves even when the numbers come out equal (until 42dcbe7d8bac, v5.18, it is 0 meanwhile and then 1 again). While the clock is not stable the page is *broken*, and stays it until its MSR is written again. Before, each stable update writes the page, and mends it.',
    'A guest that asked for reenlightenment goes on by the old numbers after a migration, while its TSC is emulated. So the page is kept as it is then, whatever happens to the clock: the last column is how far it is from kvmclock.',
  ],
  params: {
    tscKhz: tscKhz(),
    guestKhz: guestKhz(),
    step: duration('1s', 'by how much each KVM_SET_CLOCK sets the clock ahead', {
      least: '0',
      most: '1d',
    }),
    pause: duration('1s', 'time between two steps', { least: '1ms', most: '1d' }),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz));
    const vm = sim.vm();
    vm.start(2, asked(params.guestKhz));
    const hz = vm.readMsr(0, 'HV_X64_MSR_TSC_FREQUENCY');
    stage.tell(sim, `a guest has booted; HV_X64_MSR_TSC_FREQUENCY reads ${hz} Hz`);
    const rows = STEPS.map(({ name, happen }) => {
      sim.host.pass(params.pause);
      stage.tell(sim, name);
      happen(vm, params.step);
      vm.kick();
      return rowOf(name, sim, vm);
    });
    const broken = rows.filter((row) => row[5] === 'off').length;
    return () => ({
      columns: [
        'after',
        'masterclock',
        'status',
        'sequence',
        'scale',
        'page (100 ns)',
        'MSR (100 ns)',
        'page − kvmclock (100 ns)',
      ],
      rows,
      verdict: `the page cannot be used after ${broken} of ${rows.length} steps`,
    });
  },
});
