/** What took the place of PVCLOCK_COUNTS_FROM_ZERO: a guest that subtracts what its clock read first. */
import { asS64, PVCLOCK_TSC_STABLE_BIT } from '../../num/index.ts';
import { booted, ntpPpm, tscKhz, uptime } from '../common.ts';
import { passWithSync } from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import { LinuxGuest } from '../linux.ts';
import { choice, duration } from '../params.ts';
import { type Cell, type Stage, scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';

const VCPUS = 2;
/** Long enough after boot for a TSC to be set back behind its page's reference. */
const SETTLED_NS = 1_000_000_000n;
const HOST_UPTIME_NS = 1_000_000_000_000n;

interface Boot {
  readonly sim: Simulation;
  readonly vm: SimulatedVm;
  readonly linux: LinuxGuest;
}

interface Values {
  readonly uptime: bigint;
  readonly tscKhz: number;
  readonly ntpPpm: bigint;
  readonly hpet: bigint;
  readonly periodicSync: 'on' | 'off';
  readonly gap: bigint;
  readonly behind: bigint;
}

function boot(stage: Stage, name: string, values: Values, cpuidStableBit = true): Boot {
  const options = {
    monotonicNs: HOST_UPTIME_NS,
    monotonicRawNs: HOST_UPTIME_NS,
    kvmclockPeriodicSync: values.periodicSync === 'on',
  };
  const sim = stage.host(booted(values.tscKhz, options), name);
  const vm = sim.vm();
  const linux = new LinuxGuest(sim, vm, { cpuidStableBit });
  vm.start(VCPUS);
  return { sim, vm, linux };
}

/** Rows of a case: each vCPU's clock less the constant, as it is and as sched_clock gives it. */
function rowsOf(name: string, { linux, vm }: Boot, passed: bigint, order = [0, 1]): Cell[][] {
  return order.map((id) => {
    const plain = asS64(vm.kvmclock(id) - linux.guest.state.schedClockOffset);
    const stable = (vm.kvm(id).pageFlags & PVCLOCK_TSC_STABLE_BIT) !== 0;
    return [name, id, stable, plain, linux.schedClock(id), passed];
  });
}

/** vCPU 0 registers its page again, and another time when it likes. */
function registerAgain(stage: Stage, values: Values): Cell[][] {
  const its = boot(stage, 'register again', values);
  its.linux.boot(VCPUS);
  its.sim.host.pass(values.uptime);
  its.linux.register(0);
  its.vm.kick();
  stage.tell(
    its.sim,
    `vCPU 0 registers its page again; sched_clock: ${its.linux.schedClock(0)} ns`,
  );
  return rowsOf('register again', its, values.uptime);
}

/** CPUID does not say that the STABLE bit counts; the constant is taken all the same. */
function withoutStableBit(stage: Stage, values: Values): Cell[][] {
  const its = boot(stage, 'no STABLE bit', values, false);
  its.linux.boot(VCPUS);
  its.sim.host.pass(values.uptime);
  const now = its.linux.schedClock(0);
  stage.tell(its.sim, `a guest that knows no STABLE bit; sched_clock: ${now} ns`);
  return rowsOf('no STABLE bit', its, values.uptime);
}

/** The host's clocksource leaves the TSC at run time; then vCPU 1 gets a page that is younger. */
function clocksource(stage: Stage, values: Values): Cell[][] {
  const its = boot(stage, 'tsc to hpet', values);
  const { sim, vm, linux } = its;
  linux.boot(VCPUS);
  sim.host.steer(values.ntpPpm);
  sim.host.pass(values.uptime);
  sim.dispatch({ type: 'change_clocksource', vclockMode: 0 });
  if (sim.world.host.gtodWorkQueued) sim.dispatch({ type: 'pvclock_gtod_work' });
  vm.kick();
  // Each vCPU’s update asks the others for another page, and has them leave the guest for it.
  vm.kick();
  stage.tell(sim, 'the host’s clocksource goes from tsc to hpet: no masterclock any more');
  passWithSync(sim, vm, values.hpet);
  vm.leave(1);
  vm.on(1, { type: 'vcpu_load', cpu: 3 });
  const late = sim.host.baseNs(sim.world.switches.otherBase) + values.gap;
  vm.on(1, { type: 'kvm_entry', readings: { 'update.ns': late } });
  const apart = asS64(vm.kvmclock(1) - vm.kvmclock(0));
  stage.tell(sim, `vCPU 1’s page is new: kvmclock is ${apart} ns ahead of vCPU 0’s there`);
  return rowsOf('tsc to hpet', its, values.uptime + values.hpet, [1, 0]);
}

/** vCPU 1's clock is behind the one that the constant was read from: its guest set its TSC back. */
function behind(stage: Stage, values: Values, cpuidStableBit: boolean): Cell[][] {
  const name = cpuidStableBit ? 'vCPU 1 behind' : 'vCPU 1 behind, no STABLE bit';
  const its = boot(stage, name, values, cpuidStableBit);
  const { sim, vm, linux } = its;
  linux.register(0);
  linux.register(1);
  vm.kick();
  sim.host.pass(SETTLED_NS + values.behind);
  const cycles = sim.host.cycles(values.behind);
  vm.writeMsr(1, 'IA32_TSC_ADJUST', BigInt.asUintN(64, -cycles));
  linux.guest.startSchedClock(0, vm.tsc(0));
  const now = vm.kvmclock(1) - vm.kvmclock(0);
  stage.tell(sim, `vCPU 1’s clock is ${now} ns ahead of vCPU 0’s where sched_clock starts`);
  return rowsOf(name, its, 0n);
}

export const schedClock = scenario({
  name: 'sched-clock',
  title: 'a guest whose sched_clock subtracts a constant of its own keeps it through everything',
  source:
    '“kvmclock: fix ABI breakage from PVCLOCK_COUNTS_FROM_ZERO”, Radim Krčmář and Marcelo Tosatti, 2015',
  profile: 'v4.4',
  compare: ['v4.2-cfz', 'v4.4', 'v5.15', 'v7.3'],
  switches: ['countsFromZero', 'tscAdjustRaisesClockUpdate', 'otherBase', 'periodicSync'],
  about: [
    'Since v4.3 a Linux guest reads its clock once on vCPU 0 and subtracts that from every later read, on every vCPU. A vCPU that registers again changes nothing, and neither does a guest that does not know the STABLE bit: the constant does not depend on it, as Marcelo Tosatti asked.',
    'The mail’s second objection is that clocks of different vCPUs part at run time, as when the host’s clocksource leaves the TSC. They do, by what NTP has steered the host’s clock since a vCPU’s page was written (until v5.5), and by what comes between the readings of TSC and clock (`--gap`). Here vCPU 1 moves to another CPU `--hpet` after the host left the TSC, and gets a page of its own there; vCPU 0’s is the one that KVM’s periodic work wrote last, every 300 s until v6.18. So no more than `ntp-ppm · 300 s` is between them, 6 ms at 20 ppm, unless the module’s `kvmclock_periodic_sync` is off (`--periodic-sync off`): then it is all since the host left the TSC. A constant does not make that worse, and the guest’s clamp, which comes with the loss of the STABLE bit, lets no vCPU go back behind another.',
    'Where vCPU 1 reads less than vCPU 0 did when the constant was taken, the unsigned difference is about 2^64 ns, shown here as what it is short of that. With a page that is not trusted the clamp prevents it. Under `v4.4` a guest’s write of TSC_ADJUST leaves its page as it was, which makes its clock so much behind; from d9130a2dfdd4 on (v5.15) the page is renewed and there is no such case.',
  ],
  params: {
    uptime: uptime('1h'),
    hpet: duration('30min', 'how long the clocksource is hpet when vCPU 1 gets its page', {
      least: '1s',
      most: '1d',
    }),
    periodicSync: choice(['on', 'off'], 'KVM’s module parameter kvmclock_periodic_sync'),
    ntpPpm: ntpPpm(),
    tscKhz: tscKhz(),
    gap: duration('500ns', 'between the readings of TSC and clock for vCPU 1’s new page', {
      least: '0',
      most: '1s',
    }),
    behind: duration('1ms', 'by how much vCPU 1’s clock is behind', { least: '1us', most: '1h' }),
  },
  run(stage, params) {
    const rows = [
      ...registerAgain(stage, params),
      ...withoutStableBit(stage, params),
      ...clocksource(stage, params),
      ...behind(stage, params, true),
      ...behind(stage, params, false),
    ];
    return () => ({
      columns: [
        'case',
        'vCPU',
        'STABLE',
        'kvmclock less the constant (ns)',
        'sched_clock (ns)',
        'passed (ns)',
      ],
      rows,
    });
  },
});
