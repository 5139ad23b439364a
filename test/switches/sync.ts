/** How writes of TSCs are matched and what is remembered of them. */
import { MSRS } from '../../events/index.ts';
import { baseAt } from '../../src/clock/index.ts';
import { nsecToCycles } from '../../src/num/index.ts';
import type { Rig } from '../selftests/rig.ts';
import { sleepWithColdTsc } from './masterclock.ts';
import { SECOND, showing } from './showing.ts';

const TWO_GHZ = { tscKhz: 2_000_000 };
const HZ = 2_000_000_000n;

/** Whether a write of a vCPU's TSC joins the generation there is. */
function joins(rig: Rig, write: () => void): boolean {
  const { curTscGeneration } = rig.vm;
  write();
  return rig.vm.curTscGeneration === curTscGeneration;
}

const hostWrites = (rig: Rig, vcpu: number, tsc: bigint): boolean =>
  joins(rig, () => {
    rig.setMsr(vcpu, MSRS.IA32_TSC, tsc);
  });

/** What vCPU 0's TSC will read when the next ioctl has loaded its vCPU. */
const readsSoon = (rig: Rig): bigint => rig.tscAt(0, rig.tsc + 250n);

/** A value a cycle less than a second more than KVM expects of a write at this instant. */
function almostASecondMore(rig: Rig): bigint {
  const { virtualTscMult, virtualTscShift } = rig.vcpu(1);
  const { host, switches } = rig.world;
  const elapsed = baseAt(host, rig.tsc, switches.otherBase) - rig.vm.lastTscNsec;
  const expected = rig.vm.lastTscWrite + nsecToCycles(elapsed, virtualTscMult, virtualTscShift);
  return expected + HZ - 1n;
}

export const SYNC_SHOWINGS = [
  showing({
    name: 'syncWindow',
    what: 'the first TSC that userspace writes is half a second off; another one a cycle short of one',
    on: 'v7.3',
    host: TWO_GHZ,
    tell: (rig) => {
      rig.boot(2);
      rig.wait(10n * SECOND);
      rig.leave(0);
      rig.leave(1);
      const first = hostWrites(rig, 1, readsSoon(rig) + HZ / 2n);
      rig.wait(SECOND);
      rig.on(1, 'vcpu_load', { cpu: 1 });
      // At 400 ns, so that whole microseconds are in the middle.
      rig.tsc += 800n - (rig.tsc % 2000n);
      const data = almostASecondMore(rig);
      const second = joins(rig, () => {
        rig.on(1, 'KVM_SET_MSRS', { index: MSRS.IA32_TSC, data });
      });
      return [first, second];
    },
    expected: [
      ['usdiff', [true, false]],
      ['cycles', [true, true]],
      ['cycles-after-user-set', [false, true]],
    ],
  }),
  showing({
    name: 'syncZero',
    what: '0 joins when the host writes it after 10 s; when the guest does',
    on: 'v4.19',
    host: TWO_GHZ,
    tell: (rig) => {
      rig.boot(2);
      rig.wait(10n * SECOND);
      const host = hostWrites(rig, 1, 0n);
      rig.wait(10n * SECOND);
      const guest = joins(rig, () => {
        rig.wrmsr(1, MSRS.IA32_TSC, 0n);
      });
      return [host, guest];
    },
    expected: [
      ['none', [false, false]],
      ['host', [true, false]],
      ['any', [true, true]],
    ],
  }),
  showing({
    name: 'userSetTsc',
    what: 'noted when userspace writes a TSC that is not its to write; when it writes another',
    on: 'v6.15',
    host: TWO_GHZ,
    tell: (rig) => {
      rig.createVm();
      rig.createProtectedVcpu(0);
      rig.createVcpu(1);
      return [0, 1].map((vcpu) => {
        rig.setMsr(vcpu, MSRS.IA32_TSC, HZ);
        return rig.vm.userSetTsc;
      });
    },
    expected: [
      ['none', [false, false]],
      ['after-decision', [true, true]],
      ['in-sync', [false, true]],
    ],
  }),
  showing({
    name: 'syncRecord',
    what: 'after a 0 that joined at 10 s: does the right value at 10.1 s join? times remembered, s',
    on: 'v7.3',
    host: TWO_GHZ,
    tell: (rig) => {
      rig.boot(2);
      hostWrites(rig, 0, readsSoon(rig));
      rig.wait(10n * SECOND);
      hostWrites(rig, 1, 0n);
      const { lastTscNsec, curTscNsec } = rig.vm;
      rig.wait(SECOND / 10n);
      return [hostWrites(rig, 1, readsSoon(rig)), (lastTscNsec - curTscNsec) / SECOND];
    },
    expected: [
      ['raw', [false, 10n]],
      ['previous', [true, 0n]],
      ['elapsed', [true, 10n]],
    ],
  }),
  showing({
    name: 'syncStore',
    what: 'does the right value join after such a 0? after a TSC that went backwards, what is the generation’s beginning, s',
    on: 'v7.3',
    host: { ...TWO_GHZ, monotonicNs: 100n * SECOND, monotonicRawNs: 100n * SECOND },
    tell: (rig) => {
      rig.boot(2);
      hostWrites(rig, 0, readsSoon(rig));
      hostWrites(rig, 1, readsSoon(rig));
      rig.wait(10n * SECOND);
      hostWrites(rig, 1, 0n);
      rig.wait(SECOND / 10n);
      const joined = hostWrites(rig, 1, readsSoon(rig));
      rig.leave(0);
      rig.leave(1);
      sleepWithColdTsc(rig);
      rig.createVcpu(2);
      return [joined, rig.vcpu(2).thisTscNsec / SECOND, rig.vm.lastTscWrite === 0n];
    },
    expected: [
      ['both', [false, 110n, true]],
      ['last', [true, 0n, true]],
      ['current', [true, 100n, true]],
    ],
  }),
  showing({
    name: 'syncOnSetTscKhz',
    what: 'cycles that a TSC jumps by from 3.0 to 2.5 GHz at 1e15; is it tracked?',
    on: 'v7.3',
    host: { tscKhz: 3_000_000, tsc: 1_000_000_000_000_000n },
    tell: (rig) => {
      rig.createVm(1);
      const from = rig.observed.length;
      rig.on(0, 'vcpu_load', { cpu: 0 });
      const at = rig.tsc;
      const before = rig.tscAt(0, at);
      rig.on(0, 'KVM_SET_TSC_KHZ', { khz: 2_500_000 });
      const tracked = rig.observed.slice(from).some((o) => o.type === 'kvm_track_tsc');
      return [BigInt.asIntN(64, rig.tscAt(0, at) - before), tracked];
    },
    // A sixth, and 2 cycles that the ratio of 48 bits is short of five sixths.
    expected: [
      ['none', [-166_666_833_333_502n, false]],
      ['rematch', [-166_666_833_333_502n, true]],
      ['continuous', [0n, true]],
    ],
  }),
];
