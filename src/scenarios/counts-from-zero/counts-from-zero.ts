/** PVCLOCK_COUNTS_FROM_ZERO (v4.2): vCPU 0 says where its page is, and everybody's clock starts again. */
import { booted, tscKhz, uptime } from '../common.ts';
import { passWithSync, settle, UPDATE_DELAY_NS, vmOf } from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import { LinuxGuest, type SystemTimeMsr } from '../linux.ts';
import { duration } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';

const VCPUS = [0, 1] as const;

/** Somebody's kernel: how it boots, how its time passes, and what has vCPU 0 write the MSR again. */
interface Guests {
  readonly msr: SystemTimeMsr;
  pass(sim: Simulation, vm: SimulatedVm, ns: bigint): void;
  again(vm: SimulatedVm, linux: LinuxGuest): string;
}

const GUESTS: Readonly<Record<string, Guests>> = {
  /** By the old MSR there is no masterclock, so that the periodic work takes new references. */
  rewrite: {
    msr: 'MSR_KVM_SYSTEM_TIME',
    pass: passWithSync,
    again(_vm, linux) {
      linux.register(0);
      return 'SLES 10’s kernel writes MSR_KVM_SYSTEM_TIME again';
    },
  },
  replug: {
    msr: 'MSR_KVM_SYSTEM_TIME_NEW',
    pass: (sim, _vm, ns) => sim.host.pass(ns),
    again(vm, linux) {
      vm.perform({ type: 'unplug', vcpu: 0 });
      vm.perform({ type: 'hotplug', vcpu: 0, cpu: 0 });
      vm.enter(0);
      linux.register(0);
      return 'vCPU 0 is unplugged and plugged in again; its kernel registers its page';
    },
  },
};

/** A guest's clocks on both vCPUs. */
const readsOf = (vm: SimulatedVm): readonly bigint[] => VCPUS.map((id) => vm.kvmclock(id));

export const countsFromZero = scenario({
  name: 'counts-from-zero',
  title: 'whenever vCPU 0 says where its page is, the clock of the whole VM starts again at 0',
  source:
    '“kvmclock: fix ABI breakage from PVCLOCK_COUNTS_FROM_ZERO”, Radim Krčmář and Marcelo Tosatti, 2015',
  profile: 'v4.2-cfz',
  compare: ['v4.2-cfz', 'v4.4', 'v6.1', 'v7.3'],
  switches: ['countsFromZero'],
  about: [
    'v4.2 had the host count from zero: when vCPU 0 writes MSR_KVM_SYSTEM_TIME, KVM moves kvmclock_offset so that the clock is 0 there, and bit 2 of the flags says so. For a guest that writes the MSR once, as it boots, that is sched_clock.',
    'SLES 10 (2.6.16) writes it whenever it likes and has always been allowed to. It knows the old MSR only, and with that on vCPU 0 there is no masterclock (54750f2cf042): its vCPUs keep time each on its own from boot. A vCPU 0 that is unplugged and plugged in again registers again. Either takes back all the time that there was, `−kvmclock(now)`: on vCPU 0 at once, on the others when the delayed work has them renew their pages, 100 ms later. Until then they are ahead by all of it.',
    'The host’s part was reverted in v4.3; bit 2 means nothing since. Guests subtract a constant of their own instead: see *sched-clock*.',
  ],
  params: {
    uptime: uptime('1h', '30d'),
    hostUptime: duration('1d', 'how long the host has been up when the guest boots', {
      least: '0',
      most: '3650d',
    }),
    tscKhz: tscKhz(),
  },
  run(stage, params) {
    const rows: Cell[][] = [];
    for (const [name, { msr, pass, again }] of Object.entries(GUESTS)) {
      const clocks = { monotonicNs: params.hostUptime, monotonicRawNs: params.hostUptime };
      const sim = stage.host(booted(params.tscKhz, clocks), name);
      const vm = sim.vm();
      const linux = new LinuxGuest(sim, vm, {}, msr);
      vm.perform({ type: 'launch' });
      vm.plug(VCPUS.length);
      for (const id of VCPUS) vm.enter(id);
      linux.boot(VCPUS.length);
      stage.tell(sim, `a guest boots by ${msr}: masterclock ${vmOf(sim).masterclock}`);
      settle(sim, vm);
      pass(sim, vm, params.uptime - UPDATE_DELAY_NS);
      const before = readsOf(vm);
      const told = again(vm, linux);
      const atOnce = readsOf(vm);
      stage.tell(sim, `${told}: vCPU 0 reads ${atOnce[0]} ns, vCPU 1 ${atOnce[1]} ns`);
      settle(sim, vm);
      const later = readsOf(vm);
      stage.tell(sim, `vCPU 0 reads ${later[0]} ns, vCPU 1 ${later[1]} ns`);
      for (const id of VCPUS) {
        const [was, now, then] = [before[id] ?? 0n, atOnce[id] ?? 0n, later[id] ?? 0n];
        rows.push([name, id, was, now - was, then - was - UPDATE_DELAY_NS, vm.kvm(id).pageFlags]);
      }
    }
    return () => ({
      columns: [
        'vCPU 0 registers again',
        'vCPU',
        'kvmclock before (ns)',
        'moved at once (ns)',
        'moved 100 ms later (ns)',
        'flags',
      ],
      rows,
    });
  },
});
