/**
 * A recording of a simulated host: what VMMs and guests do, as the kernel of a profile would trace it, with
 * what each guest saw of its clock kept beside it.
 */
import { type Input, MSRS, type Observation } from '../../events/index.ts';
import type { VcpuState } from '../../src/clock/index.ts';
import { makeHost, World } from '../../src/engine/index.ts';
import type { Profile } from '../../src/profiles/index.ts';
import { SimulatedHost } from '../../src/scenarios/host.ts';
import type { Dice } from '../engine/dice.ts';
import { TraceText } from './trace-text.ts';

/** A change of a guest's clock between two of its entries, both clocks read at the later one. */
export interface SeenJump {
  readonly vm: string;
  readonly vcpu: number;
  readonly tsc: bigint;
  readonly deltaNs: bigint;
}

interface View {
  readonly page: readonly [tsc: bigint, ns: bigint, mul: number, shift: number];
  readonly offset: bigint;
}

interface Thread {
  readonly tid: number;
  readonly tgid: number;
  cpu: number;
}

export interface SimulatedVcpu {
  readonly id: number;
  readonly fd: number;
  readonly thread: Thread;
  registered: boolean;
  seen: View | undefined;
}

export interface SimulatedVm {
  readonly id: number;
  readonly fd: number;
  readonly main: Thread;
  readonly vcpus: SimulatedVcpu[];
}

const CMD = {
  KVM_CREATE_VM: 0xae01,
  KVM_CREATE_VCPU: 0xae41,
  KVM_RUN: 0xae80,
  KVM_SET_MSRS: 0x4008_ae89,
  KVM_SET_CLOCK: 0x4030_ae7b,
} as const;

const KVM_FD = 3;
const ARG = 0x7ffc_0000_1000n;
const PAGES_GPA = 0x1000n;
const CPUS = 4;
const KHZ = 2_000_000;

type Now<I> = I extends unknown ? Omit<I, 'tsc'> : never;

export class SimulatedRecording {
  readonly vms: SimulatedVm[] = [];
  readonly jumps: SeenJump[] = [];
  readonly #trace = new TraceText();
  readonly #world: World;
  readonly #host: SimulatedHost;
  readonly #dice: Dice;
  /** Work that is queued, and the host TSC at which it fires. */
  readonly #due = new Map<string, bigint>();
  readonly #isOneProcess: boolean;

  /** `oneProcess`: one VMM has all VMs. */
  constructor(profile: Profile, dice: Dice, oneProcess: boolean) {
    this.#isOneProcess = oneProcess;
    const tsc = 5_000_000_000n;
    const host = makeHost({
      tscKhz: KHZ,
      cpus: CPUS,
      tsc,
      monotonicNs: 2_500_000_000n,
      monotonicRawNs: 2_500_000_000n,
    });
    this.#world = new World({ switches: { ...profile.switches }, host });
    this.#host = new SimulatedHost(this.#world, (input) => this.#world.dispatch(input), tsc);
    this.#dice = dice;
  }

  get text(): string {
    return String(this.#trace);
  }

  /** Host TSC now. */
  get tsc(): bigint {
    return this.#host.tsc;
  }

  /** A little time passes, so that each event has an instant of its own. */
  #tick(ns = BigInt(200 + this.#dice.below(2000))): void {
    this.#host.pass(ns);
  }

