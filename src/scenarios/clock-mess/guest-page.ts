/** Patches 3 and 7: what a VMM needs to move a clock exactly, as a page and as a scaled TSC. */
import { KVM_CLOCK_REALTIME } from '../../clock/index.ts';
import { asS64, hvclockToHz, type PvclockReference, scaleTsc, timeScale } from '../../num/index.ts';
import { ioctl, resultOf } from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import type { Simulation } from '../simulation.ts';
import type { Here, History, Seen } from './history.ts';

const NSEC_PER_SEC = 1_000_000_000n;

type ClockPage = PvclockReference & { readonly pad?: number };

/** KVM_SET_CLOCK_GUEST. @returns 0 or minus errno */
function setClockGuest(vm: SimulatedVm, page: ClockPage): number {
  const { ret } = resultOf(ioctl(vm, 0, { type: 'KVM_SET_CLOCK_GUEST', ...page }));
  vm.enter(0);
  return ret;
}

/** KVM_GET_CLOCK_GUEST. @returns minus errno and no page, or 0 and the page */
function getClockGuest(vm: SimulatedVm): { readonly ret: number; readonly page?: ClockPage } {
  const result = resultOf(ioctl(vm, 0, { type: 'KVM_GET_CLOCK_GUEST' }));
  vm.enter(0);
  const { ret, tscTimestamp, systemTime, tscToSystemMul, tscShift } = result;
  if (tscTimestamp === undefined || systemTime === undefined) return { ret };
  if (tscToSystemMul === undefined || tscShift === undefined) return { ret };
  return { ret, page: { tscTimestamp, systemTime, tscToSystemMul, tscShift } };
}

/** A page like another one, of a TSC that is so many Hz faster. */
function fasterBy(page: ClockPage, hz: bigint): ClockPage {
  const { mul, shift } = timeScale(
    NSEC_PER_SEC,
    hvclockToHz(page.tscToSystemMul, page.tscShift) + hz,
  );
  return { ...page, tscToSystemMul: mul, tscShift: shift };
}

/** What KVM_SET_CLOCK_GUEST refuses, one page after another. */
function* refusals(sim: Simulation, vm: SimulatedVm, page: ClockPage): Generator<Seen> {
  const past = (name: string, its: ClockPage): Seen => [`… ${name}`, setClockGuest(vm, its)];
  yield past('with the multiplier 0', { ...page, tscToSystemMul: 0 });
  yield past('of a TSC 990 Hz faster', fasterBy(page, 990n));
  yield past('of a TSC 1010 Hz faster', fasterBy(page, 1010n));
  yield past('with padding that is not 0', { ...page, pad: 1 });
  yield past('with the shift 32', { ...page, tscShift: 32 });
  const ahead = vm.tsc(0) + BigInt(sim.world.host.tscKhz) * 1000n;
  yield past('of the future', { ...page, tscTimestamp: ahead });
  vm.writeMsr(0, 'MSR_KVM_SYSTEM_TIME', 0n);
  vm.kick();
  yield past('without masterclock', page);
  yield ['KVM_GET_CLOCK_GUEST without masterclock', getClockGuest(vm).ret];
}

/** The page that is asked for when there is none to be had: what the guest has. */
function pageHad(vm: SimulatedVm): ClockPage {
  const { pageTscTimestamp, pageSystemTime, pageMul, pageShift } = vm.kvm(0);
  return {
    tscTimestamp: pageTscTimestamp,
    systemTime: pageSystemTime,
    tscToSystemMul: pageMul,
    tscShift: pageShift,
  };
}

/** A VM is saved and another one on the same host gets its TSC and its clock. */
export const clockGuest: History = ({ params, host, tell }) => {
  const { uptime, tscKhz, guestKhz, pause } = params;
  const sim = host({ tscKhz });
  const [old, young] = [sim.vm(), sim.vm()];
  old.start(1, guestKhz);
  sim.host.pass(uptime);
  const { ret: got, page } = getClockGuest(old);
  const clock = resultOf(old.ioctl({ type: 'KVM_GET_CLOCK' }));
  tell(sim, `the clock is read as the guest’s page: ${got}`);
  sim.host.pass(pause);
  young.start(1, guestKhz);
  const { l1TscOffset: offset } = old.kvm(0);
  ioctl(young, 0, { type: 'KVM_SET_TSC_OFFSET', offset });
  young.enter(0);
  const set = setClockGuest(young, page ?? pageHad(old));
  if (set !== 0) fallBack(young, clock);
  young.kick();
  const error = asS64(young.kvmclock(0) - old.kvmclock(0));
  tell(sim, `another VM gets it: ${set}; its clock is off by ${error} ns`);
  return [
    ['KVM_GET_CLOCK_GUEST returns', got],
    ['KVM_SET_CLOCK_GUEST of that page returns', set],
    ['the new VM’s clock is off by (ns)', error],
    ...refusals(sim, young, page ?? pageHad(old)),
  ];
};

