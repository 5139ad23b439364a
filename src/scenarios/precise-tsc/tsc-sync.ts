/** Which TSCs KVM takes for synchronised, and what KVM_CLOCK_TSC_STABLE is worth then. */
import { asS64, asU64 } from '../../num/index.ts';
import { booted, tscKhz, uptime } from '../common.ts';
import { resultOf, vmOf, writeTsc } from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';

/** KVM_X86_QUIRK_TSC_HOST_ACCESS. */
const TSC_HOST_ACCESS = 32;

interface Case {
  readonly sim: Simulation;
  readonly vm: SimulatedVm;
  /** What vCPU 1's TSC is moved by, cycles. */
  readonly cycles: bigint;
}

const moveByGuest = (vm: SimulatedVm, vcpu: number, cycles: bigint): void => {
  vm.writeMsr(vcpu, 'IA32_TSC_ADJUST', asU64(vm.kvm(vcpu).ia32TscAdjust + cycles));
};

/** The VMM writes vCPU 0's TSC as it is, and vCPU 1's moved. */
function moveByHost({ vm, cycles }: Case): void {
  for (const [vcpu, by] of [[0, 0n] as const, [1, cycles] as const]) {
    writeTsc(vm, vcpu, vm.tsc(vcpu) + by);
  }
  for (const vcpu of [0, 1]) vm.enter(vcpu);
}

/** What happens to vCPU 1's TSC. */
const CASES: Readonly<Record<string, (its: Case) => void>> = {
  'plugged in': () => undefined,
  'its guest writes TSC_ADJUST': ({ vm, cycles }) => {
    moveByGuest(vm, 1, cycles);
  },
  '… and so does vCPU 0’s': ({ vm, cycles }) => {
    moveByGuest(vm, 1, cycles);
    vm.kick();
    moveByGuest(vm, 0, cycles);
  },
  'userspace writes both': moveByHost,
  '… without the quirk': (its) => {
    its.vm.ioctl({ type: 'KVM_CAP_DISABLE_QUIRKS', quirks: TSC_HOST_ACCESS });
    moveByHost(its);
  },
};

export const tscSync = scenario({
  name: 'tsc-sync',
  title: 'KVM_CLOCK_TSC_STABLE says that TSCs are one, if the guest leaves its TSC alone',
  source: '“RFC: Precise TSC migration”, Maxim Levitsky, 2020',
  profile: 'precise-tsc',
  compare: ['v4.19', 'precise-tsc', 'v7.3', 'series-v6'],
  switches: ['tscAdjustSynchronizes', 'tscHostAccessQuirk', 'syncWindow', 'mclkCriterion'],
  about: [
    'A vCPU that is plugged in gets the others’ TSC: this is what KVM should do by default, says the mail, and nothing beyond. Linux sets its TSC by TSC_ADJUST, which takes no part in KVM’s guesses: after it TSCs are apart and KVM_GET_CLOCK goes on saying TSC_STABLE. The flag is a promise for guests that leave their TSCs alone; that is the invariant V24 of `src/check`.',
    '`--set tscAdjustSynchronizes=true` is what the mail speaks of and nobody has posted: TSC_ADJUST takes part. Then vCPU 1 alone loses the masterclock, and vCPU 0 following it brings it back.',
    'A write by userspace within a second of what KVM expects is taken for a try to synchronise, and undone. Without KVM_X86_QUIRK_TSC_HOST_ACCESS it is as the guest’s own: the TSC is as written, TSC_ADJUST moves along.',
  ],
  params: {
    uptime: uptime('1h'),
    moved: duration('500ms', 'by what vCPU 1’s TSC is moved', { least: '1us', most: '1h' }),
    tscKhz: tscKhz(),
  },
  run(stage, params) {
    const rows: Cell[][] = [];
    for (const [name, happen] of Object.entries(CASES)) {
      const sim = stage.host(booted(params.tscKhz), name);
      const vm = sim.vm();
      vm.start(1);
      writeTsc(vm, 0, vm.tsc(0));
      vm.enter(0);
      sim.host.pass(params.uptime);
      vm.perform({ type: 'hotplug', vcpu: 1, cpu: 1 });
      vm.boot(1);
      vm.kick();
      happen({ sim, vm, cycles: sim.host.cycles(params.moved) });
      vm.kick();
      const { flags = 0 } = resultOf(vm.ioctl({ type: 'KVM_GET_CLOCK' }));
      const apart = asS64(vm.tsc(1) - vm.tsc(0));
      const { masterclock } = vmOf(sim);
      stage.tell(
        sim,
        `vCPU 1’s TSC is ${apart} cycles ahead of vCPU 0’s; masterclock: ${masterclock}`,
      );
      rows.push([name, apart, asS64(vm.kvm(1).ia32TscAdjust), masterclock, (flags & 2) !== 0]);
    }
    return () => ({
      columns: [
        'vCPU 1’s TSC',
        'ahead of vCPU 0’s (cycles)',
        'its TSC_ADJUST',
        'masterclock',
        'KVM_CLOCK_TSC_STABLE',
      ],
      rows,
    });
  },
});
