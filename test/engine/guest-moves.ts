/** What can happen to the VMs and vCPUs of a generated history. */
import { type Input, type InputType, MSRS } from '../../events/index.ts';
import { isRequested, MSR_READERS, readL1Tsc } from '../../src/clock/index.ts';
import { asU64 } from '../../src/num/index.ts';
import type { Here, LiveVcpu, LiveVm } from './here.ts';
import { baseNow, type Move, realtimeNow } from './host-moves.ts';
import { type Names, vcpuMove, vmMove } from './moves.ts';
import { deadline, TIMER_MOVES, TIMER_MSRS } from './timer-moves.ts';

const MOST_VMS = 2;
const MOST_VCPUS = 3;
const CPUS = 4;

/** An address for a page, and whether it is on. */
const page = (here: Here): bigint =>
  here.dice.oneIn(5) ? 0n : here.dice.of([0x2001n, 0x2001n, 0x3001n]);

const tscValue = (here: Here, { cell }: LiveVcpu): bigint => {
  const now = readL1Tsc(cell.state, here.world.host, here.tsc);
  const near = BigInt(here.world.host.tscKhz) * 500n;
  return here.dice.of([
    0n,
    now,
    asU64(now + here.dice.wide(near)),
    asU64(now + near * 10n),
    here.dice.wide(1n << 40n),
  ]);
};

const MSR_VALUES: Readonly<Record<number, (here: Here, vcpu: LiveVcpu) => bigint>> = {
  [MSRS.IA32_TSC]: tscValue,
  [MSRS.IA32_TSC_ADJUST]: (h) => asU64(h.dice.wide(1n << 34n) - (1n << 33n)),
  [MSRS.IA32_TSC_DEADLINE]: deadline,
  [MSRS.MSR_KVM_SYSTEM_TIME]: page,
  [MSRS.MSR_KVM_SYSTEM_TIME_NEW]: page,
  [MSRS.MSR_KVM_WALL_CLOCK]: (h) => h.dice.of([0n, 0x5000n]),
  [MSRS.MSR_KVM_WALL_CLOCK_NEW]: () => 0x5000n,
  [MSRS.MSR_KVM_STEAL_TIME]: (h) => h.dice.of([0n, 0x6001n, 0x6041n]),
  [MSRS.HV_X64_MSR_REFERENCE_TSC]: (h) => h.dice.of([0n, 0x7001n, 0x7001n]),
  [MSRS.HV_X64_MSR_TSC_EMULATION_CONTROL]: (h) => BigInt(h.dice.below(2)),
  [MSRS.HV_X64_MSR_REENLIGHTENMENT_CONTROL]: (h) => BigInt(h.dice.below(2)),
  [MSRS.HV_X64_MSR_TIME_REF_COUNT]: () => 0n,
  ...TIMER_MSRS,
};

/** The MSRs that move clocks come more often. */
const WRITTEN = [
  ...Object.keys(MSR_VALUES).map(Number),
  MSRS.IA32_TSC,
  MSRS.MSR_KVM_SYSTEM_TIME,
  MSRS.MSR_KVM_SYSTEM_TIME_NEW,
  MSRS.MSR_KVM_SYSTEM_TIME_NEW,
  MSRS.HV_X64_MSR_REFERENCE_TSC,
  MSRS.IA32_TSC_DEADLINE,
  MSRS.HV_X64_MSR_STIMER0_CONFIG,
  MSRS.HV_X64_MSR_STIMER0_COUNT,
];

function msrWrite(here: Here, names: Names, vcpu: LiveVcpu, type: 'wrmsr' | 'KVM_SET_MSRS'): Input {
  const index = here.dice.of(WRITTEN);
  return { type, ...names, index, data: MSR_VALUES[index]!(here, vcpu) };
}

const khzFor = (here: Here): number => {
  const { tscKhz } = here.world.host;
  return here.dice.of([
    0,
    tscKhz,
    tscKhz + Math.floor(tscKhz / 10_000),
    Math.floor(tscKhz / 2),
    Math.floor((tscKhz * 5) / 4),
    2_345_678,
  ]);
};

function setClock(here: Here, vm: LiveVm): Input {
  const { switches } = here.world;
  const now = asU64(baseNow(here) + vm.of.cell.state.kvmclockOffset);
  const clock = here.dice.of([0n, now, now + 1_000_000_000n, here.dice.wide(1n << 50n)]) >> 1n;
  const base = { type: 'KVM_SET_CLOCK', vm: vm.id, tsc: here.tsc, clock } as const;
  if (switches.setClockFlags === 0 || here.dice.oneIn(2)) return { ...base, flags: 0 };
  const realtime = asU64(realtimeNow(here) + here.dice.of([-5_000_000_000n, 0n, 5_000_000_000n]));
  return { ...base, flags: here.dice.of([4, 6, 14]), realtime };
}

