/** Every policy by its name. */
import { CLOUD_HYPERVISOR, CLOUD_HYPERVISOR_52 } from './cloud-hypervisor.ts';
import { PLAIN, PLAIN_REALTIME, TSC_OFFSET } from './documented.ts';
import { FIRECRACKER, FIRECRACKER_1_15, FIRECRACKER_REALTIME } from './firecracker.ts';
import type { VmmPolicy } from './policy.ts';
import { CLOCK_GUEST, QEMU_PRECISE_TSC, TSC_STATE } from './posted.ts';
import { QEMU } from './qemu.ts';

export const VMM_POLICIES = {
  qemu: QEMU,
  plain: PLAIN,
  'plain-realtime': PLAIN_REALTIME,
  'tsc-offset': TSC_OFFSET,
  'tsc-state': TSC_STATE,
  'qemu-precise-tsc': QEMU_PRECISE_TSC,
  'clock-guest': CLOCK_GUEST,
  firecracker: FIRECRACKER,
  'firecracker-realtime': FIRECRACKER_REALTIME,
  'firecracker-1.15': FIRECRACKER_1_15,
  'cloud-hypervisor': CLOUD_HYPERVISOR,
  'cloud-hypervisor-52': CLOUD_HYPERVISOR_52,
} as const satisfies Record<string, VmmPolicy>;

/** Name of a policy. */
export type VmmPolicyId = keyof typeof VMM_POLICIES;

/** All names, in the order of the table. */
export const VMM_POLICY_IDS = Object.keys(VMM_POLICIES) as readonly VmmPolicyId[];
