/** X86_FEATURE_TSC_RELIABLE: a guest that does not compare TSCs when it brings a CPU up. */
import { asS64 } from '../../num/index.ts';
import { booted, tscKhz, uptime } from '../common.ts';
import { resultOf, vmOf, writeTsc } from '../deeds.ts';
import { LinuxGuest } from '../linux.ts';
import { duration } from '../params.ts';
import { type Cell, type Stage, scenario } from '../scenario.ts';

const STABLE = 2;

interface Values {
  readonly uptime: bigint;
  readonly behind: bigint;
  readonly tscKhz: number;
}

/** vCPU 1 is plugged in, its TSC perhaps set back by userspace, and brought up by the guest. */
function bringUp(stage: Stage, values: Values, behind: bigint, tscReliable: boolean): Cell[] {
  const guest = tscReliable ? 'TSC_RELIABLE' : 'compares';
  const sim = stage.host(
    booted(values.tscKhz),
    `${guest}, ${behind === 0n ? 'synchronised' : 'behind'}`,
  );
  const vm = sim.vm();
  const linux = new LinuxGuest(sim, vm, { tscReliable });
  vm.start(1);
  sim.host.pass(values.uptime);
  vm.perform({ type: 'hotplug', vcpu: 1, cpu: 1 });
  vm.boot(1);
  vm.kick();
  const lag = sim.host.cycles(behind);
  if (lag !== 0n) {
    writeTsc(vm, 1, vm.tsc(1) - lag);
    vm.enter(1);
    vm.kick();
  }
  linux.bringUp(1);
  vm.kick();
  const { tscSync } = linux.guest.state;
  const apart = asS64(vm.tsc(1) - vm.tsc(0));
  stage.tell(sim, `vCPU 1 is brought up: ${tscSync}; its TSC is ${apart} cycles ahead of vCPU 0’s`);
  const { flags = 0 } = resultOf(vm.ioctl({ type: 'KVM_GET_CLOCK' }));
  return [
    guest,
    lag,
    tscSync,
    asS64(vm.kvm(1).ia32TscAdjust),
    apart,
    vmOf(sim).masterclock,
    (flags & STABLE) !== 0,
  ];
}

export const tscReliable = scenario({
  name: 'tsc-reliable',
  title: 'a guest with X86_FEATURE_TSC_RELIABLE leaves the TSC of a new CPU as KVM made it',
  source: '“RFC: Precise TSC migration”, Maxim Levitsky, 2020',
  profile: 'precise-tsc',
  compare: ['v4.19', 'precise-tsc', 'v7.3', 'series-v6'],
  switches: ['syncWindow', 'mclkCriterion'],
  about: [
    'When Linux brings a CPU up it compares its TSC with that of the CPU that does so. KVM gives a vCPU that is plugged in the others’ TSC, so that nothing comes of it. Where the TSC is behind the guest moves it on with TSC_ADJUST, behind KVM’s back: TSCs agree, but KVM’s record of them does not say so, and there is no masterclock.',
    'The mail would have guests take X86_FEATURE_TSC_RELIABLE when they run on KVM, which spares the comparison. Then a TSC that KVM has made wrong stays wrong, and a right one cannot be spoilt.',
  ],
  params: {
    uptime: uptime('1h'),
    behind: duration('5s', 'by how much vCPU 1’s TSC is behind', { least: '1us', most: '1h' }),
    tscKhz: tscKhz(),
  },
  run(stage, params) {
    const rows = [false, true].flatMap((reliable) =>
      [0n, params.behind].map((behind) => bringUp(stage, params, behind, reliable)),
    );
    return () => ({
      columns: [
        'guest',
        'vCPU 1 is behind by (cycles)',
        'brought up',
        'TSC_ADJUST',
        'then ahead of vCPU 0 (cycles)',
        'masterclock',
        'KVM_CLOCK_TSC_STABLE',
      ],
      rows,
    });
  },
});