/** What the documentation has a VMM do where there is no other way: KVM_SET_CLOCK(REALTIME). */
function fallBack(
  vm: SimulatedVm,
  { clock = 0n, realtime = 0n }: ReturnType<typeof resultOf>,
): void {
  vm.ioctl({ type: 'KVM_SET_CLOCK', clock, flags: KVM_CLOCK_REALTIME, realtime });
}

/** A side of a migration: KVM_GET_CLOCK, the TSC's offset, and its scale where that can be read. */
function readSide(vm: SimulatedVm) {
  const { clock = 0n, hostTsc = 0n, realtime = 0n } = resultOf(vm.ioctl({ type: 'KVM_GET_CLOCK' }));
  const { offset = 0n } = resultOf(ioctl(vm, 0, { type: 'KVM_GET_TSC_OFFSET' }));
  const scale = resultOf(ioctl(vm, 0, { type: 'KVM_GET_TSC_SCALE' }));
  vm.enter(0);
  return { clock, hostTsc, realtime, offset, scale };
}

type Side = ReturnType<typeof readSide>;

/** The guest's TSC at the instant of KVM_GET_CLOCK, less its offset. */
const scaledTsc = ({ hostTsc, scale: { ratio = 0n, fracBits = 0 } }: Side): bigint =>
  scaleTsc(hostTsc, ratio, fracBits);

/** The offset that the series' documentation has a VMM compute. */
function documentedBySeries(source: Side, there: Side, khz: bigint): bigint {
  const tsc = scaledTsc(source) + source.offset;
  const passed = ((there.realtime - source.realtime) * khz) / 1_000_000n;
  return tsc + passed - scaledTsc(there);
}

/** The one of vcpu.rst up to v7.3, which knows of no scaling. */
function documentedBefore(source: Side, there: Side, khz: bigint): bigint {
  const passed = ((there.clock - source.clock) * khz) / 1_000_000n;
  return source.offset + passed + source.hostTsc - there.hostTsc;
}

/** A guest goes to a host of another frequency; its TSC goes on by the documentation. */
export const tscScale: History = (here: Here) => {
  const { uptime, tscKhz, guestKhz, destinationKhz, pause } = here.params;
  const [sim, other] = [
    here.host({ tscKhz }),
    here.host({ tscKhz: destinationKhz }, 'destination'),
  ];
  const [vm, young] = [sim.vm(), other.vm()];
  vm.start(1, guestKhz);
  sim.host.pass(uptime);
  const source = readSide(vm);
  here.tell(sim, `KVM_VCPU_TSC_SCALE returns ${source.scale.ret}`);
  sim.host.pass(pause);
  young.start(1, guestKhz);
  other.host.pass(sim.host.timeNs - other.host.timeNs);
  const { clock, realtime } = source;
  young.ioctl({ type: 'KVM_SET_CLOCK', clock, flags: KVM_CLOCK_REALTIME, realtime });
  young.kick();
  const there = readSide(young);
  const canScale = source.scale.ret === 0;
  const documented = canScale ? documentedBySeries : documentedBefore;
  const offset = BigInt.asUintN(64, documented(source, there, BigInt(guestKhz)));
  ioctl(young, 0, { type: 'KVM_SET_TSC_OFFSET', offset });
  young.enter(0);
  const error = asS64(young.tsc(0) - vm.tsc(0));
  here.tell(other, `at the destination its TSC is off by ${error} cycles`);
  return [
    ['KVM_GET_DEVICE_ATTR of KVM_VCPU_TSC_SCALE returns', source.scale.ret],
    ['tsc_ratio', source.scale.ratio ?? ''],
    ['tsc_frac_bits', source.scale.fracBits ?? ''],
    ['the TSC at the destination is off by (cycles)', error],
    ['in its own time (ns)', (error * 1_000_000n) / BigInt(guestKhz)],
    [
      'the pause less what CLOCK_REALTIME made of it (ns)',
      pause - (there.realtime - source.realtime),
    ],
  ];
};
