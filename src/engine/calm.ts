/**
 * The short way of entries and exits, which nearly all inputs of a busy host are: while nothing is
 * requested of a vCPU, one signal is left of their way through the machines, and their admission asks
 * for no more than the vCPU's states. `test/engine/rows.test.ts` finds the same in the routes.
 */
import { type InputRows, ROW, ROW_WORDS } from '../../events/index.ts';
import { isAsNeeded } from './admit.ts';
import { planOfType } from './plan.ts';
import type { Run, VmOf } from './run.ts';

/** The signal that is left, by type. */
export const CALM_SIGNALS = { kvm_entry: 'ENTER', kvm_exit: 'EXIT' } as const;

/** What is known of such a type: its code, in which states the vCPU must be, and the signal. */
export const calmOf = <T extends keyof typeof CALM_SIGNALS>(type: T) => {
  const { code, admission } = planOfType(type);
  return { code, needs: admission.vcpu!, signal: CALM_SIGNALS[type] };
};

const ENTRY = calmOf('kvm_entry');
const EXIT = calmOf('kvm_exit');

/** Whether inputs of the types that go the short way are none of those after which to stop. */
export const mayPass = (stops: Uint8Array): boolean =>
  stops[ENTRY.code] === 0 && stops[EXIT.code] === 0;

/**
 * Lets inputs of one VM happen as long as they can go the short way: bare, in order, of vCPUs of which
 * nothing is requested and that are in the states that they must be in.
 *
 * Only with tables: ENTER's takes nothing but its own struct, so that what else is known of an entry
 * is left out. An actor's inspector would see it.
 *
 * @param last - halves of the instant of the input before, the lower one first; made that of the last.
 * @returns the row of the first that has to go the long way; behind one that showed something.
 */
export function passCalm(
  run: Run,
  vm: VmOf,
  last: Uint32Array,
  batch: InputRows,
  from: number,
  to: number,
): number {
  run.beginCalm(EXIT.code, vm);
  // What is not the function's own V8 looks up and checks anew for each row.
  const isReady = isAsNeeded;
  const { code: entry, needs: enters, signal: enter } = ENTRY;
  const { code: exit, needs: exits, signal: leave } = EXIT;
  const { low: lowAt, high: highAt, vm: vmAt, vcpu: vcpuAt, kind: kindAt } = ROW;
  const step = ROW_WORDS;
  const { words, wides } = batch;
  const { byId } = vm;
  const id = vm.id | 0;
  // Instants are compared by halves, without bigints: the higher one mostly is what it was.
  const high = last[1]! | 0;
  let low = last[0]! | 0;
  let row = from;
  for (let at = step * from; row < to; at += step) {
    const kind = words[at + kindAt]!;
    const vcpu = words[at + vcpuAt]!;
    if (words[at + vmAt] !== id || (kind !== exit && kind !== entry) || vcpu < 0) break;
    const cell = byId[vcpu];
    if (cell === undefined || cell.state.requests !== 0) break;
    if (!isReady(cell.state, kind === exit ? exits : enters)) break;
    const lower = words[at + lowAt]!;
    if (words[at + highAt] !== high || lower >>> 0 < low >>> 0) break;
    low = lower;
    row += 1;
    if (kind === exit) {
      run.passTo(wides, at >>> 1, vcpu, cell);
      cell[leave](run);
      if (!run.isQuiet) break;
    } else cell[enter](run);
  }
  last[0] = low;
  return row;
}
