import { describe, expect, test } from 'vitest';
import { type Composite, MSRS } from '../../events/index.ts';
import { guestRdtsc } from '../../src/clock/index.ts';
import {
  type HostOptions,
  makeHost,
  type Performed,
  type Plan,
  persist,
  restore,
  Vmm,
  type VmmPolicyId,
  World,
} from '../../src/engine/index.ts';
import { pvclockRead } from '../../src/num/index.ts';
import { PROFILES, type ProfileId } from '../../src/profiles/index.ts';

const KHZ = 2_500_000;
const SECOND = BigInt(KHZ) * 1000n;
const GPA = 0x1001n;

/** A host with one VMM, its time told by hand. */
class Bench {
  world: World;
  vmm: Vmm;
  tsc: bigint;
  readonly #policy: VmmPolicyId;

  constructor(policy: VmmPolicyId, id: ProfileId = 'v6.8', host: Partial<HostOptions> = {}) {
    const options = { tscKhz: KHZ, ...host };
    this.world = new World({ switches: PROFILES[id].switches, host: makeHost(options) });
    this.vmm = new Vmm({ world: this.world, vm: 0, policy });
    this.tsc = (host.tsc ?? 0n) + SECOND;
    this.#policy = policy;
  }

  /** World and VMM go through JSON. */
  persist(): void {
    const from = JSON.parse(JSON.stringify(this.vmm.persist()));
    this.world = restore(JSON.parse(JSON.stringify(persist(this.world))));
    this.vmm = new Vmm({ world: this.world, vm: 0, policy: this.#policy, from });
  }

  do(event: Composite, plan: Partial<Plan> = {}): Performed {
    const done = this.vmm.perform(event, { tsc: this.tsc, step: 1000n, ...plan });
    this.tsc = this.world.lastTsc + 1000n;
    return done;
  }

  /** The guest runs on a vCPU and turns its page on. */
  run(vcpu: number): void {
    const step = (type: 'kvm_entry' | 'kvm_exit') => {
      this.world.dispatch({ type, vm: 0, vcpu, tsc: this.tsc });
      this.tsc += 1000n;
    };
    this.world.dispatch({ type: 'vcpu_load', vm: 0, vcpu, cpu: vcpu, tsc: this.tsc });
    step('kvm_entry');
    step('kvm_exit');
    this.world.dispatch({
      type: 'wrmsr',
      vm: 0,
      vcpu,
      index: MSRS.MSR_KVM_SYSTEM_TIME_NEW,
      data: GPA + BigInt(vcpu) * 0x1000n,
      tsc: this.tsc,
    });
    step('kvm_entry');
  }

  /** The guest goes on with the page it has. */
  goOn(vcpu: number): void {
    this.world.dispatch({ type: 'vcpu_load', vm: 0, vcpu, cpu: vcpu, tsc: this.tsc });
    this.world.dispatch({ type: 'kvm_entry', vm: 0, vcpu, tsc: this.tsc + 10n });
    this.tsc += 1000n;
  }

  kvm(vcpu: number) {
    return this.world.vms.get(0)!.vcpus.get(vcpu)!.state;
  }

  guestTsc(vcpu: number, at = this.tsc): bigint {
    return guestRdtsc(this.kvm(vcpu), this.world.host, at);
  }

  kvmclock(vcpu: number, at = this.tsc): bigint {
    const v = this.kvm(vcpu);
    const page = {
      tscTimestamp: v.pageTscTimestamp,
      systemTime: v.pageSystemTime,
      tscToSystemMul: v.pageMul,
      tscShift: v.pageShift,
    };
    return pvclockRead(page, this.guestTsc(vcpu, at));
  }

  masterclock(): string {
    return this.world.vms.get(0)!.cell.state.masterclock;
  }
}

const names = ({ inputs }: Performed) =>
  inputs.map(({ input }) =>
    'index' in input ? `${input.type} ${input.index.toString(16)}` : input.type,
  );

const KEPT = ['3b', '10', '12', '11', '4b564d03'];

function started(policy: VmmPolicyId, id?: ProfileId): Bench {
  const bench = new Bench(policy, id);
  bench.do({ type: 'launch' });
  bench.do({ type: 'hotplug', vcpu: 0, cpu: 0 });
  bench.do({ type: 'hotplug', vcpu: 1, cpu: 1 });
  bench.do({ type: 'resume' });
  bench.run(0);
  bench.run(1);
  return bench;
}

describe('qemu', () => {
  test('hotplug is creation, the frequency and all MSRs as after reset', () => {
    const bench = new Bench('qemu');
    expect(names(bench.do({ type: 'launch' }))).toEqual(['KVM_CREATE_VM', 'KVM_GET_CLOCK']);
    const hotplug = bench.do({ type: 'hotplug', vcpu: 0, cpu: 2 });
    expect(hotplug.event).toEqual({ type: 'hotplug', vcpu: 0, cpu: 2 });
    expect(names(hotplug)).toEqual([
      'KVM_CREATE_VCPU',
      'vcpu_postcreate',
      'vcpu_load',
      'KVM_GET_TSC_KHZ',
      'vcpu_put',
      'vcpu_load',
      ...KEPT.map((index) => `KVM_SET_MSRS ${index}`),
      'vcpu_put',
    ]);
    expect(bench.kvm(0).cpu).toBe(2);
    expect(bench.vmm.log).toHaveLength(2);
    expect(bench.vmm.log[1]).toBe(hotplug);
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

describe('migration', () => {
  test.each(['qemu', 'plain'] as const)('with policy %s: TSCs and clock arrive', (policy) => {
    const source = started(policy);
    source.tsc += 20n * SECOND;
    const out = source.do({ type: 'migration', incoming: false });
    expect(source.vmm.state.run).toBe('saved');
    const stream = JSON.stringify(out.saved);
    const { clock } = source.vmm.state;
    const tscs = [0, 1].map((id) => source.vmm.vcpus.get(id)!.tsc);

    const destination = new Bench(policy, 'v7.3', { tsc: 7_000_000_000_000n, tscKhz: KHZ });
    destination.do({ type: 'launch' });
    destination.vmm.receive(JSON.parse(stream));
    const into = destination.do({ type: 'migration', incoming: true }, { step: 2500n });
    expect(names(into).filter((name) => name === 'KVM_CREATE_VCPU')).toHaveLength(2);
    expect(names(into).includes('KVM_KVMCLOCK_CTRL')).toBe(policy === 'qemu');
    expect(destination.vmm.state.run).toBe('running');

    destination.goOn(0);
    destination.goOn(1);
    const set = into.inputs.find(({ input }) => input.type === 'KVM_SET_CLOCK')!.input;
    expect(set).toMatchObject({ clock, flags: 0 });
    for (const id of [0, 1]) {
      const write = into.inputs.findLast(
        ({ input }) =>
          input.type === 'KVM_SET_MSRS' && input.vcpu === id && input.index === MSRS.IA32_TSC,
      )!.input;
      expect(write).toMatchObject({ data: tscs[id] });
    }
    // Each TSC was read and is written at an instant of its own: with the first write honoured to
    // the cycle and the second within its window, both run by the first one's offset.
    expect(destination.masterclock()).toBe('on');
    expect(destination.guestTsc(1)).toBe(destination.guestTsc(0));
    // The masterclock comes back after KVM_SET_CLOCK: the same clock, of a later reference.
    const since = ((destination.tsc - set.tsc) * 1_000_000n) / BigInt(KHZ);
    const late = destination.kvmclock(0) - (clock + since);
    expect(late === 0n || late === -1n).toBe(true);
    expect(destination.kvm(0).kvmclock).toBe('old');
  });

  test('of a paused guest: it does not run at the destination until resumed', () => {
    const source = started('qemu');
    source.do({ type: 'pause' });
    const { saved } = source.do({ type: 'migration', incoming: false });
    const destination = new Bench('qemu');
    destination.do({ type: 'launch' });
    destination.vmm.receive(saved!);
    destination.do({ type: 'migration', incoming: true });
    expect(destination.vmm.state.run).toBe('restored');
    expect(names(destination.do({ type: 'resume' }))).toContain('KVM_SET_CLOCK');
  });

  test('leaves parked vCPUs behind', () => {
    const source = started('qemu');
    source.do({ type: 'unplug', vcpu: 1 });
    const { saved } = source.do({ type: 'migration', incoming: false });
    expect(saved!.vcpus).toHaveLength(1);
  });
});

describe('a VMM in JSON', () => {
  const story: readonly Composite[] = [
    { type: 'launch', tscKhz: 2_000_000 },
    { type: 'hotplug', vcpu: 0, cpu: 0 },
    { type: 'hotplug', vcpu: 1, cpu: 1 },
    { type: 'resume' },
    { type: 'unplug', vcpu: 1 },
    { type: 'snapshot' },
    { type: 'hotplug', vcpu: 1, cpu: 3 },
    { type: 'pause' },
    { type: 'migration', incoming: false },
    { type: 'resume' },
  ];

  test.each(['qemu', 'plain'] as const)('goes on as it would have, policy %s', (policy) => {
    const play = (persists: boolean) => {
      const bench = new Bench(policy);
      for (const event of story) {
        bench.do(event);
        if (persists) bench.persist();
      }
      return { vmm: bench.vmm.persist(), world: persist(bench.world) };
    };
    expect(play(true)).toEqual(play(false));
  });

  test('keeps what it received', () => {
    const source = started('qemu');
    const { saved } = source.do({ type: 'migration', incoming: false });
    const destination = new Bench('qemu');
    destination.do({ type: 'launch' });
    destination.vmm.receive(saved!);
    destination.persist();
    destination.do({ type: 'migration', incoming: true });
    expect(destination.vmm.state.run).toBe('running');
  });

  test('does not receive a page that no KVM wrote', () => {
    const source = started('qemu');
    const { saved } = source.do({ type: 'migration', incoming: false });
    const hostile = { ...saved!, vmm: { ...saved!.vmm, pageShift: -64 } };
    expect(() => new Bench('qemu').vmm.receive(hostile)).toThrow(RangeError);
  });
});

describe('a plan', () => {
  test('gives every input its instant; the last step of a list goes on', () => {
    const bench = new Bench('plain');
    bench.do({ type: 'launch' });
    const tsc = 10n * SECOND;
    const { inputs } = bench.do({ type: 'hotplug', vcpu: 0, cpu: 0 }, { tsc, step: [5n, 7n] });
    expect(inputs.map(({ input }) => input.tsc)).toEqual([tsc, tsc + 5n]);
    bench.do({ type: 'resume' });
    bench.run(0);
    const at = 20n * SECOND;
    const snapshot = bench.do({ type: 'snapshot' }, { tsc: at, step: [5n, 7n] });
    expect(snapshot.inputs.slice(0, 4).map(({ input }) => input.tsc - at)).toEqual([
      0n,
      5n,
      12n,
      19n,
    ]);
  });
});

describe('what cannot be', () => {
  const refused = (events: readonly Composite[], last: Composite) => {
    const bench = new Bench('qemu');
    for (const event of events) bench.do(event);
    const { count } = bench.world;
    expect(() => bench.do(last)).toThrow(expect.objectContaining({ code: 'wrong-order' }));
    expect(bench.world.count).toBe(count);
  };
  const launch: Composite = { type: 'launch' };
  const hotplug: Composite = { type: 'hotplug', vcpu: 0, cpu: 0 };

  test('is refused before anything is done', () => {
    refused([], hotplug);
    refused([launch], launch);
    refused([launch, hotplug], hotplug);
    refused([launch], { type: 'unplug', vcpu: 0 });
    refused([launch, hotplug], { type: 'pause' });
    refused([launch, hotplug, { type: 'resume' }], { type: 'resume' });
    refused([launch], { type: 'snapshot' });
    refused([launch], { type: 'migration', incoming: false });
    refused([launch], { type: 'migration', incoming: true });
  });

  test('by the plan: what was done before it stays in the log', () => {
    const bench = new Bench('qemu');
    bench.do(launch);
    const plan = { tsc: bench.tsc, step: [1000n, -2000n] };
    expect(() => bench.vmm.perform(hotplug, plan)).toThrow(
      expect.objectContaining({ code: 'tsc-backwards' }),
    );
    expect(bench.vmm.log.at(-1)!.inputs).toHaveLength(2);
  });
});
