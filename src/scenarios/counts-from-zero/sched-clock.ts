/** A guest that subtracts a constant of its own: what replaced PVCLOCK_COUNTS_FROM_ZERO. */
import { asU64 } from '../../num/index.ts';
import { booted, tscKhz, uptime } from '../common.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';

const VCPUS = [0, 1] as const;
/** vDSO clock mode of a clocksource that is not the TSC: HPET. */
const HPET = 0;

/**
 * Both vCPUs' threads move to other CPUs, which without masterclock brings their pages up to date;
 * vCPU 0's update reads the base clock so much after its TSC.
 */
function enterApart({ host, world }: Simulation, vm: SimulatedVm, gapNs: bigint): void {
  for (const vcpu of VCPUS) {
    vm.leave(vcpu);
    vm.on(vcpu, { type: 'vcpu_load', cpu: vcpu + VCPUS.length });
  }
  const late = host.baseNs(world.switches.otherBase) + gapNs;
  vm.on(0, { type: 'kvm_entry', readings: { 'update.ns': late } });
  vm.enter(1);
}

/** sched_clock of both vCPUs now. */
const rowsOf = (vm: SimulatedVm, guest: string, constant: bigint): Cell[][] =>
  VCPUS.map((vcpu) => {
    const now = vm.kvmclock(vcpu);
    const isStable = (vm.kvm(vcpu).pageFlags & 1) !== 0;
    return [guest, vcpu, isStable, now, constant, asU64(now - constant), now < constant];
  });

export const schedClock = scenario({
  name: 'sched-clock',
  title: 'a guest’s sched_clock is kvmclock minus what its boot vCPU read first',
  source:
    '“kvmclock: fix ABI breakage from PVCLOCK_COUNTS_FROM_ZERO”, Radim Krčmář and Marcelo Tosatti, 2015',
  profile: 'v4.4',
  compare: ['v4.4', 'v4.19', 'v6.1', 'v7.3'],
  switches: ['otherBase', 'stableBit'],
  about: [
    'v4.2 had the host start the clock at 0 when a guest’s boot vCPU registered its page. Since v4.3 the guest does it alone: it reads the clock once, on its boot vCPU, and subtracts that constant from every later reading on every vCPU, whether or not pages are STABLE.',
    'A first guest runs when the host’s clocksource goes from the TSC to HPET. The masterclock is off from then on and each vCPU’s page has a reference of its own, taken with two readings: TSC and base clock. Something comes between the two on vCPU 0 (`--gap`), so that its clock is ahead of vCPU 1’s. The constant does not matter: a task that moves from vCPU 0 to vCPU 1 goes back by the gap either way.',
    'A second guest boots after that. It reads its constant on vCPU 0, whose clock is ahead; vCPU 1, asked within the gap, has read less than the constant, and the unsigned difference is just below 2^64: the underflow that the mail calls very unlikely.',
  ],
  params: {
    uptime: uptime('1h'),
    tscKhz: tscKhz(),
    gap: duration('500ns', 'between vCPU 0’s readings of TSC and base clock', {
      least: '0',
      most: '1s',
    }),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz));
    const { host } = sim;
    const first = sim.vm();
    first.start(VCPUS.length);
    const constant = first.kvmclock(0);
    stage.tell(sim, `a guest boots; its constant, read on vCPU 0, is ${constant} ns`);
    host.pass(params.uptime);
    const rows = rowsOf(first, 'first', constant);
    sim.dispatch({ type: 'change_clocksource', vclockMode: HPET });
    sim.dispatch({ type: 'pvclock_gtod_work' });
    stage.tell(sim, 'the host’s clocksource goes from the TSC to HPET');
    enterApart(sim, first, params.gap);
    rows.push(...rowsOf(first, 'first', constant));

    const second = sim.vm();
    second.start(VCPUS.length);
    enterApart(sim, second, params.gap);
    const ahead = second.kvmclock(0);
    stage.tell(sim, `a second guest boots; its constant is ${ahead} ns`);
    rows.push(...rowsOf(second, 'second', ahead));
    host.pass(params.gap);
    rows.push(...rowsOf(second, 'second', ahead));
    return () => ({
      columns: [
        'guest',
        'vCPU',
        'STABLE',
        'kvmclock (ns)',
        'constant (ns)',
        'sched_clock (ns)',
        'underflow',
      ],
      rows,
    });
  },
});
