/**
 * What must hold of KVM's clock, as named predicates over histories.
 *
 * ```ts
 * const checker = new Checker(world);
 * const violations = checker.after(input, world.dispatch(input));
 * ```
 *
 * @module
 */
export { Checker } from './checker.ts';
export { copyWorld, type VmCopy, type WorldCopy } from './copy.ts';
export type { Breach, Invariant, Step, Violation, Watch } from './invariant.ts';
export { INVARIANTS } from './invariants/index.ts';
export type { PageWrite } from './pages.ts';
