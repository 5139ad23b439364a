/** Rules that hold for one vCPU among several, or for so many of a kind and no more. */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import type { Dispatched } from '../../src/engine/index.ts';
import { KERNELS, pageGpa, Rig, resultOf, split } from '../selftests/rig.ts';
import { SECOND } from '../switches/showing.ts';

const ENABLE = 1n;

const requestsOf = ({ observations }: Dispatched): string[] =>
  observations.flatMap((seen) => (seen.type === 'request' ? [seen.name] : []));

describe('only the boot vCPU', () => {
  test('starts the clock again where it counts from zero', () => {
    const rig = new Rig('v4.2-cfz').boot(2);
    rig.wait(10n * SECOND);
    const { kvmclockOffset } = rig.vm;
    rig.enableKvmclock(1);
    expect(rig.vm.kvmclockOffset).toBe(kvmclockOffset);
    rig.enableKvmclock(0);
    expect(rig.vm.kvmclockOffset).not.toBe(kvmclockOffset);
  });

  test.each(KERNELS)('%s: turns the masterclock off by the old MSR', (id) => {
    const rig = new Rig(id).boot(2);
    const isOn = rig.vm.masterclock === 'on';
    const writeOld = (vcpu: number) => {
      rig.wrmsr(vcpu, MSRS.MSR_KVM_SYSTEM_TIME, pageGpa(vcpu) | ENABLE);
      rig.settle();
    };
    writeOld(1);
    expect(rig.vm.bootVcpuRunsOldKvmclock).toBe(false);
    expect(rig.vm.masterclock === 'on').toBe(isOn);
    writeOld(0);
    expect(rig.vm.bootVcpuRunsOldKvmclock).toBe(true);
    expect(rig.vm.masterclock).not.toBe('on');
  });
});

describe('the first load of a vCPU while the masterclock is on', () => {
  /** What a vCPU that is plugged in asks for as it is created, which loads it, and on another CPU. */
  const loads = (id: (typeof KERNELS)[number]) => {
    const rig = new Rig(id, { tscKhz: 2_500_000, vendor: 'svm' }).boot(2);
    const first = requestsOf(rig.on(2, 'KVM_CREATE_VCPU', { cpu: 2 }));
    rig.on(2, 'vcpu_postcreate', {});
    rig.on(2, 'vcpu_load', { cpu: 2 });
    rig.on(2, 'kvm_entry', {});
    rig.settle();
    rig.leave(2);
    const again = requestsOf(rig.on(2, 'vcpu_load', { cpu: 3 }));
    return { first, again, isOn: rig.vm.masterclock === 'on' };
  };
  const byLoad = (kind: string) => split((s) => s.globalUpdateOnLoad === kind).holds;

  test.each(byLoad('no-master-or-first'))('%s: asks for all clocks to be updated', (id) => {
    const { first, again, isOn } = loads(id);
    expect(first).toContain('GLOBAL_CLOCK_UPDATE');
    if (isOn) expect(again).not.toContain('GLOBAL_CLOCK_UPDATE');
  });

  test.each(byLoad('no-master-own-first'))('%s: asks for its own to be updated', (id) => {
    const { first, again } = loads(id);
    expect(first).toContain('CLOCK_UPDATE');
    expect(first).not.toContain('GLOBAL_CLOCK_UPDATE');
    expect(again).toEqual(expect.not.arrayContaining(['CLOCK_UPDATE', 'GLOBAL_CLOCK_UPDATE']));
  });
});

test.each(KERNELS)('%s: a CPU that changes its frequency is no matter of others’', (id) => {
  const rig = new Rig(id, { tscKhz: 2_500_000, constantTsc: false, hasTscControl: false }).boot(2);
  expect([rig.vcpu(0).cpu, rig.vcpu(1).cpu]).toEqual([0, 1]);
  const done = rig.host('cpufreq', { cpu: 1, khz: 1_200_000 });
  const asked = done.observations.flatMap((seen) => (seen.type === 'request' ? [seen.vcpu] : []));
  expect(asked).toEqual([1]);
});

describe('loads without masterclock, where all vCPUs are updated at most ten times a second', () => {
  const { holds } = split((s) => s.globalUpdateRateLimit);

  test.each(holds)('%s: ten are granted and no eleventh, in each second', (id) => {
    const rig = new Rig(id, { tscKhz: 2_500_000, vclockMode: 0 }).boot(2);
    const granted = () => {
      let count = 0;
      for (let cpu = 0; cpu < 25; cpu++) {
        rig.leave(0);
        const asked = requestsOf(rig.on(0, 'vcpu_load', { cpu: cpu % 2 }));
        if (asked.includes('GLOBAL_CLOCK_UPDATE')) count += 1;
        rig.enter(0);
      }
      return count;
    };
    expect(rig.vm.masterclock).not.toBe('on');
    rig.wait(2n * SECOND);
    expect(granted()).toBe(10);
    rig.wait(2n * SECOND);
    expect(granted()).toBe(10);
  });
});

test.each(KERNELS)('%s: KVM_KVMCLOCK_CTRL succeeds for a vCPU that has a page', (id) => {
  const rig = new Rig(id).boot(1);
  expect(resultOf(rig.ioctl(0, 'KVM_KVMCLOCK_CTRL', {}), 'ioctl_result').ret).toBe(0);
});

test.each(KERNELS)('%s: a clock that is set back has a negative offset', (id) => {
  const rig = new Rig(id).boot(1);
  rig.wait(10n * SECOND);
  rig.observed.splice(0);
  rig.setClock(SECOND);
  const set = rig.observed.flatMap((seen) =>
    seen.type === 'kvmclock_offset' ? [seen.offset] : [],
  );
  expect(set.length).toBeGreaterThan(0);
  for (const offset of set) expect(offset < 0n).toBe(true);
});
