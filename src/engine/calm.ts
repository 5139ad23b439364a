/**
 * The short way of entries and exits, which nearly all inputs of a busy host are: while nothing is
 * requested of a vCPU, one signal is left of their way through the machines, and their admission asks
 * for no more than the vCPU's states.
 *
 * Of those of one vCPU only the last of each has to reach its machine. An entry leads from one state
 * to another and an exit back again, and the exit notes the guest's TSC of its instant, where the next
 * one notes it too; nothing on the short way looks at it in between. `test/engine/rows.test.ts` finds
 * the same in the routes, in the machine and in the recipe.
 */
import { type InputRows, ROW, ROW_WORDS } from '../../events/index.ts';
import { VcpuState } from '../clock/index.ts';
import { isAsNeeded } from './admit.ts';
import { regionOffset, stateByte } from './modes.ts';
import { planOfType } from './plan.ts';
import { type Run, SMALL_VCPU_IDS, type VmOf } from './run.ts';

/** The signal that is left, by type. */
export const CALM_SIGNALS = { kvm_entry: 'ENTER', kvm_exit: 'EXIT' } as const;

// What is imported V8 looks up and checks anew at each use; a constant of this module's own is code.
const { low: LOW, high: HIGH, vm: VM, vcpu: VCPU, kind: KIND } = ROW;
const STEP = ROW_WORDS;
const MOST_VCPUS = SMALL_VCPU_IDS;

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

/** A vCPU whose TSC is always pushed forward requests something at each exit. */
const CATCHUP = regionOffset(VcpuState, 'catchup');
const ALWAYS = stateByte(VcpuState, 'catchup', 'always');

/** The clock read of an exit. */
const EXIT_READING = 'exit.tsc';

const NOT_MET = -1;
const NEVER = -1;

/**
 * What is known of the vCPUs on a stretch of the short way, by id; nothing once it was gone.
 *
 * `next` is the code of the type whose turn it is, and `met` the ids of those that were met. `lasts`
 * has the row of the last exit in every second place; those between take entries' rows, which nobody
 * asks for, so that the loop stores without a branch.
 */
const STRETCH = {
  next: new Int32Array(SMALL_VCPU_IDS).fill(NOT_MET),
  lasts: new Int32Array(2 * SMALL_VCPU_IDS).fill(NEVER),
  met: new Int32Array(SMALL_VCPU_IDS),
};

/** Whether a vCPU may go the short way from where it is now, with an input of this type. */
function isCalm({ byId }: VmOf, vcpu: number, kind: number): boolean {
  const cell = byId[vcpu];
  if (cell === undefined || (kind !== EXIT.code && kind !== ENTRY.code)) return false;
  const { state } = cell;
  if (state.requests !== 0 || state.u8[state.at + CATCHUP] === ALWAYS) return false;
  return isAsNeeded(state, kind === EXIT.code ? EXIT.needs : ENTRY.needs);
}

/**
 * Lets inputs of one VM happen as long as they can go the short way: bare, in order, of vCPUs of which
 * nothing is requested and that are in the states that they must be in. None of them shows anything.
 *
 * Only with tables: an actor's inspector would see what is left out.
 *
 * @param last - halves of the instant of the input before, the lower one first; made that of the last.
 * @returns the row of the first that has to go the long way.
 */
export function passCalm(
  run: Run,
  vm: VmOf,
  last: Uint32Array,
  batch: InputRows,
  from: number,
  to: number,
): number {
  const { words } = batch;
  const { next, lasts, met } = STRETCH;
  const id = vm.id | 0;
  // Instants are compared by halves, without bigints: the higher one mostly is what it was.
  const high = last[1]! | 0;
  let low = last[0]! | 0;
  // V8 unpacks a parameter anew for each row, but not what was made 32 bits.
  const end = to | 0;
  let row = from | 0;
  let vcpus = 0;
  let exits = 0;
  for (let at = STEP * row; row < end; at += STEP) {
    const vcpu = words[at + VCPU]!;
    const lower = words[at + LOW]!;
    if (words[at + VM] !== id || words[at + HIGH] !== high) break;
    if (lower >>> 0 < low >>> 0 || vcpu >>> 0 >= MOST_VCPUS) break;
    const kind = words[at + KIND]!;
    if (next[vcpu] !== kind) {
      if (next[vcpu] !== NOT_MET || !isCalm(vm, vcpu, kind)) break;
      met[vcpus++] = vcpu;
    }
    // Without a branch: with several vCPUs nobody can foretell whether an exit is next.
    const isExit = Number(kind === EXIT.code);
    next[vcpu] = EXIT.code + ENTRY.code - kind;
    lasts[2 * vcpu + isExit] = row;
    exits += isExit;
    low = lower;
    row += 1;
  }
  if (row > from) {
    settle(run, vm, batch, vcpus, exits);
    last[0] = low;
  }
  return row;
}

/**
 * Lets what the inputs of the vCPUs that were met come to reach their machines: an entry that led to
 * the last exit, that exit, and an entry after it. Nothing is known of these vCPUs then.
 */
function settle(run: Run, vm: VmOf, batch: InputRows, vcpus: number, exits: number): void {
  const { next, lasts, met } = STRETCH;
  run.beginCalm(EXIT.code, vm);
  let noted = 0;
  try {
    for (let place = 0; place < vcpus; place++) {
      const vcpu = met[place]!;
      const cell = vm.byId[vcpu]!;
      const row = lasts[2 * vcpu + 1]!;
      if (row !== NEVER) {
        if (isAsNeeded(cell.state, ENTRY.needs)) cell[ENTRY.signal](run);
        run.passTo(batch, row, vcpu, cell);
        cell[EXIT.signal](run);
        noted += 1;
      }
      if (next[vcpu] === EXIT.code) cell[ENTRY.signal](run);
    }
  } finally {
    // Also when a recipe throws: other worlds come this way too.
    for (let place = 0; place < vcpus; place++) {
      const vcpu = met[place]!;
      next[vcpu] = NOT_MET;
      lasts[2 * vcpu + 1] = NEVER;
    }
  }
  run.readings.addDerived(EXIT_READING, exits - noted);
}
