/** David Woodhouse's timerlat: how long a short sleep by a Xen timer takes, by the guest's uptime. */
import { formatNs } from '../../../replay/quantity.ts';
import { asked, booted, guestKhz, tscKhz, vendor } from '../common.ts';
import { aheadOfGetClock } from '../deeds.ts';
import { duration, durations } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
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
  readonly aheadNs: bigint;
}

const cellsOf = (
  { uptimeNs, latencyNs, clockNs, gapNs, aheadNs }: Row,
  sleepNs: bigint,
): Cell[] => [
  formatNs(uptimeNs),
  latencyText(latencyNs, sleepNs),
  latencyNs - sleepNs,
  clockNs,
  gapNs,
  aheadNs,
];

function verdictOf(rows: readonly Row[], sleepNs: bigint): string {
  const last = rows.at(-1);
  if (last === undefined) return 'this kernel has no Xen timers: the VMM sees to them';
  const late = last.latencyNs - sleepNs;
  const took = `a sleep of ${formatNs(sleepNs)} takes ${formatNs(last.latencyNs)}: ${formatNs(late)} more`;
  return `after ${formatNs(last.uptimeNs)} ${took}; KVM_GET_CLOCK is behind by ${formatNs(last.aheadNs)}`;
}

export const xenTimerlat = scenario({
  name: 'xen-timerlat',
  title: 'a Xen timer is later and later the longer a guest with a scaled TSC has run',
  source: '“KVM: x86/xen: improve accuracy of Xen timers”, David Woodhouse, 2023',
  profile: 'v6.1',
  compare: ['v5.15', 'v6.1', 'v6.8', 'v7.3', 'rfc-v3', 'series-v6'],
  switches: ['xenTimer', 'getClock', 'pvScaleUnit'],
  about: [
    'A guest asks Xen to wake it when its clock reads a value, and KVM sets a timer of the host by how far that is from what it takes the guest’s clock to read now. Until 451a707813ae (v6.9) both halves of this are inaccurate.',
    '**The clock.** `get_kvmclock_ns()` turns the host’s TSC into nanoseconds directly. The guest goes two steps: the hardware scales the TSC, and the page’s multiplier makes nanoseconds of it, which was made from a frequency cut to kHz. The two part from the masterclock’s reference on, 34.6 ms a day from 3.0 to 2.5 GHz, and the timer fires late by it. An unscaled guest (`--guest-khz 0`) has no such error.',
    '**Two readings.** The guest’s clock is read, and after it CLOCK_MONOTONIC, from which the timer is set, as if at one instant. What passes between, `--gap`, makes the timer late whatever the uptime.',
    'The fix reads the TSC once and counts it as the guest does. From ca28aa63918b (v6.15) on the page itself is taken, from the guest’s memory.',
    '**KVM_GET_CLOCK** is `get_kvmclock_ns()` for the VMM, and the fix leaves it as it was: what a VMM reads of the clock drifts from what the guest reads all the same. The KVM clock series has it go the guest’s way (RFC v3 9/21, `getClock=guest-scale`) and makes the page of Hz (2/21, `pvScaleUnit=hz`); with both nothing is left, with the first alone what is cut to kHz, 34.5 ms a day.',
    'Columns: the latency as `timerlat -c` prints it, what of it is late, KVM’s error of the clock and the time between its readings when it set the timer, and what the guest read less what KVM_GET_CLOCK answered at that instant. An error moves the timer in host time, which the guest counts by its own clock: over a delay of milliseconds a few ns more.',
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
    const began = host.timeNs;
    const rows: Row[] = [];
    stage.tell(sim, 'a guest with Xen’s interface has booted');
    for (const uptime of [...params.uptimes].sort((a, b) => (a < b ? -1 : 1))) {
      const due = began + uptime;
      if (due > host.timeNs) host.pass(due - host.timeNs);
      const uptimeNs = host.timeNs - began;
      const aheadNs = aheadOfGetClock(vm);
      const slept = sleep(sim, vm, params.sleep, params.gap);
      if (slept === undefined) continue;
      rows.push({ ...slept, uptimeNs, aheadNs });
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