/** A vCPU that is told to leave the guest, or that asked for nothing, may still serve requests. */
const withSteal = (here: Here, input: Input, { cell }: LiveVcpu): Input =>
  isRequested(cell.state, 'STEAL_UPDATE')
    ? { ...input, readings: { run_delay: here.runDelay } }
    : input;

const simple = (weight: number, type: SimpleVcpuInput): Move =>
  vcpuMove(weight, 'loaded', (_here, names) => ({ type, ...names }));

type SimpleVcpuInput = Extract<
  InputType,
  | 'KVM_GET_TSC_KHZ'
  | 'KVM_HAS_TSC_OFFSET'
  | 'KVM_GET_TSC_OFFSET'
  | 'KVM_HAS_TSC_SCALE'
  | 'KVM_GET_TSC_SCALE'
  | 'KVM_SET_TSC_SCALE'
  | 'KVM_GET_CLOCK_GUEST'
  | 'KVM_GET_TSC_STATE'
  | 'KVM_KVMCLOCK_CTRL'
>;

/** A page to set the clock by: the vCPU's own, or that from another time or of another frequency. */
function setClockGuest(here: Here, names: Names, { cell }: LiveVcpu): Input {
  const { pvTscTimestamp, pvSystemTime, pvclockTscMul, pvclockTscShift } = cell.state;
  return {
    type: 'KVM_SET_CLOCK_GUEST',
    ...names,
    tscTimestamp: here.dice.of([
      pvTscTimestamp,
      pvTscTimestamp,
      asU64(pvTscTimestamp + (1n << 40n)),
    ]),
    systemTime: here.dice.of([pvSystemTime, here.dice.wide(1n << 50n)]) >> 1n,
    tscToSystemMul: here.dice.of([pvclockTscMul, pvclockTscMul, 0, pvclockTscMul >>> 1]),
    tscShift: here.dice.of([pvclockTscShift, pvclockTscShift, pvclockTscShift, 40]),
    pad: here.dice.oneIn(5) ? 1 : 0,
  };
}

/** A TSC with the time at which it was read: now, before, later, or none. */
function setTscState(here: Here, names: Names, vcpu: LiveVcpu): Input {
  const now = realtimeNow(here);
  return {
    type: 'KVM_SET_TSC_STATE',
    ...names,
    flags: here.dice.below(4),
    nsec: here.dice.of([0n, now, now - 5_000_000_000n, now + 5_000_000_000n]),
    guestTsc: tscValue(here, vcpu),
    tscAdjust: here.dice.of([0n, here.dice.wide(1n << 34n)]),
  };
}

const LIFE: readonly Move[] = [
  {
    weight: 4,
    make: ({ world, vms, tsc }) =>
      vms.length < MOST_VMS
        ? { type: 'KVM_CREATE_VM', vm: world.vms.has(0) ? world.vms.size : 0, tsc }
        : undefined,
  },
  vmMove(12, (here, vm) =>
    vm.vcpus.length < MOST_VCPUS
      ? {
          type: 'KVM_CREATE_VCPU',
          vm: vm.id,
          vcpu: vm.vcpus.length,
          tsc: here.tsc,
          cpu: here.dice.below(CPUS),
        }
      : undefined,
  ),
  vcpuMove(30, 'unloaded', (_here, names) => ({ type: 'vcpu_postcreate', ...names }), 'created'),
  vmMove(1, (here, vm) =>
    here.dice.oneIn(2) && vm.vcpus.every(({ cell }) => cell.state.run === 'unloaded')
      ? { type: 'destroy_vm', vm: vm.id, tsc: here.tsc, cpu: here.dice.below(CPUS) }
      : undefined,
  ),
];

const RUN: readonly Move[] = [
  vcpuMove(30, 'unloaded', (here, names, { cell }) => ({
    type: 'vcpu_load',
    ...names,
    cpu: here.dice.oneIn(3) ? here.dice.below(CPUS) : Math.max(0, cell.state.cpu),
  })),
  vcpuMove(12, 'loaded', (here, names) => ({
    type: 'vcpu_put',
    ...names,
    preempted: here.dice.oneIn(2),
    midInstruction: here.dice.oneIn(4),
    readings: { run_delay: here.runDelay },
  })),
  vcpuMove(30, 'loaded', (here, names, vcpu) =>
    withSteal(here, { type: 'kvm_entry', ...names }, vcpu),
  ),
  vcpuMove(2, 'loaded', (here, names, vcpu) =>
    withSteal(here, { type: 'vcpu_requests', ...names }, vcpu),
  ),
  vcpuMove(25, 'guest', (_here, names) => ({ type: 'kvm_exit', ...names })),
  vcpuMove(4, 'guest', (_here, names) => ({ type: 'rdtsc', ...names })),
  vcpuMove(2, 'guest', (_here, names) => ({ type: 'guest_clears_stopped', ...names })),
  vcpuMove(1, 'loaded', (_here, names) => ({ type: 'vcpu_reset', ...names })),
];

