/** What holds of each pvclock page by itself. */

import { asS64, PVCLOCK_PAGE_BYTES, PVCLOCK_TSC_STABLE_BIT } from '../../num/index.ts';
import { always, type Breach, type Invariant, memoryless, type Step } from '../invariant.ts';

const VERSION_BYTES = 4;

const versionOf = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

/** The pvclock writes of a step, by vCPU, in order. */
function writesOf({
  dispatched,
}: Step): Map<string, { vm: number; vcpu: number; bytes: Uint8Array[] }> {
  const writes = new Map<string, { vm: number; vcpu: number; bytes: Uint8Array[] }>();
  for (const seen of dispatched.observations) {
    if (seen.type !== 'guest_write' || seen.what !== 'pvclock' || seen.vcpu === undefined) continue;
    const key = `${seen.vm}/${seen.vcpu}`;
    const of = writes.get(key) ?? { vm: seen.vm, vcpu: seen.vcpu, bytes: [] };
    of.bytes.push(seen.bytes);
    writes.set(key, of);
  }
  return writes;
}

/** A version, the page under it, the next version: odd, odd, even; from an even one 2 further. */
function protocolBreach(bytes: readonly Uint8Array[], before: number): string | undefined {
  const versions = bytes.map(versionOf);
  const sizes = bytes.map(({ length }) => length);
  const [first, second, third] = versions;
  if (sizes.join() !== [VERSION_BYTES, PVCLOCK_PAGE_BYTES, VERSION_BYTES].join()) {
    return `writes of ${sizes.join(', ')} bytes`;
  }
  const odd = ((before + 1) | 1) >>> 0;
  const next = (odd + 1) >>> 0;
  if (first !== odd || second !== odd || third !== next) {
    return `${before} → ${versions.join(', ')}`;
  }
  return undefined;
}

const V1 = memoryless({
  id: 'V1',
  name: 'page version',
  statement:
    'A page is written under an odd version and is left with an even one, 2 above an even one before.',
  source: 'Documentation/virt/kvm/x86/msr.rst; kvm_setup_guest_pvclock()',
  bound: 'exact',
  holdsUnder: always,
  *check(step): Iterable<Breach> {
    for (const { vm, vcpu, bytes } of writesOf(step).values()) {
      // A page at another address has a version of its own, which starts at 0.
      const before = step.before.vms.get(vm)?.vcpus.get(vcpu)?.pageVersion ?? 0;
      const found = protocolBreach(bytes, before);
      if (found !== undefined) {
        yield { vm, vcpu, expected: 'version odd, page, version even', found };
      }
    }
  },
});

const V2 = memoryless({
  id: 'V2',
  name: 'STABLE bit',
  statement: 'A page carries PVCLOCK_TSC_STABLE_BIT exactly if the VM uses its masterclock.',
  source: 'kvm_guest_time_update()',
  bound: 'exact',
  holdsUnder: ({ stableBit }) => stableBit === 'masterclock',
  *check({ written, after }) {
    for (const { vm, vcpu, flags } of written) {
      const on = after.vms.get(vm)?.state.masterclock === 'on';
      const stable = (flags & PVCLOCK_TSC_STABLE_BIT) !== 0;
      if (on !== stable) {
        yield { vm, vcpu, expected: `STABLE ${on ? 'set' : 'clear'}`, found: `flags ${flags}` };
      }
    }
  },
});

const NSEC_PER_SEC = 1_000_000_000n;

/** Halving a frequency above 2 GHz until it is not loses its last bits, which odd Hz have set. */
function withoutLostBits(hz: bigint): bigint {
  let lost = 0n;
  while (hz >> lost > 2n * NSEC_PER_SEC) lost += 1n;
  return (hz >> lost) << lost;
}

const V19 = memoryless({
  id: 'V19',
  name: 'rate of a page',
  statement:
    'A page’s scale is at most 2^−31 slower than the frequency it was made for, never faster. (Frequencies above 2 GHz that are no multiple of 1 kHz, of the patches that reckon in Hz, lose their last bits: up to 1 Hz faster for each 2 GHz.)',
  source: 'kvm_get_time_scale()',
  bound: '0.4657 ppb',
  holdsUnder: always,
  *check({ written }) {
    for (const { vm, vcpu, tscToSystemMul, tscShift, hwTscHz } of written) {
      // ns per second of its TSC, times 2^64: mul · 2^shift / 2^32 · hz.
      const rate = (BigInt(tscToSystemMul) * withoutLostBits(hwTscHz)) << BigInt(32 + tscShift);
      const exact = NSEC_PER_SEC << 64n;
      if (rate > exact || rate <= exact - (exact >> 31n)) {
        yield {
          vm,
          vcpu,
          expected: `10^9 ns in ${hwTscHz} cycles`,
          found: `mul ${tscToSystemMul}, shift ${tscShift}`,
        };
      }
    }
  },
});

/** system_time is a time: it was −1 µs and read as 584 years before KVM_SET_CLOCK was mended. */
const V23: Invariant = {
  id: 'V23',
  name: 'system_time is not negative',
  statement: 'system_time is below 2^63, unless user space set the clock to that.',
  source: '77fcbe823f00 (v5.12)',
  bound: 'exact',
  holdsUnder: ({ setClockOrder }) => setClockOrder === 'update-then-reference',
  watch: () => {
    const asked = new Set<number>();
    return function* ({ input, written }) {
      if (input.type === 'KVM_SET_CLOCK') {
        if (asS64(input.clock) < 0n) asked.add(input.vm);
        else asked.delete(input.vm);
      }
      for (const { vm, vcpu, systemTime } of written) {
        if (asS64(systemTime) >= 0n || asked.has(vm)) continue;
        yield { vm, vcpu, expected: 'system_time below 2^63', found: String(systemTime) };
      }
    };
  },
};

export const PAGE_INVARIANTS: readonly Invariant[] = [V1, V2, V19, V23];
