/** No invariant is empty: each one notices a mistake of the kind it speaks of, and says where. */
import { describe, expect, it, test } from 'vitest';
import { INVARIANTS } from '../../src/check/index.ts';
import { profile } from '../../src/profiles/index.ts';
import { HISTORY_PROFILES } from '../engine/arbitraries.ts';
import { type Fault, stepperWith } from './faults.ts';
import { tellAll } from './story.ts';

const SECOND_VCPU = 1;

/** By invariant, a mistake it must notice. */
const FAULTS: Readonly<Record<string, Fault>> = {
  // The last write, which makes the version even, is lost.
  V1: {
    level: 'vcpu',
    signal: 'GUEST_TIME_UPDATE',
    show: (seen) =>
      seen.type === 'guest_write' && seen.bytes.length === 4 && (seen.bytes[0]! & 1) === 0
        ? undefined
        : seen,
  },
  V2: {
    level: 'vcpu',
    signal: 'GUEST_TIME_UPDATE',
    change: (vcpu) => {
      vcpu.pageFlags ^= 1;
    },
  },
  V3: {
    level: 'vcpu',
    signal: 'GUEST_TIME_UPDATE',
    change: (vcpu) => {
      if (vcpu.vcpuIdx === SECOND_VCPU) vcpu.pageSystemTime += 1n;
    },
  },
  // The page moves between two updates.
  V4: {
    level: 'vcpu',
    signal: 'PUT',
    change: (vcpu) => {
      vcpu.pageSystemTime -= 1_000_000_000n;
    },
  },
  V5: {
    level: 'vm',
    signal: 'UPDATE_COPY',
    change: (vm) => {
      // Ever later references are ever further behind.
      vm.masterKernelNs -= vm.masterKernelNs / 1000n;
    },
  },
  V6: {
    level: 'vm',
    signal: 'GET_CLOCK',
    show: (seen) =>
      seen.type === 'ioctl_result' && seen.clock !== undefined
        ? { ...seen, clock: seen.clock + 1n }
        : seen,
  },
  V7: {
    level: 'vm',
    signal: 'SET_CLOCK_GUEST',
    change: (vm) => {
      vm.kvmclockOffset += 3n;
    },
  },
  V8: {
    level: 'vm',
    signal: 'SET_CLOCK_AGAINST_REFERENCE',
    change: (vm) => {
      vm.kvmclockOffset -= 1_000_000_000_000n;
    },
  },
  V9: {
    level: 'vcpu',
    signal: 'READ_MSR',
    show: (seen) =>
      seen.type === 'msr_result' && seen.data !== undefined
        ? { ...seen, data: seen.data + 1n }
        : seen,
  },
  V10: {
    level: 'vm',
    signal: 'HV_PAGE',
    change: (vm) => {
      vm.hvTscScale += vm.hvTscScale / 50n;
    },
  },
  V11: {
    level: 'vcpu',
    signal: 'READ_MSR',
    show: (seen) =>
      seen.type === 'msr_result' && seen.data !== undefined
        ? { ...seen, data: seen.data + 100_000n }
        : seen,
  },
  V12: {
    level: 'vm',
    signal: 'HV_PAGE',
    change: (vm) => {
      vm.hvTscOffset += 250_000n;
    },
  },
  V12e: {
    level: 'vm',
    signal: 'GET_CLOCK',
    change: (vm) => {
      if (vm.hvTscEmulationControl !== 0n) vm.hvTscScale += 1n;
    },
  },
  V13: {
    level: 'vcpu',
    signal: 'ADJUST_GUEST_TSC',
    change: (vcpu) => {
      vcpu.l1TscOffset -= 1n;
    },
  },
  V13v: {
    level: 'vcpu',
    signal: 'WRITE_GUEST_TSC',
    change: (vcpu) => {
      vcpu.l1TscOffset += 2n;
    },
  },
  V14: {
    level: 'vcpu',
    signal: 'ADOPT_SYNCHRONIZATION',
    change: (vcpu) => {
      if (vcpu.vcpuIdx === SECOND_VCPU) vcpu.l1TscOffset -= 2n;
    },
  },
  V16: {
    level: 'vcpu',
    signal: 'GUEST_TIME_UPDATE',
    change: (vcpu) => {
      if (vcpu.vcpuIdx === SECOND_VCPU) vcpu.pageSystemTime -= 1_000_000_000n;
    },
  },
  V16w: {
    level: 'vm',
    signal: 'WRITE_WALL_CLOCK',
    show: (seen) => {
      if (seen.type !== 'guest_write' || seen.bytes.length !== 12) return seen;
      const bytes = seen.bytes.slice();
      bytes[4]! ^= 0x40;
      return { ...seen, bytes };
    },
  },
  V18: {
    level: 'vcpu',
    signal: 'SET_TSC_KHZ',
    change: (vcpu) => {
      vcpu.l1TscScalingRatio += vcpu.l1TscScalingRatio / 100n;
    },
  },
  // 2 GHz is exactly 2^31 of 2^32: one more is too fast.
  V19: {
    level: 'vcpu',
    signal: 'GUEST_TIME_UPDATE',
    change: (vcpu) => {
      vcpu.pageMul += 1;
    },
  },
  V20: {
    level: 'vcpu',
    signal: 'GUEST_TIME_UPDATE',
    change: (vcpu) => {
      if (vcpu.vcpuIdx === SECOND_VCPU) vcpu.pageSystemTime += 10_000_000n;
    },
  },
  V21: {
    level: 'vcpu',
    signal: 'RECORD_STEAL_TIME',
    show: (seen) => (seen.type === 'guest_write' && (seen.bytes[8]! & 1) === 0 ? undefined : seen),
  },
  V22: {
    level: 'vcpu',
    signal: 'ADOPT_SYNCHRONIZATION',
    change: (vcpu) => {
      vcpu.l1TscOffset -= 1n;
    },
  },
  V23: {
    level: 'vm',
    signal: 'SET_CLOCK_AGAINST_REFERENCE',
    change: (vm) => {
      vm.kvmclockOffset -= 1_000_000_000_000n;
    },
  },
  V24: {
    level: 'vcpu',
    signal: 'ADOPT_SYNCHRONIZATION',
    change: (vcpu) => {
      if (vcpu.vcpuIdx === SECOND_VCPU) vcpu.l1TscOffset += 3n;
    },
  },
};