const REGISTERS: readonly Move[] = [
  vcpuMove(22, 'loaded', (here, names, vcpu) => msrWrite(here, names, vcpu, 'wrmsr')),
  vcpuMove(8, 'loaded', (here, names, vcpu) => msrWrite(here, names, vcpu, 'KVM_SET_MSRS')),
  vcpuMove(4, 'loaded', (here, names) => ({
    type: 'rdmsr',
    ...names,
    index: here.dice.of([...MSR_READERS.keys(), MSRS.HV_X64_MSR_TIME_REF_COUNT]),
  })),
  vcpuMove(2, 'loaded', (here, names) => ({
    type: 'KVM_GET_MSRS',
    ...names,
    index: here.dice.of([...MSR_READERS.keys()]),
  })),
];

const IOCTLS: readonly Move[] = [
  vmMove(3, (here, vm) => ({ type: 'KVM_GET_CLOCK', vm: vm.id, tsc: here.tsc })),
  vmMove(4, setClock),
  vmMove(1, (here, vm) => ({
    type: 'KVM_SET_VM_TSC_KHZ',
    vm: vm.id,
    tsc: here.tsc,
    khz: khzFor(here),
  })),
  vmMove(1, (here, vm) => ({ type: 'KVM_GET_VM_TSC_KHZ', vm: vm.id, tsc: here.tsc })),
  vmMove(12, (here, vm) =>
    vm.of.cell.state.updateWork === 'queued'
      ? { type: 'kvmclock_update_work', vm: vm.id, tsc: here.tsc }
      : undefined,
  ),
  vmMove(2, (here, vm) =>
    vm.of.cell.state.syncWork === 'armed'
      ? { type: 'kvmclock_sync_work', vm: vm.id, tsc: here.tsc }
      : undefined,
  ),
  vcpuMove(3, 'loaded', (here, names) => ({
    type: 'KVM_SET_TSC_KHZ',
    ...names,
    khz: khzFor(here),
  })),
  simple(1, 'KVM_GET_TSC_KHZ'),
  simple(1, 'KVM_HAS_TSC_OFFSET'),
  simple(1, 'KVM_GET_TSC_OFFSET'),
  vcpuMove(4, 'loaded', (here, names, { vm, cell }) => ({
    type: 'KVM_SET_TSC_OFFSET',
    ...names,
    offset: here.dice.of([
      here.world.vms.get(vm)!.cell.state.lastTscOffset,
      cell.state.l1TscOffset,
      here.dice.wide(1n << 63n),
    ]),
  })),
  simple(6, 'KVM_KVMCLOCK_CTRL'),
  simple(1, 'KVM_HAS_TSC_SCALE'),
  simple(1, 'KVM_GET_TSC_SCALE'),
  simple(1, 'KVM_SET_TSC_SCALE'),
  simple(2, 'KVM_GET_CLOCK_GUEST'),
  simple(1, 'KVM_GET_TSC_STATE'),
  vcpuMove(3, 'loaded', setClockGuest),
  vcpuMove(2, 'loaded', setTscState),
  vmMove(1, (here, vm) => ({
    type: 'KVM_CAP_DISABLE_QUIRKS',
    vm: vm.id,
    tsc: here.tsc,
    quirks: here.dice.of([0, 32]),
  })),
  vcpuMove(1, 'loaded', (_here, names) => ({
    type: 'clock_pairing',
    ...names,
    gpa: 0x8000n,
    clockType: 0n,
  })),
];

/** Where Xen's structures go; all ones, and 0 in old kernels, take them away. */
const xenGpa = (here: Here): bigint => here.dice.of([0x9000n, 0xa000n, (1n << 64n) - 1n, 0n]);

const XEN: readonly Move[] = [
  vmMove(2, (here, vm) => ({
    type: 'KVM_XEN_HVM_CONFIG',
    vm: vm.id,
    tsc: here.tsc,
    flags: here.dice.of([0, 2, 2, 130]),
    msr: here.dice.of([0, 0x4000_0000, 0x4000_0000]),
  })),
  vmMove(2, (here, vm) => ({
    type: 'KVM_XEN_SET_SHARED_INFO',
    vm: vm.id,
    tsc: here.tsc,
    gpa: xenGpa(here),
  })),
  vcpuMove(3, 'loaded', (here, names) => ({
    type: 'KVM_XEN_SET_VCPU_INFO',
    ...names,
    gpa: xenGpa(here),
  })),
  vcpuMove(3, 'loaded', (here, names) => ({
    type: 'KVM_XEN_SET_VCPU_TIME_INFO',
    ...names,
    gpa: xenGpa(here),
  })),
];

export const GUEST_MOVES: readonly Move[] = [
  ...LIFE,
  ...RUN,
  ...REGISTERS,
  ...IOCTLS,
  ...XEN,
  ...TIMER_MOVES,
];
