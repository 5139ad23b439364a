/** L2 writes its TSC, or TSC_ADJUST, which L1 does not intercept: whose TSC moves? */
import { asU64 } from '../../num/index.ts';
import { booted, tscKhz } from '../common.ts';
import type { SimulatedVm } from '../guest.ts';
import { choice, cycles, duration } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import { enterL2, l2Offset, leaveL2 } from './guest.ts';

const STEP = String(1n << 32n);
const FAR = String(1n << 60n);

/** TSC and TSC_ADJUST of whoever runs. */
function rowOf(moment: string, vm: SimulatedVm): Cell[] {
  const { level, l1TscOffset } = vm.kvm(0);
  const adjust = BigInt.asIntN(64, vm.readMsr(0, 'IA32_TSC_ADJUST'));
  return [
    moment,
    level.toUpperCase(),
    BigInt.asIntN(64, vm.tsc(0)),
    adjust,
    BigInt.asIntN(64, l1TscOffset),
  ];
}

export const nestedTscWrite = scenario({
  name: 'nested-tsc-write',
  title: 'what a guest’s guest writes to its TSC moves the guest’s TSC, and TSC_ADJUST',
  source: 'the kernel’s nested_tsc_adjust_test',
  profile: 'v7.3',
  compare: ['v4.19', 'v5.10', 'v6.1', 'v7.3'],
  switches: ['tscWriteByGuest'],
  about: [
    'L1 does not intercept these MSRs, so a write of L2’s is KVM’s to do, and KVM does it to L1: the value that L2 writes to IA32_TSC becomes L1’s TSC, not L2’s, which reads it with its own offset still added; TSC_ADJUST moves by as much as L1’s TSC. When L2 leaves, L1 finds its TSC moved.',
    'A write of TSC_ADJUST adds the difference to L1’s TSC, and L2’s moves with it.',
    'Until 0c899c25d754 (v5.10) a write of IA32_TSC took part in the matching of TSCs, L2’s as any other: one within a second of what KVM expects moved nothing (`--profile v4.19 --by 1000 --l2-offset 0`).',
  ],
  params: {
    write: choice(['tsc', 'tsc-adjust'], 'which MSR L2 writes'),
    by: cycles(`-${STEP}`, 'by how much it wants to move what it reads', {
      least: `-${FAR}`,
      most: FAR,
    }),
    l2Offset: l2Offset(String(-(1n << 48n))),
    tscKhz: tscKhz('3000000'),
    uptime: duration('1h', 'how long L1 has run', { least: '10s', most: '3650d' }),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz));
    const vm = sim.vm();
    vm.start(1);
    sim.host.pass(params.uptime);
    const l1Before = rowOf('before', vm);
    enterL2(vm, { tscOffset: params.l2Offset });
    const l2Before = rowOf('L2 runs', vm);
    const [name, from] =
      params.write === 'tsc'
        ? (['IA32_TSC', vm.tsc(0)] as const)
        : (['IA32_TSC_ADJUST', vm.readMsr(0, 'IA32_TSC_ADJUST')] as const);
    vm.writeMsr(0, name, asU64(from + params.by));
    stage.tell(sim, `L2 writes ${BigInt.asIntN(64, from + params.by)} to ${name}`);
    const l2After = rowOf('L2 has written', vm);
    leaveL2(vm);
    const rows = [l1Before, l2Before, l2After, rowOf('L2 has left', vm)];
    const moved = [rows[3]!, l1Before].map((row) => row[2] as bigint);
    return () => ({
      columns: ['moment', 'runs', 'TSC (cycles)', 'TSC_ADJUST (cycles)', 'L1’s offset (cycles)'],
      rows,
      verdict: `L1’s TSC moved by ${moved[0]! - moved[1]!} cycles where L2 wanted its own to move by ${params.by}`,
    });
  },
});
