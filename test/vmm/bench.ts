/**
 * A host with one VMM on it, for tests of policies: composite events at a host TSC that advances with
 * everything done.
 */
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

export const KHZ = 2_500_000;
export const SECOND = BigInt(KHZ) * 1000n;
const GPA = 0x1001n;

/** A host with one VMM, its time told by hand. */
export class Bench {
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

/** What was done, MSRs with their numbers. */
export const names = ({ inputs }: Performed) =>
  inputs.map(({ input }) =>
    'index' in input ? `${input.type} ${input.index.toString(16)}` : input.type,
  );

/** A guest with two vCPUs that runs and has turned both pages on. */
export function started(policy: VmmPolicyId, id?: ProfileId): Bench {
  const bench = new Bench(policy, id);
  bench.do({ type: 'launch' });
  bench.do({ type: 'hotplug', vcpu: 0, cpu: 0 });
  bench.do({ type: 'hotplug', vcpu: 1, cpu: 1 });
  bench.do({ type: 'resume' });
  bench.run(0);
  bench.run(1);
  return bench;
}
