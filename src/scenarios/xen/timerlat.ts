/** David Woodhouse's timerlat: how long a short sleep by a Xen timer takes, by the guest's uptime. */
import { formatNs } from '../../../replay/quantity.ts';
import { asked, booted, guestKhz, tscKhz, vendor } from '../common.ts';
import { duration, durations } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import { Drift } from './drift.ts';
import { type Slept, sleep, startXenGuest } from './guest.ts';

/** As timerlat prints it. */
function latencyText(latencyNs: bigint, sleepNs: bigint): string {
  const late = latencyNs - sleepNs;
  const size = late < 0n ? -late : late;
  const parts = (size * 1_000_000n) / sleepNs;
  const percent = `${parts / 10_000n}.${String(parts % 10_000n).padStart(4, '0')}%`;
  return `${latencyNs}/${sleepNs} (${late < 0n ? '-' : ''}${percent})`;
}

interface Row extends Slept {
  readonly uptimeNs: bigint;
  readonly formulaNs: bigint;
}

const cellsOf = (
  { uptimeNs, latencyNs, clockNs, gapNs, formulaNs }: Row,
  sleepNs: bigint,
): Cell[] => [
  formatNs(uptimeNs),
  latencyText(latencyNs, sleepNs),
  latencyNs - sleepNs,
  clockNs,
  gapNs,
  formulaNs,
];

function verdictOf(rows: readonly Row[], sleepNs: bigint): string {
  const last = rows.at(-1);
  if (last === undefined) return 'this kernel has no Xen timers: the VMM sees to them';
  const late = last.latencyNs - sleepNs;
  return `after ${formatNs(last.uptimeNs)} a sleep of ${formatNs(sleepNs)} takes ${formatNs(last.latencyNs)}: ${formatNs(late)} more`;
}

export const xenTimerlat = scenario({
  name: 'xen-timerlat',
  title: 'a Xen timer is later and later the longer a guest with a scaled TSC has run',
  source: '“KVM: x86/xen: improve accuracy of Xen timers”, David Woodhouse, 2023',
  profile: 'v6.1',
  compare: ['v5.15', 'v6.1', 'v6.8', 'v7.3'],
  switches: ['xenTimer', 'pvScaleUnit'],
  about: [
    'A guest asks Xen to wake it when its clock reads a value, and KVM sets a timer of the host by how far that is from what it takes the guest’s clock to read now. Until 451a707813ae (v6.9) both halves of this are inaccurate.',
    '**The clock.** `get_kvmclock_ns()` turns the host’s TSC into nanoseconds directly. The guest goes two steps: the hardware scales the TSC, and the page’s multiplier makes nanoseconds of it, which was made from a frequency cut to kHz. The two part from the masterclock’s reference on, 34.6 ms a day from 3.0 to 2.5 GHz, and the timer fires late by it. An unscaled guest (`--guest-khz 0`) has no such error.',
    '**Two readings.** The guest’s clock is read, and after it CLOCK_MONOTONIC, from which the timer is set, as if at one instant. What passes between, `--gap`, makes the timer late whatever the uptime.',
    'The fix reads the TSC once and counts it as the guest does. From ca28aa63918b (v6.15) on the page itself is taken, from the guest’s memory.',
    'Columns: the latency as `timerlat -c` prints it, what of it is late, KVM’s error of the clock and the time between its readings as the model has them, and the first of the two by the formula, apart from the model. An error moves the timer in host time, which the guest counts by its own clock: over a delay of milliseconds a few ns more.',
  ],
  params: {
    tscKhz: tscKhz('3000000'),
    guestKhz: guestKhz('2500000'),
    vendor: vendor(),
    uptimes: durations('0,1s,1min,1h,1d,30d', 'how long the guest has run at each sleep', {
      least: '0',
      most: '3650d',
    }),
    sleep: duration('100us', 'how long it wants to sleep', { least: '1us', most: '1h' }),
    gap: duration('0', 'time between the kernel’s two readings', { least: '0', most: '1s' }),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz, { vendor: params.vendor }));
    const { host } = sim;
    const vm = startXenGuest(sim, asked(params.guestKhz));
    const drift = new Drift(vm.kvm(0), sim.world.host);
    const began = host.timeNs;
    const rows: Row[] = [];
    stage.tell(sim, 'a guest with Xen’s interface has booted');
    for (const uptime of [...params.uptimes].sort((a, b) => (a < b ? -1 : 1))) {
      const due = began + uptime;
      if (due > host.timeNs) host.pass(due - host.timeNs);
      const uptimeNs = host.timeNs - began;
      const formulaNs = drift.aheadNs(host.tsc - sim.world.vms.get(0)!.cell.state.masterCycleNow);
      const slept = sleep(sim, vm, params.sleep, params.gap);
      if (slept === undefined) continue;
      rows.push({ ...slept, uptimeNs, formulaNs });
      stage.tell(sim, `it sleeps ${params.sleep} ns, which takes ${slept.latencyNs} ns`);
    }
    return () => ({
      columns: [
        'uptime',
        'latency',
        'late (ns)',
        'clock (ns)',
        'gap (ns)',
        'guest − KVM_GET_CLOCK (ns)',
      ],
      rows: rows.map((row) => cellsOf(row, params.sleep)),
      verdict: verdictOf(rows, params.sleep),
    });
  },
});
