/** The steal time record. */
import { asS64 } from '../../num/index.ts';
import { vcpuOf } from '../copy.ts';
import { always, type Invariant, memoryless } from '../invariant.ts';

const stealOf = (bytes: Uint8Array): { steal: bigint; version: number } => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { steal: view.getBigUint64(0, true), version: view.getUint32(8, true) };
};

const V21 = memoryless({
  id: 'V21',
  name: 'steal time',
  statement:
    'A steal time record changes only under an odd version, is left with an even one, and steal never decreases. (run_delay never does.)',
  source: 'record_steal_time()',
  bound: 'exact',
  holdsUnder: always,
  *check({ dispatched, before, after }) {
    const last = new Map<string, { vm: number; vcpu: number; steal: bigint; version: number }>();
    for (const seen of dispatched.observations) {
      if (seen.type !== 'guest_write' || seen.what !== 'steal_time' || seen.vcpu === undefined) {
        continue;
      }
      const { vm, vcpu } = seen;
      const record = { vm, vcpu, ...stealOf(seen.bytes) };
      const was = vcpuOf(before, vm, vcpu);
      const previous = last.get(`${vm}/${vcpu}`)?.steal ?? was?.stealNs ?? 0n;
      if (record.steal !== previous && record.version % 2 === 0) {
        yield {
          vm,
          vcpu,
          expected: 'steal changed under an odd version',
          found: `${record.version}`,
        };
      }
      const waited = asS64((vcpuOf(after, vm, vcpu)?.lastSteal ?? 0n) - (was?.lastSteal ?? 0n));
      if (waited >= 0n && asS64(record.steal - previous) < 0n) {
        yield {
          vm,
          vcpu,
          expected: `steal of at least ${previous} ns`,
          found: `${record.steal} ns`,
        };
      }
      last.set(`${vm}/${vcpu}`, record);
    }
    for (const { vm, vcpu, version } of last.values()) {
      if (version % 2 !== 0) {
        yield { vm, vcpu, expected: 'an even version in the end', found: String(version) };
      }
    }
  },
});

export const STEAL_INVARIANTS: readonly Invariant[] = [V21];