  /** Something happens in a thread; its tracepoints are written. */
  #do(thread: Thread, input: Now<Input>): void {
    const { observations } = this.#world.dispatch({ ...input, tsc: this.tsc } as Input);
    for (const seen of observations) this.#write(thread, seen);
    this.#tick();
  }

  #write(thread: Thread, seen: Observation): void {
    const trace = this.#trace;
    const at = this.tsc;
    switch (seen.type) {
      case 'kvm_pvclock_update': {
        const { vcpuId: vcpu, version, tscTimestamp: tsc, systemTime: ns } = seen;
        const { tscToSystemMul: mul, tscShift: shift, flags } = seen;
        trace.page(at, { vcpu, version, tsc, ns, mul, shift, flags }, thread);
        break;
      }
      case 'kvm_write_tsc_offset':
        trace.offset(at, seen.previousTscOffset, seen.nextTscOffset, seen.vcpuId, thread);
        break;
      case 'kvm_update_master_clock':
        trace.masterclock(at, seen.useMasterClock ? 1 : 0, seen.offsetMatched ? 1 : 0, thread);
        break;
      case 'kvm_track_tsc':
        trace.track(
          at,
          {
            vcpu: seen.vcpuId,
            use: seen.useMasterClock ? 1 : 0,
            matched: seen.nrVcpusMatchedTsc,
            online: seen.onlineVcpus,
          },
          thread,
        );
        break;
      case 'timer_armed':
        if (seen.name === 'kvmclock_update_work' || seen.name === 'kvmclock_sync_work') {
          this.#due.set(`${seen.vm} ${seen.name}`, at + this.#host.cycles(seen.delayNs));
        }
        break;
      default:
    }
  }

  #call(
    thread: Thread,
    fd: number,
    cmd: number,
    arg: bigint,
    ret: bigint,
    during: () => void,
  ): void {
    this.#tick();
    this.#trace.enterIoctl(this.tsc, fd, cmd, arg, thread);
    this.#tick();
    during();
    this.#trace.exitIoctl(this.tsc, ret, thread);
    this.#tick();
  }

  /** Time passes, and what was to happen meanwhile happens. */
  pass(ns: bigint): void {
    const until = this.tsc + this.#host.cycles(ns);
    for (;;) {
      const next = [...this.#due]
        .filter(([, at]) => at <= until)
        .sort((a, b) => (a[1] < b[1] ? -1 : 1))[0];
      if (next === undefined) break;
      const [key, at] = next;
      this.#due.delete(key);
      if (at > this.tsc) this.#host.pass(((at - this.tsc) * 1_000_000n) / BigInt(KHZ) + 1n);
      const [vm, type] = key.split(' ') as [string, 'kvmclock_update_work'];
      this.#do({ tid: 9, tgid: 9, cpu: 0 }, { type, vm: Number(vm) });
    }
    if (until > this.tsc) this.#host.pass(((until - this.tsc) * 1_000_000n) / BigInt(KHZ));
  }

  createVm(): void {
    const id = this.vms.length;
    const tid = 100 + 100 * id;
    const main = { tid, tgid: this.#isOneProcess ? 100 : tid, cpu: this.#dice.below(CPUS) };
    const vm: SimulatedVm = { id, fd: 4 + 20 * id, main, vcpus: [] };
    this.vms.push(vm);
    this.#call(vm.main, KVM_FD, CMD.KVM_CREATE_VM, 0n, BigInt(vm.fd), () => {
      this.#do(vm.main, { type: 'KVM_CREATE_VM', vm: id });
    });
  }

  hotplug(vm: SimulatedVm): void {
    const id = vm.vcpus.length;
    const fd = vm.fd + 1 + id;
    this.#call(vm.main, vm.fd, CMD.KVM_CREATE_VCPU, BigInt(id), BigInt(fd), () => {
      this.#do(vm.main, { type: 'KVM_CREATE_VCPU', vm: vm.id, vcpu: id, cpu: vm.main.cpu });
      this.#do(vm.main, { type: 'vcpu_postcreate', vm: vm.id, vcpu: id });
    });
    const thread = { tid: vm.main.tid + 1 + id, tgid: vm.main.tgid, cpu: id % CPUS };
    vm.vcpus.push({ id, fd, thread, registered: false, seen: undefined });
  }

  cell(vm: SimulatedVm, vcpu: SimulatedVcpu): VcpuState {
    return this.#world.vms.get(vm.id)!.vcpus.get(vcpu.id)!.state;
  }

  /** KVM_RUN begins, if the vCPU is not in it, and the guest runs. */
  enter(vm: SimulatedVm, vcpu: SimulatedVcpu): void {
    const names = { vm: vm.id, vcpu: vcpu.id };
    const { run } = this.cell(vm, vcpu);
    if (run === 'guest') return;
    if (run === 'unloaded') {
      this.#tick();
      this.#trace.enterIoctl(this.tsc, vcpu.fd, CMD.KVM_RUN, 0n, vcpu.thread);
      this.#tick();
      this.#do(vcpu.thread, { type: 'vcpu_load', ...names, cpu: vcpu.thread.cpu });
    }
    this.#intoGuest(vm, vcpu);
  }

  #intoGuest(vm: SimulatedVm, vcpu: SimulatedVcpu): void {
    this.#do(vcpu.thread, { type: 'kvm_entry', vm: vm.id, vcpu: vcpu.id });
    this.#look(vm, vcpu);
    this.#trace.entry(this.tsc, vcpu.id, vcpu.thread);
    this.#tick();
  }

  exit(vm: SimulatedVm, vcpu: SimulatedVcpu): void {
    this.#tick();
    this.#trace.exit(this.tsc, vcpu.id, vcpu.thread);
    this.#do(vcpu.thread, { type: 'kvm_exit', vm: vm.id, vcpu: vcpu.id });
  }

  /** KVM_RUN returns. */
  leave(vm: SimulatedVm, vcpu: SimulatedVcpu): void {
    const { run } = this.cell(vm, vcpu);
    if (run === 'unloaded') return;
    if (run === 'guest') this.exit(vm, vcpu);
    this.#do(vcpu.thread, { type: 'vcpu_put', vm: vm.id, vcpu: vcpu.id });
    this.#trace.exitIoctl(this.tsc, 0n, vcpu.thread);
    this.#tick();
  }

  /** The thread is moved to another CPU while it is in KVM_RUN. */
  migrate(vm: SimulatedVm, vcpu: SimulatedVcpu): void {
    const { run } = this.cell(vm, vcpu);
    const names = { vm: vm.id, vcpu: vcpu.id };
    if (run === 'guest') this.exit(vm, vcpu);
    if (run !== 'unloaded') this.#do(vcpu.thread, { type: 'vcpu_put', ...names });
    vcpu.thread.cpu = this.#dice.below(CPUS);
    if (run === 'unloaded') return;
    this.#do(vcpu.thread, { type: 'vcpu_load', ...names, cpu: vcpu.thread.cpu });
    this.#intoGuest(vm, vcpu);
  }

  wrmsr(vm: SimulatedVm, vcpu: SimulatedVcpu, index: number, data: bigint): void {
    this.enter(vm, vcpu);
    this.exit(vm, vcpu);
    this.#do(vcpu.thread, { type: 'wrmsr', vm: vm.id, vcpu: vcpu.id, index, data });
    this.#trace.wrmsr(this.tsc, index, data, vcpu.thread);
    this.#tick();
    this.#intoGuest(vm, vcpu);
  }

  registerKvmclock(vm: SimulatedVm, vcpu: SimulatedVcpu): void {
    vcpu.registered = true;
    const data = PAGES_GPA + 64n * BigInt(vcpu.id) + 1n;
    this.wrmsr(vm, vcpu, MSRS.MSR_KVM_SYSTEM_TIME_NEW, data);
  }

  setMsr(vm: SimulatedVm, vcpu: SimulatedVcpu, index: number, data: bigint): void {
    this.leave(vm, vcpu);
    const names = { vm: vm.id, vcpu: vcpu.id };
    this.#call(vcpu.thread, vcpu.fd, CMD.KVM_SET_MSRS, ARG, 1n, () => {
      this.#do(vcpu.thread, { type: 'vcpu_load', ...names, cpu: vcpu.thread.cpu });
      this.#do(vcpu.thread, { type: 'KVM_SET_MSRS', ...names, index, data });
      this.#do(vcpu.thread, { type: 'vcpu_put', ...names });
    });
  }

  setClock(vm: SimulatedVm, byNs: bigint): void {
    const { state } = this.#world.vms.get(vm.id)!.cell;
    const now = state.masterKernelNs + state.kvmclockOffset;
    const clock = BigInt.asUintN(64, now + byNs);
    this.#call(vm.main, vm.fd, CMD.KVM_SET_CLOCK, ARG, 0n, () => {
      this.#do(vm.main, { type: 'KVM_SET_CLOCK', vm: vm.id, clock, flags: 0, cpu: vm.main.cpu });
    });
  }

  /** NTP steers the host's clock from now on, parts in 10^12. */
  steer(ppt: bigint): void {
    this.#host.steer(ppt);
  }

  /** What the guest has of its clock as it begins to run, against what it had. */
  #look(vm: SimulatedVm, vcpu: SimulatedVcpu): void {
    const state = this.cell(vm, vcpu);
    const before = vcpu.seen;
    if (state.kvmclock === 'off' || state.pageVersion === 0) {
      vcpu.seen = undefined;
      return;
    }
    const { pageTscTimestamp, pageSystemTime, pageMul, pageShift } = state;
    const page = [pageTscTimestamp, pageSystemTime, pageMul, pageShift] as const;
    vcpu.seen = { page, offset: state.l1TscOffset };
    if (before === undefined) return;
    const tsc = this.tsc;
    const deltaNs = readAt(vcpu.seen, tsc) - readAt(before, tsc);
    if (deltaNs === 0n) return;
    this.jumps.push({ vm: `${vm.main.tid}-${vm.fd}`, vcpu: vcpu.id, tsc, deltaNs });
  }
}

function readAt(
  { page: [tscTimestamp, systemTime, mul, shift], offset }: View,
  tsc: bigint,
): bigint {
  const cycles = BigInt.asUintN(64, tsc + offset - tscTimestamp);
  const shifted =
    shift < 0 ? cycles >> BigInt(-shift) : BigInt.asUintN(64, cycles << BigInt(shift));
  return systemTime + ((shifted * BigInt(mul)) >> 32n);
}
