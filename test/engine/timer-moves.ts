/** What can happen to the timers, runstates and nested guests of a generated history. */
import { type Input, MSRS } from '../../events/index.ts';
import { readL1Tsc, STIMERS } from '../../src/clock/index.ts';
import { asU64, VMX_TSC_FRAC_BITS } from '../../src/num/index.ts';
import type { Here, LiveVcpu } from './here.ts';
import { baseNow, type Move } from './host-moves.ts';
import { type Names, vcpuMove, vmMove } from './moves.ts';

const NONE = (1n << 64n) - 1n;

/** The VM's clock, nearly. */
const clockNow = (here: Here, { vm }: LiveVcpu): bigint =>
  asU64(baseNow(here) + here.world.vms.get(vm)!.cell.state.kvmclockOffset);

/** When a timer shall fire, by the VM's clock. */
const timeout = (here: Here, vcpu: LiveVcpu): bigint => {
  const now = clockNow(here, vcpu);
  return here.dice.of([
    asU64(now + 1_000_000_000_000n),
    asU64(now - 1_000_000n),
    0n,
    1n,
    asU64(now + (1n << 51n)),
    1n << 63n,
  ]);
};

/** Times of a runstate that add up, most of the time, and lie in the past. */
function runstate(here: Here, vcpu: LiveVcpu, most: bigint) {
  const part = (): bigint => here.dice.wide(most / 8n);
  const times = { runningNs: part(), runnableNs: part(), blockedNs: part(), offlineNs: part() };
  const sum = Object.values(times).reduce((a, b) => a + b, 0n);
  const entryTimeNs = here.dice.oneIn(8) ? clockNow(here, vcpu) + 1n : asU64(sum);
  return { ...times, entryTimeNs };
}

const HYPERCALLS = [
  { nr: 15 },
  { nr: 24, cmd: 8, flags: 0 },
  { nr: 24, cmd: 8, flags: 1 },
  { nr: 24, cmd: 9 },
  { nr: 24, cmd: 7 },
  { nr: 24, cmd: 8, vcpuId: 7 },
  { nr: 17 },
] as const;

function nestedEntry(here: Here, names: Names): Input {
  const { host } = here.world;
  const base = {
    type: 'kvm_nested_vmenter',
    ...names,
    tscOffset: here.dice.of([0n, asU64(-33_125_236_320_908n), here.dice.wide(1n << 40n)]),
  } as const;
  if (host.tscScalingRatioFracBits !== VMX_TSC_FRAC_BITS) {
    return { ...base, eventInj: here.dice.of([0, 0x8000_0302, 0x8000_030d, 0x8000_0522]) };
  }
  const multiplier = here.dice.of([undefined, 0n, 4n << 48n, (1n << 48n) + 12_345n]);
  return {
    ...base,
    ...(multiplier === undefined ? {} : { tscMultiplier: multiplier }),
    noTscOffsetting: here.dice.oneIn(6),
    badGuestState: here.dice.oneIn(6),
  };
}

/** Values for the MSRs of synthetic timers: enabled or not, periodic or not, direct, with a SINT. */
const stimerConfig = ({ dice }: Here): bigint =>
  dice.of([0n, 0x20001n, 0x20003n, 0x20008n, 0x1001n, 0x1n, 0x20009n]);
const stimerCount = (here: Here, vcpu: LiveVcpu): bigint =>
  here.dice.of([0n, 10_000n, clockNow(here, vcpu) / 100n + 1_000_000n, 1n, 50_000_000n]);

/** What the MSRs of this file are written with. */
export const TIMER_MSRS: Readonly<Record<number, (here: Here, vcpu: LiveVcpu) => bigint>> = {
  ...Object.fromEntries(
    Array.from({ length: STIMERS }, (_, n) => [
      [MSRS.HV_X64_MSR_STIMER0_CONFIG + 2 * n, stimerConfig],
      [MSRS.HV_X64_MSR_STIMER0_COUNT + 2 * n, stimerCount],
    ]).flat(),
  ),
  [MSRS.HV_X64_MSR_TSC_EMULATION_STATUS]: (h) => BigInt(h.dice.below(2)),
  [MSRS.HV_X64_MSR_TSC_INVARIANT_CONTROL]: (h) => BigInt(h.dice.below(3)),
  [MSRS.MSR_AMD64_TSC_RATIO]: (h) => h.dice.of([0n, 1n << 32n, 4n << 32n, 1n << 40n, 3n << 31n]),
};

