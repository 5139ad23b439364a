/**
 * Steal time: what the kernel’s `steal_time` test checks. The record counts what the vCPU’s thread
 * waited for a CPU, its version is even outside an update, and a vCPU that was preempted says so.
 */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { Guest } from '../../src/engine/index.ts';
import type { ProfileId } from '../../src/profiles/index.ts';
import { KERNELS, Rig, split } from './rig.ts';

const { MSR_KVM_STEAL_TIME } = MSRS;
const RECORD = 0x6000n;
const ENABLE = 1n;
const STOLEN_NS = 10_000_000n;

const boot = (id: ProfileId): Rig => {
  const rig = new Rig(id);
  rig.createVm(1);
  rig.wrmsr(0, MSR_KVM_STEAL_TIME, RECORD | ENABLE);
  return rig;
};

/** The vCPU is off its CPU for a while, and back. */
function waits(rig: Rig, runDelay: bigint): void {
  rig.leave(0);
  rig.on(0, 'vcpu_load', { cpu: 0 });
  rig.on(0, 'kvm_entry', { readings: { run_delay: runDelay } });
}

describe.each(KERNELS)('%s', (id) => {
  test('counts what was waited, and a reserved bit is #GP', () => {
    const rig = boot(id);
    expect(rig.vcpu(0).stealNs).toBe(0n);
    waits(rig, STOLEN_NS);
    expect(rig.vcpu(0).stealNs).toBe(STOLEN_NS);
    waits(rig, 3n * STOLEN_NS);
    expect(rig.vcpu(0).stealNs).toBe(3n * STOLEN_NS);
    expect(rig.wrmsr(0, MSR_KVM_STEAL_TIME, RECORD | 0x20n | ENABLE)).toBe(false);
    expect(rig.rdmsr(0, MSR_KVM_STEAL_TIME)).toBe(RECORD | ENABLE);
  });

  test('is written under an odd version, which no reader takes', () => {
    const rig = boot(id);
    const guest = new Guest();
    guest.enableSteal(0, RECORD);
    const from = rig.observed.length;
    waits(rig, STOLEN_NS);
    const reported: (bigint | undefined)[] = [];
    for (const seen of rig.observed.slice(from)) {
      if (seen.type !== 'guest_write' || seen.what !== 'steal_time') continue;
      guest.observe(seen);
      reported.push(guest.tick(0, 1n << 40n));
    }
    expect(reported.filter((ns) => ns !== undefined).reduce((a, b) => a + b, 0n)).toBe(STOLEN_NS);
    expect(reported).toContain(undefined);
    expect(rig.vcpu(0).stealVersion & 1).toBe(0);
  });

  test('a preempted vCPU says so until it runs again', () => {
    const rig = boot(id);
    rig.leave(0);
    rig.on(0, 'vcpu_load', { cpu: 0 });
    rig.on(0, 'kvm_entry', {});
    rig.on(0, 'kvm_exit', {});
    rig.on(0, 'vcpu_put', { preempted: true });
    expect(rig.vcpu(0).stealPreempted).toBe(1);
    rig.enter(0);
    expect(rig.vcpu(0).stealPreempted).toBe(0);
  });
});

const { holds: EXACT, fails: ALWAYS } = split((s) => s.stealPreempted === 'preempted');

/** What a put leaves in the record. */
function afterPut(id: ProfileId, fields: { preempted: boolean; midInstruction?: boolean }): number {
  const rig = boot(id);
  rig.enter(0);
  rig.on(0, 'kvm_exit', {});
  rig.on(0, 'vcpu_put', fields);
  return rig.vcpu(0).stealPreempted;
}

test.each(ALWAYS)('%s: a vCPU that goes back to its VMM counts as preempted', (id) => {
  expect(afterPut(id, { preempted: false })).toBe(1);
});

test.each(EXACT)('%s: only one that was preempted, between two instructions', (id) => {
  expect(afterPut(id, { preempted: false })).toBe(0);
  expect(afterPut(id, { preempted: true })).toBe(1);
  expect(afterPut(id, { preempted: true, midInstruction: true })).toBe(0);
});
