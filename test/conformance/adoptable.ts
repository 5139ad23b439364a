/**
 * How often each kind of value can at most be adopted from a recording, counted in its files and not
 * by what predicts it: a snapshot for each that was traced, and so on.
 */
import type { Adoption, CheckedRecording } from '../../replay/conformance/index.ts';

const TSC_STABLE = 2;
const REALTIME = 4;
const STABLE_BIT = 1;

const flagsOf = (args: Readonly<Record<string, unknown>>): number => Number(args['flags'] ?? 0);

/** Reads of the clock that an action made or was followed by, by whether a masterclock gave them. */
function clockReads({ actions }: CheckedRecording, stable: boolean): number {
  const own = actions.filter(({ op, out }) => op === 'KVM_GET_CLOCK' && 'clock' in out);
  const flags = [
    ...own.map(({ out }) => flagsOf(out)),
    ...actions.flatMap(({ seen }) => (seen?.clock === undefined ? [] : [seen.clock.flags])),
  ];
  return flags.filter((of) => ((of & TSC_STABLE) !== 0) === stable).length;
}

/** The most of each kind. */
export function adoptable(recording: CheckedRecording): Readonly<Record<Adoption, number>> {
  const { events, actions, gtods } = recording;
  const count = (type: string): number => events.filter((event) => event.type === type).length;
  const ops = (...names: string[]): number => actions.filter(({ op }) => names.includes(op)).length;
  const settings = actions.filter(({ op }) => op === 'KVM_SET_CLOCK');
  const loosePages = events.filter(
    (event) => event.type === 'kvm_pvclock_update' && (event.flags & STABLE_BIT) === 0,
  ).length;
  const snapshots = count('kvm_update_master_clock');
  const offsets = count('kvm_write_tsc_offset');
  const sleeps = events.filter(({ type }) => type === 'suspend_resume').length > 0 ? 2 : 0;
  const clocksources = actions.filter(({ args }) =>
    String(args['path'] ?? '').endsWith('/current_clocksource'),
  ).length;
  const isProbed = gtods.length > 0;
  const isSteered = recording.meta.kernel.endsWith('-monobase') && !isProbed;
  return {
    'snapshot-tsc': snapshots,
    'sync-tsc': offsets,
    'sync-ns': count('kvm_track_tsc'),
    'load-tsc': 2 * offsets,
    'create-ns': ops('create_vm'),
    'page-tsc': loosePages,
    'page-ns': loosePages + clockReads(recording, false),
    'set-clock-ns': settings.length,
    'set-clock-tsc': settings.length,
    'realtime-ns': settings.filter(({ args }) => (flagsOf(args) & REALTIME) !== 0).length,
    offsBoot: sleeps + clocksources,
    cpuTscKhz: /^(5|6\.1)\./.test(recording.meta.kernel) ? 1 : 0,
    timekeepers: isProbed
      ? 1 + sleeps + ops('clock_settime_realtime_step')
      : 1 + clockReads(recording, true) + (isSteered ? snapshots : 0),
    stoppedFlag: ops('KVM_KVMCLOCK_CTRL'),
    'work-time': count('kvm_pvclock_update'),
    'xen-timeout': actions.filter(({ args }) =>
      String(args['name']).endsWith('set_singleshot_timer'),
    ).length,
  };
}
