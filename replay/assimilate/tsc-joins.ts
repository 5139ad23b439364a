/**
 * Whether a value written to a TSC joins the generation that the VM's other TSCs are of: what is known
 * of it, and what it tells of the kernel. Joining gives a TSC the generation's offset, whatever was written.
 */
import { subU64 } from '../../src/num/index.ts';
import { type Around, isWatched, showOtherwise } from './around.ts';
import type { KnownVm } from './known.ts';
import type { SeenWrite } from './rows.ts';

/**
 * The TSC that KVM read for a value that led to an offset; `undefined` where it got the offset of the
 * generation that it joined, which tells nothing.
 */
export function tscReadFor(
  { state }: KnownVm,
  data: bigint,
  { next, track }: SeenWrite,
): bigint | undefined {
  const joins = track !== undefined && next === state.curTscOffset;
  return joins ? undefined : subU64(data, next);
}

/** TSCs of another frequency than the host's have offsets of their own. */
const isScaled = ({ scaled, vm }: KnownVm): boolean =>
  scaled || [...vm.vcpus.values()].some(({ model }) => model?.scaled === true);

/** All is known by which KVM decides whether a value that is written joins. */
export function knowsWhetherJoins(
  { driver, host }: Around,
  vm: KnownVm,
  { track }: SeenWrite,
  data: bigint,
  byHost = false,
): boolean {
  // Which offset the others have is known as long as their synchronisations are recorded.
  if (track === undefined || isScaled(vm)) return false;
  const { syncZero } = driver.switches;
  const always = data === 0n && (syncZero === 'any' || (syncZero === 'host' && byHost));
  return always || (vm.tscRecord && host.knowsKhz);
}

/** Until 0c899c25d754 (v5.10) a guest's write of its TSC synchronises it like the VMM's, which is tracked. */
export function seeGuestWrite(around: Around, { track }: SeenWrite): void {
  if (around.sees.tracks) isGuestWriteTo(around, track === undefined ? 'offset' : 'sync');
}

/** An offset that a guest's write alone can't have led to, where synchronisations are not recorded. */
export const joinsUntracked = (around: Around): boolean =>
  !around.sees.tracks && isGuestWriteTo(around, 'sync');

/** A guest's write of its TSC does this. @returns whether the profile has it so, maybe from now on. */
function isGuestWriteTo(around: Around, does: 'offset' | 'sync'): boolean {
  const { chosen, driver } = around;
  const name = 'tscWriteByGuest';
  const how = `guests’ TSC writes that ${does === 'sync' ? 'synchronise' : 'only move'} their TSC`;
  if ((driver.switches[name] === 'sync') === (does === 'sync')) {
    chosen.confirm(name, how);
    return true;
  }
  return showOtherwise(around, name, { [name]: does }, how);
}

/** Until about v4.11 the TSC of a new vCPU is compared with the others' like any value. */
export function seeNewTsc(around: Around, vm: KnownVm, { next, track }: SeenWrite): void {
  const { state } = vm;
  const joins = track === undefined || next === state.curTscOffset;
  if (joins || state.onlineVcpus === 0 || !isWatched(around, vm)) return;
  // A TSC that is not trusted, or of another frequency, has an offset of its own.
  if (!around.host.isTscSteady || isScaled(vm)) return;
  const how = 'a new vCPU that does not join the others';
  showOtherwise(around, 'syncZero', { syncZero: 'none' }, how);
}
