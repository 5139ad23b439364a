/** L2's TSC, on VMX and on SVM: how offsets and ratios of two levels are put together, and taken apart. */
import { asked, booted, guestKhz, tscKhz } from '../common.ts';
import type { SimulatedVm } from '../guest.ts';
import { choice, duration, number } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';
import { type Entered, enterL2, l2Offset, leaveL2, ratioOf } from './guest.ts';

/** Time in which frequencies are measured. */
const SECOND_NS = 1_000_000_000n;

/** How L1 goes about it. */
const ATTEMPTS = ['enters', 'multiplier-0', 'fails'] as const;

/** KVM's numbers now, and how many cycles whoever runs counts in a second. */
function rowOf(moment: string, sim: Simulation, vm: SimulatedVm): Cell[] {
  const before = vm.tsc(0);
  const { tscOffset, tscScalingRatio, level } = vm.kvm(0);
  sim.host.pass(SECOND_NS);
  const hz = BigInt.asUintN(64, vm.tsc(0) - before);
  const emulated = vm.readMsr(0, 'IA32_TSC') - vm.tsc(0);
  return [
    moment,
    level.toUpperCase(),
    BigInt.asIntN(64, tscOffset),
    tscScalingRatio,
    hz,
    BigInt.asIntN(64, emulated),
  ];
}

interface Wanted {
  readonly l2Offset: bigint;
  readonly ratio: number;
  readonly attempt: (typeof ATTEMPTS)[number];
}

/** L1 runs L2: on VMX by fields of vmcs12, on SVM by vmcb12's offset and an MSR of its own. */
function run(sim: Simulation, vm: SimulatedVm, wanted: Wanted): Entered {
  const isVmx = sim.name === 'vmx';
  const isScaled = wanted.ratio !== 1000;
  const scaled = isScaled ? ratioOf(sim, wanted.ratio) : undefined;
  if (!isVmx) {
    if (scaled !== undefined) vm.writeMsr(0, 'MSR_AMD64_TSC_RATIO', scaled);
    return enterL2(vm, { tscOffset: wanted.l2Offset });
  }
  const multiplier = wanted.attempt === 'multiplier-0' ? 0n : scaled;
  return enterL2(vm, {
    tscOffset: wanted.l2Offset,
    ...(multiplier === undefined ? {} : { tscMultiplier: multiplier }),
    ...(wanted.attempt === 'fails' ? { badGuestState: true } : {}),
  });
}

export const nestedTsc = scenario({
  name: 'nested-tsc',
  title: 'a guest’s guest has a TSC scaled and offset twice, in one step',
  source:
    '“KVM: nVMX: Enable nested TSC scaling” (d041b5ea9335), Ilias Stamatis, 2021; SVM: 5228eb96a487, Maxim Levitsky, 2021',
  profile: 'v7.3',
  compare: ['v5.10', 'v5.15', 'v6.1', 'v7.3'],
  switches: ['nestedScaling'],
  about: [
    'L1 gives its guest an offset and, if KVM offers that, a ratio: VMX by vmcs12 (v5.14, d041b5ea9335), SVM by MSR_AMD64_TSC_RATIO (v5.16, 5228eb96a487). The hardware scales and adds once, so KVM puts both levels together: ratios are multiplied, L1’s offset is scaled by L2’s ratio, L2’s is added. When L2 leaves, L1’s own two numbers are back. Kernels that do not scale for L2 add the offsets; a vmcs12 with a multiplier is refused there, and the write of the MSR is #GP.',
    '`--attempt multiplier-0`: a vmcs12 whose multiplier is 0 is refused (VMfailValid), and nothing changes. `--attempt fails`: an entry that fails after vmcs02 was made. KVM takes L2’s offset off again as if nothing had been scaled, and leaves the ratio. The hardware goes on with vmcs01 and does not see it; a TSC that KVM reads for L1 (the last column: how far it is from RDTSC) does, where L2 was scaled.',
  ],
  params: {
    tscKhz: tscKhz('3000000'),
    guestKhz: guestKhz('1500000'),
    l2Offset: l2Offset(),
    ratio: number('4000', 'L2’s frequency in thousandths of L1’s; 1000: not scaled', {
      least: '1',
      most: '100000',
    }),
    attempt: choice(ATTEMPTS, 'what L1’s VMX entry does; SVM’s enters'),
    hostUptime: duration('1h', 'how long the host has run before', { least: '0', most: '3650d' }),
    uptime: duration('10s', 'how long L1 has run', { least: '1s', most: '3650d' }),
  },
  run(stage, params) {
    const outcomes: string[] = [];
    const rows = (['vmx', 'svm'] as const).flatMap((vendor) => {
      const sim = stage.host(booted(params.tscKhz, { vendor }), vendor);
      sim.host.pass(params.hostUptime);
      const vm = sim.vm();
      vm.start(1, asked(params.guestKhz));
      // As at reset: the offset that it was created with was reckoned without scaling.
      vm.setMsr(0, 'IA32_TSC', 0n);
      vm.enter(0);
      sim.host.pass(params.uptime);
      const before = rowOf('before', sim, vm);
      const { outcome } = run(sim, vm, params);
      stage.tell(sim, `L1 runs L2: ${outcome}`);
      const inside = rowOf(outcome, sim, vm);
      const told = `${vendor.toUpperCase()}: ${outcome}`;
      const counts = `L2’s TSC at ${inside[4]} Hz`;
      outcomes.push(outcome === 'entered' ? `${told}, ${counts}` : told);
      if (outcome === 'entered') leaveL2(vm);
      return [before, inside, rowOf('after', sim, vm)].map((row) => [vendor, ...row]);
    });
    return () => ({
      columns: [
        'host',
        'moment',
        'runs',
        'TSC offset (cycles)',
        'ratio',
        'counts in a second (cycles)',
        'read by KVM − RDTSC (cycles)',
      ],
      rows,
      verdict: outcomes.join('; '),
    });
  },
});
