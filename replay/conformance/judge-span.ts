/** Clocks read through an MSR at an unknown instant of an action. */
import { MSRS, type ObservationOf } from '../../events/index.ts';
import type { ReadingSource } from '../../src/engine/index.ts';
import { asS64 } from '../../src/num/index.ts';
import type { HostTimes } from './action.ts';
import type { PlacedStep } from './fds.ts';
import type { Session, Untimed } from './session.ts';

/** The MSRs whose value goes on by itself. */
export const isClockMsr = (index: number): boolean =>
  index === MSRS.IA32_TSC || index === MSRS.HV_X64_MSR_TIME_REF_COUNT;

/** Judges such a read: it lies between what the ends of the action would read. */
export function judgeSpan(
  session: Session,
  placed: PlacedStep,
  output: string,
  input: Untimed,
  found: bigint,
): void {
  const { action, target } = placed;
  const vm = target === undefined ? undefined : session.world.vms.get(target.vm)?.cell.state;
  // Without masterclock the clock is the host's base clock at an instant that nothing shows.
  const isBase = vm?.masterclock !== 'on' && input.type !== 'rdtsc' && 'index' in input;
  if (action === undefined || (isBase && input.index !== MSRS.IA32_TSC)) return;
  const readAt = ({ tsc, raw }: Pick<HostTimes, 'tsc' | 'raw'>): bigint | undefined => {
    const source: ReadingSource = (name) => {
      if (name === 'getClock.tsc') return tsc;
      return name === 'getClock.ns' ? raw + session.world.host.offsBoot : undefined;
    };
    const seen = session.dispatch(placed, input, { source });
    return seen.find((o): o is ObservationOf<'msr_result'> => o.type === 'msr_result')?.data;
  };
  const least = readAt(action.before);
  const most = readAt({ tsc: action.after.tscEnd, raw: action.after.raw });
  if (least === undefined || most === undefined) return;
  const inside = asS64(found - least) >= 0n && asS64(most - found) >= 0n;
  session.judge(placed, output, inside ? 'exact' : 'wrong', `${least} … ${most}`, `${found}`);
}
