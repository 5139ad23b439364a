/** The mail's 103,243 ns: with which pairs of frequencies, and after which uptime, a sleep takes that long. */
import { formatNs } from '../../../replay/quantity.ts';
import { booted, vendor as vendorParam } from '../common.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration, khzs } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';
import { Drift, type Nap } from './drift.ts';
import { type Asleep, fallAsleep, type Slept, startXenGuest, wake } from './guest.ts';

/** No guest runs longer, ns: ten years. */
const MOST_NS = 3_650n * 86_400n * 1_000_000_000n;
const RANGE = { least: '500000', most: '5000000' } as const;

/** A guest on a host, and its sleep that is late by what was asked for. */
interface Pair {
  readonly sim: Simulation;
  readonly vm: SimulatedVm;
  readonly guestKhz: number;
  readonly ratio: bigint;
  /** When it booted, by the simulated host's time. */
  readonly bootedNs: bigint;
  readonly nap: Nap | undefined;
}

/** A host with a guest for each frequency. */
function pairsOf(
  sim: Simulation,
  { guestKhz, late, sleep }: { guestKhz: readonly number[]; late: bigint; sleep: bigint },
): Pair[] {
  return guestKhz.map((khz, id) => {
    const vm = startXenGuest(sim, khz);
    const drift = new Drift(sim, vm, id);
    const ratio = vm.kvm(0).l1TscScalingRatio;
    const nap = drift.napLateBy(late, sleep, MOST_NS);
    return { sim, vm, guestKhz: khz, ratio, bootedNs: sim.host.timeNs, nap };
  });
}

/** Each of a host's guests sleeps when it is time, others meanwhile; those that never come to it do not. */
function sleepAll(pairs: readonly Pair[], sleepNs: bigint): Map<Pair, Slept> {
  const slept = new Map<Pair, Slept>();
  const asleep = new Map<Pair, Asleep>();
  const moments = pairs.flatMap((pair) => {
    const { sim, vm, nap } = pair;
    if (nap === undefined) return [];
    const begin = (): void => {
      const its = fallAsleep(sim, vm, sleepNs);
      if (its !== undefined) asleep.set(pair, its);
    };
    const end = (): void => {
      const its = asleep.get(pair);
      if (its !== undefined) slept.set(pair, wake(vm, its));
    };
    return [
      { sim, atNs: nap.fromNs, happen: begin },
      { sim, atNs: nap.toNs, happen: end },
    ];
  });
  for (const { sim, atNs, happen } of moments.sort((a, b) => Number(a.atNs - b.atNs))) {
    sim.host.pass(atNs - sim.host.timeNs);
    happen();
  }
  return slept;
}

function rowOf({ sim, guestKhz, ratio, bootedNs, nap }: Pair, slept: Slept | undefined): Cell[] {
  const uptimeNs = nap === undefined ? undefined : nap.fromNs - bootedNs;
  return [
    sim.world.host.tscKhz,
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
    'The mail’s example is a guest whose sleeps of 100,000 ns take 103,243 ns; it does not say on which host, with which frequencies, nor after which uptime. This looks, for each host and guest frequency given, for an uptime after which a sleep takes just `--late` longer, by the drift of KVM’s clock against the guest’s (`xen-timerlat`) and by what the guest’s clock gains on the host’s timer meanwhile, and then has that guest sleep on that host.',
    '**No fit is claimed.** Every scaled pair whose clocks part comes by that number at some time, usually within seconds or minutes, and never again; a measured latency holds a guest’s own delays beside; and the time between the kernel’s two readings adds to any of them. What the mail’s numbers do show is the mechanism: the same few ns at each sleep, where a delay of the scheduler would vary.',
    'Pairs that never come by it have nothing to cut: the guest’s frequency is a whole number of kHz after scaling, so page and KVM have all but the same rate. With the KVM clock series (`rfc-v3`), where KVM goes the guest’s way, no pair does, nor from v6.9 on, where its timers do: what is left is what the guest’s clock gains during the sleep, 0.7 ns a millisecond, at any uptime. Where a sleep is so long that this is more than `--late`, no uptime gives it either.',
  ],
  params: {
    late: duration('3243ns', 'how much longer than asked for', { least: '1ns', most: '1s' }),
    sleep: duration('100us', 'how long the guest wants to sleep', { least: '1us', most: '1h' }),
    hostKhz: khzs('2500000,3000000', 'frequencies of hosts’ TSCs', RANGE),
    guestKhz: khzs('1500000,2300000,2400000,2900000', 'frequencies guests are given', RANGE),
    vendor: vendorParam(),
  },
  run(stage, params) {
    const pairs = params.hostKhz.flatMap((khz) =>
      pairsOf(stage.host(booted(khz, { vendor: params.vendor }), `${khz}kHz`), params),
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
    const took = params.sleep + params.late;
    const found = [...slept.values()].filter(({ latencyNs }) => latencyNs === took).length;
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
