import { describe, expect, test } from 'vitest';
import { Bench, names, SECOND, started } from './bench.ts';

const KEPT = ['3b', '10', '12', '11', '4b564d03'];

describe('qemu', () => {
  test('hotplug is creation and the frequency; all are reset when the guest first runs', () => {
    const bench = new Bench('qemu');
    expect(names(bench.do({ type: 'launch' }))).toEqual(['KVM_CREATE_VM', 'KVM_GET_CLOCK']);
    const hotplug = bench.do({ type: 'hotplug', vcpu: 0, cpu: 2 });
    expect(hotplug.event).toEqual({ type: 'hotplug', vcpu: 0, cpu: 2 });
    const created = ['KVM_CREATE_VCPU', 'vcpu_postcreate'];
    const frequency = ['vcpu_load', 'KVM_GET_TSC_KHZ', 'vcpu_put'];
    const reset = ['vcpu_load', ...KEPT.map((index) => `KVM_SET_MSRS ${index}`), 'vcpu_put'];
    expect(names(hotplug)).toEqual([...created, ...frequency]);
    expect(bench.kvm(0).cpu).toBe(2);
    expect(bench.vmm.log).toHaveLength(2);
    expect(bench.vmm.log[1]).toBe(hotplug);
    bench.do({ type: 'hotplug', vcpu: 1, cpu: 3 });
    const resume = names(bench.do({ type: 'resume' }));
    expect(resume.slice(0, 15)).toEqual([...reset, ...reset, 'KVM_SET_CLOCK']);
    const later = names(bench.do({ type: 'hotplug', vcpu: 2, cpu: 0 }));
    expect(later).toEqual([...created, ...frequency, ...reset]);
  });

  test('a frequency of the user’s does not part the vCPUs that are there from the start', () => {
    const bench = new Bench('qemu');
    bench.do({ type: 'launch', tscKhz: 2_000_000 });
    bench.do({ type: 'hotplug', vcpu: 0, cpu: 0 });
    bench.do({ type: 'hotplug', vcpu: 1, cpu: 1 });
    bench.do({ type: 'resume' });
    bench.run(0);
    bench.run(1);
    expect(bench.masterclock()).toBe('on');
  });

  test('a frequency given at launch is set on every vCPU', () => {
    const bench = new Bench('qemu');
    bench.do({ type: 'launch', tscKhz: 2_000_000 });
    expect(names(bench.do({ type: 'hotplug', vcpu: 0, cpu: 0 }))).toContain('KVM_SET_TSC_KHZ');
    expect(bench.kvm(0).virtualTscKhz).toBe(2_000_000);
  });

  test('an unplugged vCPU is parked, and used again by the next hotplug of its id', () => {
    const bench = started('qemu');
    const unplug = bench.do({ type: 'unplug', vcpu: 1 });
    expect(names(unplug)).toEqual(['kvm_exit', 'vcpu_put']);
    expect(bench.vmm.vcpus.get(1)!.life).toBe('parked');
    const again = bench.do({ type: 'hotplug', vcpu: 1, cpu: 3 });
    expect(names(again)).not.toContain('KVM_CREATE_VCPU');
    expect(bench.vmm.vcpus.get(1)!.life).toBe('plugged');
    expect(bench.kvm(1).kvmclock).toBe('off');
    // What would have happened otherwise:
    const create = { type: 'KVM_CREATE_VCPU', vm: 0, vcpu: 1, cpu: 3, tsc: bench.tsc } as const;
    expect(bench.world.dispatch(create).observations).toEqual([
      { type: 'ioctl_result', vm: 0, vcpu: 1, name: 'KVM_CREATE_VCPU', ret: -17 },
    ]);
  });

  test('hotplug keeps the masterclock: 0 written to a TSC means to synchronise', () => {
    const bench = started('qemu');
    expect(bench.masterclock()).toBe('on');
    bench.do({ type: 'hotplug', vcpu: 2, cpu: 2 });
    bench.run(2);
    expect(bench.masterclock()).toBe('on');
    expect(bench.guestTsc(2)).toBe(bench.guestTsc(0));
  });

  test('hotplug loses the masterclock where 0 is a value like any other (to v4.12)', () => {
    const bench = started('qemu', 'v4.9');
    bench.tsc += 100n * SECOND;
    bench.do({ type: 'hotplug', vcpu: 2, cpu: 2 });
    bench.run(2);
    expect(bench.masterclock()).toBe('off.unmatched');
  });

  test('a pause reads the clock after the TSCs, and a resume sets it: the clock stood still', () => {
    const bench = started('qemu');
    const pause = bench.do({ type: 'pause' });
    expect(names(pause)).toEqual([
      ...['kvm_exit', 'vcpu_put', 'kvm_exit', 'vcpu_put'],
      ...['vcpu_load', 'KVM_GET_MSRS 10', 'vcpu_put'],
      ...['vcpu_load', 'KVM_GET_MSRS 10', 'vcpu_put'],
      'KVM_GET_CLOCK',
    ]);
    expect(bench.vmm.state.stoppedBy).toBe('user');
    expect(bench.vmm.state.clockDevice).toBe('valid');
    const stoppedAt = bench.vmm.state.clock;
    bench.tsc += 60n * SECOND;
    const resume = bench.do({ type: 'resume' });
    expect(names(resume)).toEqual([
      'KVM_SET_CLOCK',
      ...['vcpu_load', 'KVM_KVMCLOCK_CTRL', 'vcpu_put'],
      ...['vcpu_load', 'KVM_KVMCLOCK_CTRL', 'vcpu_put'],
    ]);
    expect(bench.vmm.state.clockDevice).toBe('invalid');
    const setAt = resume.inputs[0]!.input.tsc;
    bench.goOn(0);
    expect(bench.kvmclock(0, setAt)).toBe(stoppedAt);
    expect(bench.kvm(0).pageFlags).toBe(3);
  });

  test('a snapshot reads the clock once more at the end, and the guest goes on', () => {
    const bench = started('qemu');
    const snapshot = bench.do({ type: 'snapshot' });
    const calls = names(snapshot);
    expect(calls.filter((name) => name === 'KVM_GET_CLOCK')).toHaveLength(2);
    expect(calls.indexOf('KVM_SET_CLOCK')).toBeGreaterThan(calls.lastIndexOf('KVM_GET_CLOCK'));
    expect(bench.vmm.state.run).toBe('running');
    expect(snapshot.saved?.vcpus).toHaveLength(2);
  });

  test('a snapshot of a paused guest leaves its clock and the guest alone', () => {
    const bench = started('qemu');
    bench.do({ type: 'pause' });
    const { clock } = bench.vmm.state;
    const calls = names(bench.do({ type: 'snapshot' }));
    expect(calls).not.toContain('KVM_GET_CLOCK');
    expect(bench.vmm.state.clock).toBe(clock);
    expect(bench.vmm.state.run).toBe('saved');
    bench.do({ type: 'resume' });
    expect(bench.vmm.state.run).toBe('running');
  });

  test('the clock is reckoned from the page where KVM_GET_CLOCK is not what the guest reads', () => {
    const bench = started('qemu', 'v4.4');
    bench.world.dispatch({
      type: 'adjtimex',
      monoMult: bench.world.host.monoMult + 500,
      tsc: bench.tsc,
    });
    bench.tsc += 1000n * SECOND;
    bench.do({ type: 'pause' });
    const { clock, clockIsReliable } = bench.vmm.state;
    expect(clockIsReliable).toBe(false);
    const tsc = bench.vmm.vcpus.get(0)!.tsc;
    const resume = bench.do({ type: 'resume' });
    const set = resume.inputs[0]!.input;
    const guests = bench.kvmclock(0, tsc - bench.kvm(0).l1TscOffset);
    expect(set).toMatchObject({ type: 'KVM_SET_CLOCK', clock: guests });
    expect(clock - guests).toBeGreaterThan(10_000_000n);
  });
});
