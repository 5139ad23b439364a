/** KVM_SET_CLOCK and writes of TSCs on real kernels, against the scenarios and what they are made of. */
import { describe, expect, test } from 'vitest';
import { narrow, wide } from '../../../replay/conformance/action.ts';
import { asS64, pvclockRead } from '../../../src/num/index.ts';
import { PROFILES } from '../../../src/profiles/index.ts';
import { pageOf } from '../../../src/scenarios/deeds.ts';
import { Simulation } from '../../../src/scenarios/simulation.ts';
import { big, table } from '../table.ts';
import { Recorded } from './recording.ts';

const KVM_CLOCK_REALTIME = 4;

/** A KVM_SET_CLOCK whose reference a page has: what was asked for, and what the page says there. */
function setClocks(recorded: Recorded) {
  const references = recorded.references(0);
  return recorded.its.actions.flatMap(({ op, ret, args, before, after }) => {
    const taken = references.find(({ hostTsc }) => before.tsc <= hostTsc && hostTsc <= after.tsc);
    if (op !== 'KVM_SET_CLOCK' || ret !== 0 || taken === undefined) return [];
    const { systemTime } = taken.page;
    const [asked = 0n, flags = 0] = [wide(args['clock']), narrow(args['flags'])];
    const realtime = wide(args['realtime']) ?? 0n;
    const offNs = asS64(systemTime - asked);
    return [{ flags, offNs, realtime, before, after }];
  });
}

describe('KVM_SET_CLOCK', () => {
  const offOf = async (profile: string, delay: bigint): Promise<bigint> => {
    const params = { uptime: '1s', ntpPpm: '0', delay: `${delay}ns` };
    const { rows } = await table('set-clock-order', { profile, params });
    return big(rows[0]!['off by (ns)']);
  };

  test.each([
    ['set-clock-6.1', 'v6.1'],
    ['set-clock-7.3', 'v7.3'],
    ['clock-deep-7.3', 'v7.3'],
    ['clock-deep-6.12', 'v6.8'],
  ])('set-clock-order: %s is exact at its reference, as %s is', async (name, profile) => {
    const plain = setClocks(await Recorded.of(name)).filter(({ flags }) => flags === 0);
    expect(plain).toHaveLength(5);
    for (const { offNs } of plain) expect(offNs).toBe(await offOf(profile, 1_000n));
  });

  test.each(['set-clock-5.10', 'clock-deep-5.10'])(
    'set-clock-order: %s is late by the time between two readings',
    async (name) => {
      const recorded = await Recorded.of(name);
      const plain = setClocks(recorded);
      expect(plain).toHaveLength(5);
      for (const { offNs, before, after } of plain) {
        // The kernel’s two readings are of the call, however long that takes.
        expect(offNs).toBeLessThan(0n);
        expect(-offNs).toBeLessThan(recorded.ns(after.tscEnd - before.tsc));
        expect(await offOf('v5.10', -offNs)).toBe(offNs);
      }
    },
  );

  test.each(['set-clock-6.1', 'set-clock-7.3'])(
    '%s: with KVM_CLOCK_REALTIME the clock goes on by the realtime since, and never back',
    async (name) => {
      const all = setClocks(await Recorded.of(name));
      const since = all.filter(({ flags }) => flags === KVM_CLOCK_REALTIME);
      expect(since.length).toBeGreaterThan(2);
      for (const { offNs, realtime, before, after } of since) {
        const [least, most] = [before.real - realtime, after.real - realtime];
        if (most < 0n) expect(offNs).toBe(0n);
        else expect(offNs >= least && offNs <= most, String(offNs)).toBe(true);
      }
    },
  );
});

describe('a guest writes its TSC', () => {
  test('tsc-guest-6.1: the page stays, so that kvmclock goes by what the TSC moves by', async () => {
    const recorded = await Recorded.of('tsc-guest-6.1');
    const { actions } = recorded.its;
    const writes = actions.filter(({ op, args }) => op === 'guest_wrmsr' && args['msr'] === '0x10');
    expect(writes.length).toBeGreaterThan(6);
    const far: bigint[] = [];
    for (const { index, args } of writes) {
      const [vcpu, value] = [narrow(args['vcpu'])!, wide(args['value'])!];
      const seenBy = (most: number) =>
        actions.findLast((its) => its.index <= most && its.seen !== undefined)!;
      const seen = (most: number) => seenBy(most).seen!.vcpus.find((it) => it.vcpu === vcpu)!;
      const [was, is] = [seen(index - 1), seen(index)];
      expect(is.page).toEqual(was.page);
      const { tscTimestamp, systemTime, mul: tscToSystemMul, shift: tscShift } = is.page!;
      const page = { tscTimestamp, systemTime, tscToSystemMul, tscShift };
      const hostTsc = BigInt.asUintN(64, value - is.tscOffset!);
      const read = (offset: bigint) => pvclockRead(page, BigInt.asUintN(64, hostTsc + offset));
      const moved = asS64(read(is.tscOffset!) - read(was.tscOffset!));
      far.push(moved);

      // The same in a VM of the scenarios: its host's TSC, its offset and its page as recorded.
      const tsc = -was.tscOffset!;
      const sim = new Simulation('host', PROFILES['v6.1'], { tscKhz: recorded.khz, tsc });
      const vm = sim.vm();
      vm.start(1);
      sim.host.reach(BigInt.asUintN(64, tscTimestamp - was.tscOffset!));
      vm.ioctl({ type: 'KVM_SET_CLOCK', clock: systemTime, flags: 0 });
      vm.kick();
      expect(pageOf(vm.kvm(0))).toEqual(page);
      sim.host.reach(hostTsc);
      const before = vm.kvmclock(0);
      vm.writeMsr(0, 'IA32_TSC', value);
      expect(asS64(vm.kvmclock(0) - before)).toBe(moved);
      expect(asS64(vm.kvm(0).l1TscOffset)).toBe(is.tscOffset);
    }
    // A TSC behind its page's reference wraps: 225 years ahead.
    expect(far.some((ns) => ns > 7_100_000_000_000_000_000n)).toBe(true);
    expect(far.some((ns) => ns < -1_000_000_000n)).toBe(true);
  });
});
