/** One history in which everything that the invariants speak of happens. */
import { MSRS } from '../../events/index.ts';
import { Checker, type Violation } from '../../src/check/index.ts';
import type { Stepper } from '../../src/engine/index.ts';
import { PLAIN_HOST, Teller, type Told } from '../engine/directed.ts';

const set = (index: number, data: bigint): Told => ({ type: 'wrmsr', index, data });
const byHost = (index: number, data: bigint): Told => ({ type: 'KVM_SET_MSRS', index, data });

const SECOND = 1_000_000_000n;

/** Two vCPUs, each with a page; steal time, wall clock and Hyper-V's page on vCPU 0. */
function bootGuest(t: Teller): void {
  t.boot(2);
  t.run(
    0,
    set(MSRS.MSR_KVM_SYSTEM_TIME_NEW, 0x2001n),
    set(MSRS.MSR_KVM_STEAL_TIME, 0x6001n),
    set(MSRS.MSR_KVM_WALL_CLOCK_NEW, 0x5000n),
    set(MSRS.HV_X64_MSR_REFERENCE_TSC, 0x7001n),
  );
  t.run(1, set(MSRS.MSR_KVM_SYSTEM_TIME_NEW, 0x3001n));
  runBoth(t);
}

/** Both run, and all pages are brought up to date where that takes 100 ms. */
function runBoth(t: Teller): void {
  if (t.world.vms.get(0)!.cell.state.updateWork === 'queued') {
    t.wait(SECOND / 10n).tell({ type: 'kvmclock_update_work' });
  }
  t.run(0);
  t.run(1);
}

/** The clock is read, and read as Hyper-V's, and set. */
function useClock(t: Teller): void {
  t.wait(10n * SECOND).tell({ type: 'KVM_GET_CLOCK' });
  t.run(0, { type: 'rdmsr', index: MSRS.HV_X64_MSR_TIME_REF_COUNT });
  t.tell({ type: 'KVM_SET_CLOCK', clock: 0n, flags: 0 });
  runBoth(t);
  t.wait(SECOND);
  // A new reference, for Hyper-V's page.
  t.run(0, set(MSRS.HV_X64_MSR_REFERENCE_TSC, 0x7001n));
  runBoth(t);
  if (t.world.switches.setClockFlags !== 0) {
    const realtime = 1_700_000_000n * SECOND;
    t.tell({ type: 'KVM_SET_CLOCK', clock: SECOND, flags: 4, realtime });
  }
  runBoth(t);
  t.run(0, set(MSRS.HV_X64_MSR_TSC_EMULATION_CONTROL, 1n));
  t.tell({ type: 'KVM_SET_CLOCK', clock: SECOND, flags: 0 }, { type: 'KVM_GET_CLOCK' });
  runBoth(t);
}

/** The clock is set by vCPU 0's own page, where there is such a call. */
function useGuestClock(t: Teller): void {
  if (t.world.switches.clockGuestIoctls === 'none') return;
  t.wait(SECOND).run(0, { type: 'KVM_GET_CLOCK_GUEST' });
  const { pvTscTimestamp, pvSystemTime, pvclockTscMul, pvclockTscShift } = t.world.vms
    .get(0)!
    .vcpus.get(0)!.state;
  t.run(0, {
    type: 'KVM_SET_CLOCK_GUEST',
    tscTimestamp: pvTscTimestamp,
    systemTime: pvSystemTime,
    tscToSystemMul: pvclockTscMul,
    tscShift: pvclockTscShift,
  });
  runBoth(t);
}

/** TSCs are written, until they do not agree and the masterclock is gone. */
function moveTscs(t: Teller): void {
  t.run(
    1,
    { type: 'KVM_SET_TSC_KHZ', khz: 1_999_999 },
    { type: 'KVM_SET_TSC_KHZ', khz: 1_200_000 },
  );
  t.run(1, { type: 'KVM_SET_TSC_KHZ', khz: 2_000_000 });
  t.run(0, set(MSRS.IA32_TSC, 1n << 40n));
  t.run(0, set(MSRS.IA32_TSC_ADJUST, 12345n));
  t.run(0, byHost(MSRS.IA32_TSC, 1n << 41n));
  runBoth(t);
  elsewhere(t);
}

/** On other CPUs, where a load without masterclock asks for all pages. */
function elsewhere(t: Teller): void {
  for (const vcpu of [0, 1]) {
    t.wait(SECOND).tell(
      { type: 'vcpu_load', vcpu, cpu: (t.world.vms.get(0)!.vcpus.get(vcpu)!.state.cpu + 2) % 4 },
      { type: 'kvm_entry', vcpu },
      { type: 'kvm_exit', vcpu },
      { type: 'vcpu_put', vcpu },
    );
  }
}

/** The masterclock is lost under any kernel: TSCs that differ need not be the end of it. */
function leaveTsc(t: Teller): void {
  t.tell({ type: 'change_clocksource', vclockMode: 0 });
  if (t.world.host.gtodWorkQueued) t.tell({ type: 'pvclock_gtod_work' });
  runBoth(t);
  elsewhere(t);
}

/** Tells it all. */
export function tellStory(t: Teller): void {
  bootGuest(t);
  useClock(t);
  useGuestClock(t);
  moveTscs(t);
  leaveTsc(t);
}

/** Tells it all to a world, and what the invariants say of it. */
export function tellAll(profileId: string, stepper?: Stepper): Violation[] {
  const t = new Teller(profileId, PLAIN_HOST, stepper);
  const checker = new Checker(t.world);
  const violations: Violation[] = [];
  t.heard = (input, dispatched) => {
    violations.push(...checker.after(input, dispatched));
  };
  tellStory(t);
  return violations;
}
