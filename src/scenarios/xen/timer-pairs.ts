/** The mail's 103,243 ns: with which pairs of frequencies, and after which uptime, a sleep takes that long. */
import { formatNs } from '../../../replay/quantity.ts';
import { booted, vendor as vendorParam } from '../common.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration, khzs } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';
import { Drift } from './drift.ts';
import { type Slept, sleep, startXenGuest } from './guest.ts';

/** No guest runs longer, ns: ten years. */
const MOST_NS = 3_650n * 86_400n * 1_000_000_000n;
const RANGE = { least: '500000', most: '5000000' } as const;

/** A guest on a host, and when its timers are late by what was asked for. */
interface Pair {
  readonly sim: Simulation;
  readonly vm: SimulatedVm;
  readonly guestKhz: number;
  readonly ratio: bigint;
  /** Host cycles from the reference. */
  readonly afterCycles: bigint | undefined;
  /** Its reference, host TSC. */
  readonly reference: bigint;
}

/** A host with a guest for each frequency. */
function pairsOf(sim: Simulation, guestKhzs: readonly number[], lateNs: bigint): Pair[] {
  return guestKhzs.map((guestKhz, id) => {
    const vm = startXenGuest(sim, guestKhz);
    const drift = new Drift(sim, vm, id);
    return {
      sim,
      vm,
      guestKhz,
      ratio: vm.kvm(0).l1TscScalingRatio,
      afterCycles: drift.cyclesUntil(lateNs, sim.host.cycles(MOST_NS)),
      reference: drift.reference,
    };
  });
}

/** Each pair's guest sleeps when it is time; those that never come to it do not. */
function sleepAll(pairs: readonly Pair[], sleepNs: bigint): Map<Pair, Slept | undefined> {
  const dueOf = ({ reference, afterCycles = 0n }: Pair): bigint => reference + afterCycles;
  const ready = pairs
    .filter(({ afterCycles }) => afterCycles !== undefined)
    .sort((a, b) => (dueOf(a) < dueOf(b) ? -1 : 1));
  return new Map(
    ready.map((pair) => {
      const { host } = pair.sim;
      host.passTo(dueOf(pair));
      return [pair, sleep(pair.sim, pair.vm, sleepNs)];
    }),
  );
}

function rowOf(pair: Pair, slept: Slept | undefined): Cell[] {
  const { sim, guestKhz, ratio, afterCycles } = pair;
  const { tscKhz } = sim.world.host;
  const khz = BigInt(tscKhz);
  const uptimeNs =
    afterCycles === undefined ? undefined : (afterCycles * 1_000_000n + khz - 1n) / khz;
  return [
    tscKhz,
    guestKhz,
    ratio,
    uptimeNs ?? 'never',
    uptimeNs === undefined ? '' : formatNs(uptimeNs),
    slept?.clockNs ?? '',
    slept?.latencyNs ?? '',
  ];
}

export const xenTimerPairs = scenario({
  name: 'xen-timer-pairs',
  title: 'the TSC ratios and uptimes with which a sleep of 100 µs takes 103,243 ns',
  source: '“KVM: x86/xen: improve accuracy of Xen timers”, David Woodhouse, 2023',
  profile: 'v6.1',
  compare: ['v6.1', 'v6.8', 'v7.3', 'rfc-v3'],
  switches: ['xenTimer', 'getClock', 'pvScaleUnit'],
  about: [
    'The mail’s example is a guest whose sleeps of 100,000 ns take 103,243 ns; it does not say on which host, with which frequencies, nor after which uptime. This lists, for each host and guest frequency given, the uptime after which the drift of KVM’s clock against the guest’s (`xen-timerlat`) is `--late`, and then has that guest sleep on that host.',
    '**No fit is claimed.** Every scaled pair whose clocks part comes by that number at some time, usually within seconds or minutes, and never again; a measured latency holds a guest’s own delays beside; and the time between the kernel’s two readings adds to any of them. What the mail’s numbers do show is the mechanism: the same few ns at each sleep, where a delay of the scheduler would vary.',
    'Pairs that never come by it have nothing to cut: the guest’s frequency is a whole number of kHz after scaling, so page and KVM have all but the same rate. With the KVM clock series (`rfc-v3`), where KVM goes the guest’s way, no pair does.',
  ],
  params: {
    late: duration('3243ns', 'how much longer than asked for', { least: '1ns', most: '1s' }),
    sleep: duration('100us', 'how long the guest wants to sleep', { least: '1us', most: '1h' }),
    hostKhz: khzs('2500000,3000000', 'frequencies of hosts’ TSCs', RANGE),
    guestKhz: khzs('1500000,2300000,2400000,2900000', 'frequencies guests are given', RANGE),
    vendor: vendorParam(),
  },
  run(stage, params) {
    const { vendor } = params;
    const pairs = params.hostKhz.flatMap((hostKhz) =>
      pairsOf(
        stage.host(booted(hostKhz, { vendor }), `${hostKhz}kHz`),
        params.guestKhz,
        params.late,
      ),
    );
    const slept = new Map(
      stage.simulations.flatMap((sim) => [
        ...sleepAll(
          pairs.filter((pair) => pair.sim === sim),
          params.sleep,
        ),
      ]),
    );
    for (const sim of stage.simulations) {
      stage.tell(sim, 'each guest has slept, at the uptime of its line below');
    }
    const found = [...slept.values()].filter((its) => (its?.clockNs ?? 0n) > 0n).length;
    return () => ({
      columns: [
        'host (kHz)',
        'guest (kHz)',
        'ratio',
        'uptime (ns)',
        'that is',
        'clock (ns)',
        'latency (ns)',
      ],
      rows: pairs.map((pair) => rowOf(pair, slept.get(pair))),
      verdict: `${found} of ${pairs.length} pairs of frequencies have a sleep of ${formatNs(params.sleep)} take ${formatNs(params.late)} longer at some uptime`,
    });
  },
});
