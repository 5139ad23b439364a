/** The masterclock: when it is on, who asks for a new reference, who hears of it. */
import { MSRS } from '../../events/index.ts';
import { pageGpa, type Rig } from '../selftests/rig.ts';
import { countSince, DAY, moved, requestsSince, SECOND, showing } from './showing.ts';

const STABLE = 1;
const REQUEST = 'MASTERCLOCK_UPDATE';
const ENABLE = 1n;

/** Whether something has a new masterclock reference asked for. */
function asks(rig: Rig, something: () => void): boolean {
  const from = rig.observed.length;
  something();
  const asked = requestsSince(rig, from).includes(REQUEST);
  for (const id of rig.vcpuIds) rig.enter(id);
  return asked;
}

/** vCPU 1's TSC gets an offset a second from the others'. */
const moveApart = (rig: Rig): void => {
  const { l1TscOffset } = rig.vcpu(0);
  rig.ioctl(1, 'KVM_SET_TSC_OFFSET', { offset: l1TscOffset + 1_000_000_000n });
};

export const MASTERCLOCK_SHOWINGS = [
  showing({
    name: 'mclkCriterion',
    what: 'with another offset; at a lower frequency; at the old one again, with its TSC written',
    on: 'v7.3',
    tell: (rig) => {
      rig.boot(2);
      const states: string[] = [];
      const note = () => {
        rig.enterAll();
        states.push(rig.vm.masterclock);
      };
      moveApart(rig);
      note();
      for (const khz of [2_000_000, 2_500_000]) {
        rig.ioctl(1, 'KVM_SET_TSC_KHZ', { khz });
        rig.setMsr(1, MSRS.IA32_TSC, 1n << 50n);
        note();
      }
      return states;
    },
    // What counts frequencies has not counted vCPU 0 again, whose TSC nobody wrote.
    expected: [
      ['offsets', ['off.unmatched', 'off.unmatched', 'off.unmatched']],
      ['frequency', ['on', 'off.unmatched', 'on']],
      ['frequency-generation', ['on', 'off.unmatched', 'off.unmatched']],
    ],
  }),
  showing({
    name: 'mclkRequestOnTrack',
    what: 'asked for by a hotplug; by a new generation; by a vCPU that joins it',
    on: 'v7.3',
    with: { mclkCriterion: 'frequency-generation' },
    tell: (rig) => {
      rig.boot(1);
      const hotplug = asks(rig, () => {
        rig.createVcpu(1);
      });
      const generation = asks(rig, () => {
        moveApart(rig);
      });
      const { l1TscOffset: offset } = rig.vcpu(1);
      const joined = asks(rig, () => {
        rig.ioctl(0, 'KVM_SET_TSC_OFFSET', { offset });
      });
      return [hotplug, generation, joined];
    },
    expected: [
      ['active-or-matched', [true, true, true]],
      ['toggle-or-generation', [false, true, false]],
      ['toggle', [false, false, false]],
      ['toggle-or-stable', [false, true, true]],
    ],
  }),
  showing({
    name: 'mclkRequestChecksAll',
    what: 'asked for by a TSC write while vCPU 0 uses the old MSR',
    on: 'v7.3',
    tell: (rig) => {
      rig.createVm(1);
      rig.wrmsr(0, MSRS.MSR_KVM_SYSTEM_TIME, pageGpa(0) | ENABLE);
      return asks(rig, () => {
        rig.setMsr(0, MSRS.IA32_TSC, 1n << 50n);
      });
    },
    expected: [
      [false, true],
      [true, false],
    ],
  }),
  showing({
    name: 'mclkUpdateOnXenSharedInfo',
    what: 'asked for by placing shared_info; how far a day-old clock then moves, ns',
    on: 'v7.2',
    tell: (rig) => {
      rig.boot(1);
      rig.wait(DAY);
      let asked = false;
      const jump = moved(rig, () => {
        asked = asks(rig, () => {
          rig.do('KVM_XEN_SET_SHARED_INFO', { gpa: pageGpa(20) });
        });
      });
      return [asked, jump / 1000n];
    },
    // 5,129,725 ns a day at 2.5 GHz.
    expected: [
      [true, [true, -5129n]],
      [false, [false, 0n]],
    ],
  }),
  showing({
    name: 'mclkUpdateDedup',
    what: 'references taken when the clocksource left the TSC, with three vCPUs',
    on: 'v7.3',
    tell: (rig) => {
      rig.boot(3);
      rig.host('change_clocksource', { vclockMode: 0 });
      const from = rig.observed.length;
      rig.host('pvclock_gtod_work', {});
      rig.settle();
      return countSince(rig, from, 'kvm_update_master_clock');
    },
    expected: [
      [false, 3],
      [true, 1],
    ],
  }),
  showing({
    name: 'masterclockAtVmCreate',
    what: 'the masterclock of a new VM, and the TSC of a vCPU created a second later, s',
    on: 'v7.3',
    tell: (rig) => {
      rig.createVm();
      const { masterclock } = rig.vm;
      rig.wait(SECOND);
      rig.createVcpu(0);
      return [masterclock, rig.rdtsc(0) / 2_500_000_000n];
    },
    expected: [
      [false, ['off.unmatched', 0n]],
      [true, ['on', 1n]],
    ],
  }),
  showing({
    name: 'stableBit',
    what: 'STABLE in the pages of two vCPUs whose TSCs have different offsets',
    on: 'v7.3',
    with: { mclkCriterion: 'frequency' },
    tell: (rig) => {
      rig.boot(2);
      moveApart(rig);
      rig.setClock(SECOND);
      rig.enterAll();
      return [rig.vm.masterclock, rig.page(0).flags & STABLE, rig.page(1).flags & STABLE];
    },
    expected: [
      ['masterclock', ['on', 1, 1]],
      ['masterclock-and-offsets', ['on', 0, 0]],
    ],
  }),
  showing({
    name: 'globalUpdateOnSystemTimeMsr',
    what: 'requests of both vCPUs when vCPU 0 moves its page; of vCPU 0 when it gives it up',
    on: 'v7.3',
    tell: (rig) => {
      rig.boot(2);
      const write = (data: bigint) => {
        const from = rig.observed.length;
        rig.wrmsr(0, MSRS.MSR_KVM_SYSTEM_TIME_NEW, data);
        return requestsSince(rig, from);
      };
      return [write(pageGpa(5) | ENABLE), write(0n)];
    },
    expected: [
      [
        true,
        [
          ['GLOBAL_CLOCK_UPDATE', 'CLOCK_UPDATE', 'CLOCK_UPDATE'],
          ['GLOBAL_CLOCK_UPDATE', 'CLOCK_UPDATE', 'CLOCK_UPDATE'],
        ],
      ],
      [false, [['CLOCK_UPDATE'], []]],
    ],
  }),
  showing({
    name: 'globalUpdateOnLoad',
    what: 'requests at the first load of a vCPU that is plugged in',
    on: 'v7.3',
    tell: (rig) => {
      rig.boot(1);
      const from = rig.observed.length;
      rig.on(1, 'KVM_CREATE_VCPU', { cpu: 1 });
      return requestsSince(rig, from, 1).filter((name) => name.endsWith('CLOCK_UPDATE'));
    },
    expected: [
      ['no-master-or-first', ['GLOBAL_CLOCK_UPDATE']],
      ['no-master', []],
      ['no-master-own-first', ['CLOCK_UPDATE']],
    ],
  }),
  showing({
    name: 'globalUpdateRateLimit',
    what: 'global updates of 25 loads within a second, without masterclock',
    on: 'v7.3',
    tell: (rig) => {
      rig.createVm(1);
      rig.wrmsr(0, MSRS.MSR_KVM_SYSTEM_TIME, pageGpa(0) | ENABLE);
      rig.wait(2n * SECOND);
      const from = rig.observed.length;
      for (let cpu = 0; cpu < 25; cpu += 1) {
        rig.leave(0);
        rig.on(0, 'vcpu_load', { cpu: 2 + (cpu % 2) });
        rig.on(0, 'kvm_entry', {});
      }
      return requestsSince(rig, from).filter((name) => name === 'GLOBAL_CLOCK_UPDATE').length;
    },
    expected: [
      [false, 25],
      [true, 10],
    ],
  }),
  showing({
    name: 'globalUpdateMechanism',
    what: 'vCPU 1 is asked at once when vCPU 0 moves its page, or after 100 ms',
    on: 'v6.15',
    tell: (rig) => {
      rig.boot(2);
      if (rig.vm.updateWork === 'queued') rig.do('kvmclock_update_work', {});
      rig.settle();
      const from = rig.observed.length;
      rig.wrmsr(0, MSRS.MSR_KVM_SYSTEM_TIME_NEW, pageGpa(5) | ENABLE);
      const delays = rig.observed
        .slice(from)
        .flatMap((o) => (o.type === 'timer_armed' ? [o.delayNs] : []));
      return [requestsSince(rig, from, 1), delays];
    },
    expected: [
      ['delayed', [[], [100_000_000n]]],
      ['immediate', [['CLOCK_UPDATE'], []]],
    ],
  }),
  showing({
    name: 'periodicSync',
    what: 'the 300 s work when vCPU 0 is there; after it ran without masterclock; and with it',
    on: 'v6.8',
    tell: (rig) => {
      rig.createVm(1);
      const states: string[] = [rig.vm.syncWork];
      const fire = () => {
        if (rig.vm.syncWork === 'armed') rig.do('kvmclock_sync_work', {});
        states.push(rig.vm.syncWork);
      };
      fire();
      // Entering takes the masterclock into use; taking it away may start the work again.
      rig.enableKvmclock(0);
      rig.wrmsr(0, MSRS.MSR_KVM_SYSTEM_TIME, pageGpa(0) | ENABLE);
      states.push(rig.vm.syncWork);
      rig.enableKvmclock(0);
      fire();
      return [...states, rig.vm.masterclock];
    },
    expected: [
      ['per-vcpu', ['armed', 'armed', 'armed', 'armed', 'on']],
      ['first-vcpu', ['armed', 'armed', 'armed', 'armed', 'on']],
      ['no-master', ['armed', 'idle', 'armed', 'armed', 'on']],
      ['none', ['idle', 'idle', 'idle', 'idle', 'on']],
    ],
  }),
  showing({
    name: 'backwardsTsc',
    what: 'the masterclock of a VM that is created after the TSC went backwards in another',
    on: 'v6.8',
    tell: (rig) => {
      rig.boot(1);
      rig.wait(SECOND);
      rig.leave(0);
      sleepWithColdTsc(rig);
      const vm = 1;
      const at = (more: object) => {
        rig.tsc += 250n;
        return { tsc: rig.tsc, vm, ...more };
      };
      const { world } = rig;
      world.dispatch({ type: 'KVM_CREATE_VM', ...at({}) } as never);
      for (const type of ['KVM_CREATE_VCPU', 'vcpu_postcreate', 'vcpu_load', 'kvm_entry']) {
        const cpu = type === 'vcpu_postcreate' || type === 'kvm_entry' ? {} : { cpu: 0 };
        world.dispatch({ type, ...at({ vcpu: 0, ...cpu }) } as never);
      }
      return world.vms.get(vm)!.cell.state.masterclock;
    },
    expected: [
      ['global', 'off.backwardsTsc'],
      ['vm', 'on'],
    ],
  }),
  showing({
    name: 'backwardsTscRecord',
    what: 'how far the TSC of a vCPU plugged in after that is behind vCPU 0’s, cycles',
    on: 'v7.3',
    tell: (rig) => {
      rig.boot(1);
      rig.tsc = 7_200_000_000_000n - 250n;
      rig.leave(0);
      sleepWithColdTsc(rig);
      rig.enter(0);
      rig.createVcpu(1);
      return BigInt.asUintN(64, rig.vcpu(0).l1TscOffset - rig.vcpu(1).l1TscOffset);
    },
    // The TSC was at 7.2e12 and is at 2e9 + 750: what was lost is missing in the generation.
    expected: [
      ['forget-last', 7_198_000_000_000n],
      ['slide-current', 0n],
    ],
  }),
];

/** The host sleeps for an hour, and its TSC starts again at 2e9. */
export function sleepWithColdTsc(rig: Rig): void {
  rig.host('suspend', {});
  rig.host('timekeeping_suspend', {});
  rig.tsc = 2_000_000_000n;
  rig.host('resume', { cpu: 0, offsBoot: 3_600n * SECOND });
  rig.host('suspend_end', {});
}
