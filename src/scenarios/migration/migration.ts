/** The migration lab: one migration under every policy that a VMM may follow. */
import { VMM_POLICY_IDS, type VmmPolicyId } from '../../engine/index.ts';
import { PROFILE_IDS, type Profile, profile } from '../../profiles/index.ts';
import { choice, duration, durations, durationText, khz, number, ppm } from '../params.ts';
import { type Cell, type Stage, scenario, type Table } from '../scenario.ts';
import { LEAP_SECONDS, type MigrationNumbers, TIMESCALES } from './options.ts';
import { intentOf, judgeMigration, type MigrationVerdict } from './rows.ts';
import { storyOf } from './story.ts';
import { verdictOf } from './verdict.ts';

const DAY = { least: '0', most: '1d' } as const;
const NTP = { least: '-500', most: '500' } as const;
const KHZ = { least: '500000', most: '5000000' } as const;

const PARAMS = {
  policy: choice(['all', ...VMM_POLICY_IDS], 'what the VMM does'),
  to: choice(['same', ...PROFILE_IDS], 'the destination’s kernel'),
  vcpus: number('2', 'how many vCPUs', { least: '1', most: '16' }),
  sourceKhz: khz('2500000', 'frequency of the source host’s TSC', KHZ),
  destinationKhz: khz('2500000', 'frequency of the destination host’s TSC', KHZ),
  guestKhz: khz('0', 'frequency asked for at launch, 0: the host’s', {
    least: '0',
    most: '5000000',
  }),
  scaling: choice(['yes', 'no'], 'whether the destination’s hardware scales TSCs'),
  sourceNtpPpm: ppm('0', 'by how much NTP speeds the source’s clocks up', NTP),
  destinationNtpPpm: ppm('0', 'by how much NTP speeds the destination’s clocks up', NTP),
  uptime: duration('1d', 'from the guest’s boot to the stop', { least: '100ms', most: '3650d' }),
  downtime: duration('1s', 'from the stop to the destination’s first ioctl', DAY),
  memory: duration('300ms', 'how long the last of the memory takes', DAY),
  sourceIoctls: durations(
    '20us',
    'from each ioctl to the next at the source; the last goes on',
    DAY,
  ),
  destinationIoctls: durations('20us', 'the same at the destination', DAY),
  saveTscs: duration('0', 'what passes before TSCs are read', DAY),
  saveClock: duration('0', 'what passes before the clock is read', DAY),
  restoreTscs: duration('0', 'what passes before TSCs are written', DAY),
  restoreClock: duration('50ms', 'what passes before the clock is set', DAY),
  realtimeError: duration('0', 'how far the destination’s CLOCK_REALTIME is ahead', {
    least: '-1h',
    most: '1h',
  }),
  leapSecond: choice(LEAP_SECONDS, 'a leap second while the guest is away'),
  timescale: choice(TIMESCALES, 'by which clock the VMM compares times of two hosts'),
} as const;

const kernelThere = (to: (typeof PROFILE_IDS)[number] | 'same', here: Profile): Profile =>
  to === 'same' ? here : profile(to);

/** What is restored was saved before. */
function checkDowntime(
  stage: Stage,
  { journey: { options, out, source } }: MigrationVerdict,
): void {
  const { uptimeNs, downtimeNs, policy } = options;
  const saved = source.timeAt(out.inputs.at(-1)?.input.tsc ?? 0n) - uptimeNs;
  if (saved <= downtimeNs) return;
  throw stage.refusal('downtime', `at least ${durationText(saved)}, in which ${policy} saves`);
}

function judge(
  stage: Stage,
  policy: VmmPolicyId,
  named: boolean,
  numbers: MigrationNumbers,
  to: Profile,
): MigrationVerdict {
  const prefix = named ? `${policy}-` : '';
  const options = { ...numbers, policy, from: stage.profile, to };
  const verdict = judgeMigration(options, (side, kernel, host) =>
    stage.host(host, `${prefix}${side}`, kernel),
  );
  checkDowntime(stage, verdict);
  stage.story.push(...storyOf(verdict.journey));
  return verdict;
}

const COLUMNS = [
  'policy',
  'time away',
  'vCPU',
  'TSC off by (ns)',
  'TSC',
  'kvmclock off by (ns)',
  'kvmclock',
  'kvmclock against TSC (ns)',
  'STABLE',
  'the guest notices',
];