test('there is a mistake for every invariant', () => {
  expect(INVARIANTS.map(({ id }) => id).sort()).toEqual(Object.keys(FAULTS).sort());
});

describe.each(HISTORY_PROFILES.map((id) => [id]))('the story on %s', (id) => {
  it('breaks nothing', () => {
    expect(tellAll(id)).toEqual([]);
  });
});

describe.each(INVARIANTS.map((invariant) => [invariant.id, invariant] as const))(
  '%s',
  (id, invariant) => {
    const under = HISTORY_PROFILES.filter((p) => invariant.holdsUnder(profile(p).switches));

    it('notices its mistake under every profile where it holds', () => {
      expect(under).not.toEqual([]);
      const without = under.filter((p) => {
        const violations = tellAll(p, stepperWith(FAULTS[id]!));
        return !violations.some((v) => v.invariant === id && v.bound === invariant.bound);
      });
      expect(without).toEqual([]);
    });
  },
);

test('a violation says where, what was expected and what was found', () => {
  const [first] = tellAll('v6.8', stepperWith(FAULTS['V6']!)).filter((v) => v.invariant === 'V6');
  expect(first).toMatchObject({ vm: 0, vcpu: 0, bound: 'exact' });
  expect(first!.index).toBeGreaterThan(0);
  const [expected, found] = [first!.expected, first!.found].map((ns) => Number.parseInt(ns, 10));
  expect(found! - expected!).toBe(1);
});
