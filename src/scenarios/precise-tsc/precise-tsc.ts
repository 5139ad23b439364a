/** KVM_GET_TSC_STATE and KVM_SET_TSC_STATE (2020): TSCs that go on while the guest is on its way. */
import { MSRS } from '../../../events/index.ts';
import { realtimeAt } from '../../clock/index.ts';
import { asS64, asU64 } from '../../num/index.ts';
import { booted, ntpPpm, tscKhz, uptime } from '../common.ts';
import { ioctl, resultOf, writeTsc } from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';

const VCPUS = [0, 1] as const;
/** By what vCPU 1's guest has moved its TSC, cycles. */
const ADJUSTED = 1_000_000n;
/** Flag of the RFC: `tsc_adjust` is to be taken. */
const TSC_ADJUST_VALID = 1;
/** vDSO clock mode of each clocksource. */
const CLOCKSOURCES = { tsc: 1, hpet: 0 } as const;

/** What a VMM has of a vCPU's TSC. */
interface Saved {
  readonly nsec: bigint;
  readonly guestTsc: bigint;
  readonly tscAdjust: bigint;
}

/** Puts a vCPU's TSC back. @returns 0 or minus errno */
type PutBack = (vm: SimulatedVm, vcpu: number, saved: Saved) => number;

const putState: PutBack = (vm, vcpu, saved) => {
  const state = { flags: TSC_ADJUST_VALID, ...saved, tscAdjust: asU64(saved.tscAdjust) };
  return resultOf(ioctl(vm, vcpu, { type: 'KVM_SET_TSC_STATE', ...state })).ret;
};

const putMsrs: PutBack = (vm, vcpu, { guestTsc, tscAdjust }) => {
  ioctl(vm, vcpu, { type: 'KVM_SET_MSRS', index: MSRS.IA32_TSC_ADJUST, data: asU64(tscAdjust) });
  writeTsc(vm, vcpu, guestTsc);
  return 0;
};

const WAYS: Readonly<Record<string, PutBack>> = { TSC_STATE: putState, MSRs: putMsrs };

/**
 * KVM_GET_TSC_STATE. Where the clocksource is no TSC the time is read after the TSC, `lateNs` later.
 */
function getState(sim: Simulation, vm: SimulatedVm, vcpu: number, lateNs: bigint): Saved {
  const { host } = sim.world;
  const isTsc = host.clocksource === 'tsc';
  const late = isTsc ? 0n : lateNs;
  const readings = { 'realtime.ns': realtimeAt(host, sim.host.tsc) + late };
  const told = resultOf(ioctl(vm, vcpu, { type: 'KVM_GET_TSC_STATE', readings }));
  vm.enter(vcpu);
  // A kernel without the ioctl: what the VMM can read.
  const { nsec = 0n, guestTsc = vm.tsc(vcpu), tscAdjust = vm.kvm(vcpu).ia32TscAdjust } = told;
  return { nsec, guestTsc, tscAdjust: asS64(tscAdjust) };
}

/** Another VM gets the TSCs before its guest runs. @returns 0 or minus errno of each */
function restore(vm: SimulatedVm, saved: readonly Saved[], putBack: PutBack): readonly number[] {
  vm.perform({ type: 'launch' });
  for (const vcpu of saved.keys()) vm.perform({ type: 'hotplug', vcpu, cpu: vcpu });
  const returned = saved.map((its, vcpu) => putBack(vm, vcpu, its));
  for (const vcpu of saved.keys()) vm.leave(vcpu);
  vm.perform({ type: 'resume' });
  for (const vcpu of saved.keys()) vm.boot(vcpu);
  vm.kick();
  return returned;
}

export const preciseTsc = scenario({
  name: 'precise-tsc',
  title: 'a TSC put back with the time at which it was read goes on where it would be',
  source: '“RFC: Precise TSC migration”, Maxim Levitsky, 2020',
  profile: 'precise-tsc',
  compare: ['precise-tsc', 'v5.10', 'v7.3'],
  switches: ['tscStateIoctls', 'tscHostAccessQuirk', 'syncWindow'],
  about: [
    'A VMM that saves TSCs as MSRs puts back what they were: they lose the time in between, and where two values are within a second of what KVM expects they are taken for one write and made equal, so that vCPU 1, whose guest has moved its TSC, loses that too.',
    'KVM_GET_TSC_STATE reads TSC, TSC_ADJUST and CLOCK_REALTIME of one instant; KVM_SET_TSC_STATE moves the TSC on by the realtime since. Where the host’s clocksource is not the TSC the two are read one after another, `--late` apart, and the TSC is behind by that. It is off by what NTP steers CLOCK_REALTIME meanwhile, too.',
    'As posted, KVM_SET_TSC_STATE writes the offset and nothing else. KVM’s record of TSC writes, by which a vCPU plugged in later is synchronised, is still that of the VM’s creation: vCPU 2 gets another TSC than the others.',
  ],
  params: {
    uptime: uptime('1d'),
    pause: duration('10s', 'time between saving and putting back', { least: '1ms', most: '1d' }),
    late: duration('500ns', 'by how much the time is read after the TSC, not from it', {
      least: '0',
      most: '1ms',
    }),
    ntpPpm: ntpPpm('0'),
    tscKhz: tscKhz(),
  },
  run(stage, params) {
    const rows: Cell[][] = [];
    for (const [name, vclockMode] of Object.entries(CLOCKSOURCES)) {
      const sim = stage.host(booted(params.tscKhz, { vclockMode }), name);
      const old = sim.vm();
      old.start(VCPUS.length);
      sim.host.steer(params.ntpPpm);
      old.writeMsr(1, 'IA32_TSC_ADJUST', ADJUSTED);
      old.kick();
      sim.host.pass(params.uptime);
      const saved = VCPUS.map((id) => getState(sim, old, id, params.late));
      stage.tell(sim, `TSCs are saved: ${saved.map(({ guestTsc }) => guestTsc).join(' and ')}`);
      sim.host.pass(params.pause);
      for (const [way, putBack] of Object.entries(WAYS)) {
        const young = sim.vm();
        const rets = restore(young, saved, putBack);
        young.perform({ type: 'hotplug', vcpu: 2, cpu: 2 });
        young.boot(2);
        young.kick();
        const offBy = VCPUS.map((id) => asS64(young.tsc(id) - old.tsc(id)));
        stage.tell(sim, `put back by ${way}: TSCs are off by ${offBy.join(' and ')} cycles`);
        rows.push([
          name,
          way,
          rets[0] ?? 0,
          ...offBy,
          asS64(young.kvm(1).ia32TscAdjust),
          asS64(young.tsc(2) - young.tsc(0)),
        ]);
      }
    }
    return () => ({
      columns: [
        'clocksource',
        'put back by',
        'returns',
        'vCPU 0 off by (cycles)',
        'vCPU 1 off by (cycles)',
        'its TSC_ADJUST',
        'vCPU 2, new, ahead of vCPU 0 (cycles)',
      ],
      rows,
    });
  },
});