/** Where a VMM gives up there is no guest to be off. */
const tableOf = (verdicts: readonly MigrationVerdict[]): Table => ({
  verdict: verdictOf(verdicts),
  columns: COLUMNS,
  rows: verdicts.flatMap(({ rows, journey: { refused } }) =>
    rows.map((row): Cell[] => {
      const off = [row.tscNs, row.tscDirection, row.kvmclockNs, row.kvmclockDirection];
      const found = [...off, row.driftNs, row.stableBit];
      return [
        row.policy,
        intentOf(row.policy),
        row.id,
        ...(refused.length > 0 ? found.map(() => '–') : found),
        row.notices.join('; ') || 'nothing',
      ];
    }),
  ),
});

export const migration = scenario({
  name: 'migration',
  title: 'one migration under every policy: how far TSC and kvmclock are off on each vCPU',
  source:
    '“RFC: Precise TSC migration”, Maxim Levitsky, 2020; “Cleaning up the KVM clock mess”, David Woodhouse, 2024',
  profile: 'v7.3',
  compare: ['v4.4', 'v4.9', 'v5.10', 'v6.1', 'v7.3', 'precise-tsc', 'series-v6'],
  switches: [
    'tscOffsetAttr',
    'getClock',
    'getClockRealtime',
    'setClockFlags',
    'syncWindow',
    'clockGuestIoctls',
    'tscStateIoctls',
  ],
  about: [
    'A guest is stopped, saved at one host and restored at another. Which ioctls that takes, in which order and at which instants, is the VMM’s *policy*; all of them are here beside each other. A clock is compared with what it would read had the guest stayed: at the same true time where the policy means time to `advance`, and without the time for which the guest was away where it means to `freeze`.',
    'TSCs are saved one vCPU after another from P1 on and the clock at P2; they are restored from P3 on and at P4. So kvmclock and TSC part by `(P2 − P1) − (P4 − P3)`, whatever the VMM means: with QEMU by as much as the last of the memory takes (`--memory`), because QEMU reads the TSCs when the guest stops and the clock when all is sent.',
    'A saved vCPU’s TSC is honoured by KVM, or snapped to what its siblings have, or starts a generation of its own, in which case the masterclock is off. Each vCPU that then still holds a request for a masterclock update takes one more reference. Cloud Hypervisor up to v52 restores each vCPU before it creates the next, which makes the kernel take the creation of that one for a TSC write of 0 (§ “misrecorded reference”): the TSCs part and STABLE is lost.',
    'KVM_GET_CLOCK computes with the host’s frequency what the guest computes with its own. Where TSCs are scaled these differ by 34.6 ms a day (3.0 to 2.5 GHz), which every policy that saves KVM_GET_CLOCK loses: `--source-khz 3000000 --guest-khz 2500000`.',
    'Two ways need ioctls that were posted and not merged. With KVM_SET_TSC_STATE (`--profile precise-tsc`) each TSC goes on by CLOCK_REALTIME from when it was read; QEMU’s `x-precise-tsc` leaves its kvmclock device alone, which stands still, so that the two part by the time away, and starts each vCPU’s TSC at 0 when its turn comes at reset, while STABLE says that they agree. With KVM_SET_CLOCK_GUEST (`--profile series-v6`) kvmclock stays the function of the guest’s TSC that it was, to the nanosecond, wherever the TSC is put.',
    'What goes by CLOCK_REALTIME is as right as both hosts’ clocks (`--realtime-error`), and a second off by a leap second between them (`--leap-second`), unless the VMM compares by CLOCK_TAI (`--timescale tai`).',
  ],
  params: PARAMS,
  run(stage, { policy, to, scaling, sourceNtpPpm, destinationNtpPpm, ...params }) {
    const { uptime, downtime, memory, ...rest } = params;
    const numbers: MigrationNumbers = {
      vcpus: rest.vcpus,
      sourceKhz: rest.sourceKhz,
      destinationKhz: rest.destinationKhz,
      guestKhz: rest.guestKhz,
      scaling: scaling === 'yes',
      sourceNtpPpt: sourceNtpPpm,
      destinationNtpPpt: destinationNtpPpm,
      uptimeNs: uptime,
      downtimeNs: downtime,
      sourceIoctlsNs: rest.sourceIoctls,
      destinationIoctlsNs: rest.destinationIoctls,
      saveTscsNs: rest.saveTscs,
      saveMemoryNs: memory,
      saveClockNs: rest.saveClock,
      restoreTscsNs: rest.restoreTscs,
      restoreClockNs: rest.restoreClock,
      realtimeErrorNs: rest.realtimeError,
      leapSecond: rest.leapSecond,
      timescale: rest.timescale,
    };
    const policies = policy === 'all' ? VMM_POLICY_IDS : [policy];
    const kernel = kernelThere(to, stage.profile);
    const verdicts = policies.map((id) => judge(stage, id, policies.length > 1, numbers, kernel));
    return () => tableOf(verdicts);
  },
});
