/** References as a model takes them. */
import type { Input } from '../../events/index.ts';
import { type BaseClock, baseAt, monotonicRawAt } from '../../src/clock/index.ts';
import type { World } from '../../src/engine/index.ts';
import type { Cause } from '../causes.ts';
import type { Reference } from '../findings/reference.ts';
import type { FollowedVm } from './followed.ts';

/** The reference that a VM, or one of its vCPUs, takes at a host TSC. */
export function referenceAt(
  { host }: World,
  { state, setBy }: FollowedVm,
  { hostTsc, kernelNs }: Pick<Reference, 'hostTsc' | 'kernelNs'>,
  base: BaseClock,
  cause: Cause | undefined,
): Reference {
  return {
    hostTsc,
    base,
    kernelNs,
    baseNs: baseAt(host, hostTsc, base),
    rawNs: monotonicRawAt(host, hostTsc),
    sleptNs: host.offsBoot,
    offsetNs: state.kvmclockOffset,
    cause,
    setBy,
  };
}

/** The reference that a VM's masterclock has now, if it is on. */
export function masterReference(
  world: World,
  followed: FollowedVm,
  cause: Cause | undefined,
): Reference | undefined {
  const { masterclock, masterCycleNow: hostTsc, masterKernelNs: kernelNs } = followed.state;
  if (masterclock !== 'on') return undefined;
  return referenceAt(world, followed, { hostTsc, kernelNs }, world.switches.masterBase, cause);
}

/** The host TSC of a page that is written without masterclock. */
export function updateTsc({ tsc, readings }: Input): bigint {
  const told = readings?.['update.tsc'];
  return (typeof told === 'bigint' ? told : told?.[0]) ?? tsc;
}
