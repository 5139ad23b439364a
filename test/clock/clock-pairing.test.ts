import { expect, test } from 'vitest';
import { Rig, resultOf } from '../selftests/rig.ts';

// `kvm_pv_clock_pairing()`: KVM_CLOCK_PAIRING_WALLCLOCK is the only pair there is.
test('KVM_HC_CLOCK_PAIRING of any other clock is not supported', () => {
  const rig = new Rig('v6.8').boot(1);
  rig.leave(0);
  rig.on(0, 'vcpu_load', { cpu: 0 });
  const ask = (clockType: bigint) => rig.on(0, 'clock_pairing', { gpa: 0x6000n, clockType });
  expect(resultOf(ask(0n), 'ioctl_result').ret).toBe(0);
  const refused = ask(1n);
  expect(resultOf(refused, 'ioctl_result').ret).toBe(-95);
  expect(refused.observations).toHaveLength(1);
});
