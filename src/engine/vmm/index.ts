/** VMMs: their policies, and one that performs them. */
export { type Call, VMM_MOMENTS, type VmmMoment, type VmmPhase, type VmmRoute } from './phase.ts';
export type { Plan } from './plan.ts';
export { VMM_POLICIES, VMM_POLICY_IDS, type VmmPolicyId } from './policies.ts';
export type { Intent, VmmPolicy } from './policy.ts';
export { type Performed, type PersistedVmm, Vmm, type VmmOptions } from './vmm.ts';
export type { PerformedInput, SavedVm } from './walk.ts';