/** A deadline: near, far, where the product wraps, or none. */
export const deadline = (here: Here, { cell }: LiveVcpu): bigint => {
  const now = readL1Tsc(cell.state, here.world.host, here.tsc);
  return here.dice.of([0n, asU64(now + 1_000_000n), asU64(now + (1n << 35n)), 1n << 60n, 1n]);
};

/** A timer may fire wherever its vCPU is. */
const fires = (make: (names: Names, vcpu: LiveVcpu) => Input | undefined): readonly Move[] =>
  (['unloaded', 'loaded', 'guest'] as const).map((run) =>
    vcpuMove(2, run, (_here, names, vcpu) => make(names, vcpu)),
  );

export const TIMER_MOVES: readonly Move[] = [
  vmMove(1, (here, vm) => ({
    type: 'KVM_XEN_SET_LONG_MODE',
    vm: vm.id,
    tsc: here.tsc,
    longMode: here.dice.oneIn(2),
  })),
  vcpuMove(3, 'loaded', (here, names) => ({
    type: 'KVM_XEN_SET_RUNSTATE_ADDR',
    ...names,
    gpa: here.dice.of([0xb000n, 0xb000n, NONE]),
  })),
  vcpuMove(4, 'loaded', (here, names) => ({
    type: 'KVM_XEN_SET_RUNSTATE_CURRENT',
    ...names,
    state: BigInt(here.dice.below(5)),
    readings: { run_delay: here.runDelay },
  })),
  vcpuMove(3, 'loaded', (here, names, vcpu) => ({
    type: 'KVM_XEN_SET_RUNSTATE_DATA',
    ...names,
    state: BigInt(here.dice.below(5)),
    ...runstate(here, vcpu, clockNow(here, vcpu)),
    readings: { run_delay: here.runDelay },
  })),
  vcpuMove(3, 'loaded', (here, names, vcpu) => ({
    type: 'KVM_XEN_SET_RUNSTATE_ADJUST',
    ...names,
    state: here.dice.of([0n, 1n, 2n, 3n, NONE, NONE]),
    ...runstate(here, vcpu, here.dice.of([0n, 0n, 10_000_000n])),
    readings: { run_delay: here.runDelay },
  })),
  vcpuMove(5, 'loaded', (here, names, vcpu) => ({
    type: 'KVM_XEN_SET_TIMER',
    ...names,
    port: here.dice.of([0, 5, 5, 5]),
    expiresNs: timeout(here, vcpu),
  })),
  vcpuMove(2, 'loaded', (here, names) => ({
    type: 'KVM_XEN_VCPU_GET_ATTR',
    ...names,
    attr: here.dice.below(9),
  })),
  vcpuMove(5, 'loaded', (here, names, vcpu) => ({
    type: 'xen_hypercall',
    ...names,
    ...here.dice.of(HYPERCALLS),
    timeoutNs: timeout(here, vcpu),
  })),
  vcpuMove(1, 'loaded', (here, names) => ({
    type: 'KVM_SET_CPUID2',
    ...names,
    mul: here.dice.u32(),
    shift: here.dice.below(3) - 2,
    khz: 2_000_000,
  })),
  vcpuMove(2, 'loaded', (here, names) => ({
    type: 'cpuid',
    ...names,
    subleaf: here.dice.below(3),
  })),
  vcpuMove(6, 'loaded', (here, names, { cell }) =>
    cell.state.level === 'l2' ? { type: 'kvm_nested_vmexit', ...names } : nestedEntry(here, names),
  ),
  vcpuMove(2, 'guest', (here, names) => ({
    type: 'hv_message_slot',
    ...names,
    timer: here.dice.below(STIMERS),
    busy: here.dice.oneIn(2),
  })),
  ...fires((names, { cell }) =>
    cell.state.deadlineTimer === 'off' ? undefined : { type: 'tsc_deadline', ...names },
  ),
  ...fires((names, { cell }) =>
    cell.state.xenTimer === 'off' ? undefined : { type: 'xen_timer', ...names },
  ),
  ...fires((names, { cell }) => {
    const timer = [0, 1, 2, 3].find((n) => (cell.state.stimerArmed & (1 << n)) !== 0);
    return timer === undefined ? undefined : { type: 'kvm_hv_stimer_callback', ...names, timer };
  }),
];
