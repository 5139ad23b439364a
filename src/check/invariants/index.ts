/**
 * Everything that must hold of KVM's clock, by number.
 *
 * Two of the project's list come with what they are about: V15 (nested guests) and V17 (Xen's
 * runstate).
 */
import type { Invariant } from '../invariant.ts';
import { AGREEMENT_INVARIANTS } from './agreement.ts';
import { CLOCK_INVARIANTS } from './clock.ts';
import { CONTINUITY_INVARIANTS } from './continuity.ts';
import { HYPERV_INVARIANTS } from './hyperv.ts';
import { PAGE_INVARIANTS } from './page.ts';
import { STABILITY_INVARIANTS } from './stability.ts';
import { STEAL_INVARIANTS } from './steal.ts';
import { TSC_INVARIANTS } from './tsc.ts';

const numberOf = ({ id }: Invariant): number => Number.parseInt(id.slice(1), 10);

export const INVARIANTS: readonly Invariant[] = Object.freeze(
  [
    ...PAGE_INVARIANTS,
    ...AGREEMENT_INVARIANTS,
    ...CONTINUITY_INVARIANTS,
    ...CLOCK_INVARIANTS,
    ...HYPERV_INVARIANTS,
    ...TSC_INVARIANTS,
    ...STEAL_INVARIANTS,
    ...STABILITY_INVARIANTS,
  ].sort((a, b) => numberOf(a) - numberOf(b)),
);
