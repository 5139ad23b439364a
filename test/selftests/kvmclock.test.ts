/**
 * A guest's kvmclock never goes back when it moves between vCPUs, and its wall clock is right.
 *
 * What kvm-unit-tests' `kvmclock_test` checks (`10000000 date`), with the guest that the project
 * models: pages arrive as bytes. With the masterclock it holds in every kernel without the guest's
 * clamp. Without it (here: a clocksource that is not the TSC) pages may differ by what lies between
 * the two reads each is made of, and only the clamp keeps time from going back.
 */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { Guest } from '../../src/engine/index.ts';
import { PROFILES, type ProfileId } from '../../src/profiles/index.ts';
import { KERNELS, pageGpa, Rig } from './rig.ts';

const SECOND = 1_000_000_000n;
const EPOCH = 1_700_000_000n * SECOND;
const WALL_CLOCK = 0x30_0000n;
const VCPUS = 4;
const ROUNDS = 30;

/** A guest on a rig, its memory up to date. */
class Booted {
  readonly rig: Rig;
  readonly guest: Guest;
  #seen = 0;

  constructor(id: ProfileId, cpuidStableBit: boolean, vclockMode = 1) {
    this.rig = new Rig(id, { tscKhz: 2_893_299, offsReal: EPOCH, vclockMode });
    this.guest = new Guest({
      cpuidStableBit,
      clearsStopped: (vcpu) => this.rig.on(vcpu, 'guest_clears_stopped', {}),
    });
    this.rig.createVm(VCPUS);
    for (const vcpu of this.rig.vcpuIds) {
      const { index, data } = this.guest.register(vcpu, pageGpa(vcpu));
      this.rig.wrmsr(vcpu, index, data);
    }
    this.rig.settle();
    this.catchUp();
  }

  catchUp(): void {
    for (const seen of this.rig.observed.slice(this.#seen)) this.guest.observe(seen);
    this.#seen = this.rig.observed.length;
  }

  read(vcpu: number): bigint {
    this.catchUp();
    return this.guest.read(vcpu, this.rig.rdtsc(vcpu))!;
  }

  /** Rounds over all vCPUs with everything that renews pages; how many reads went back. */
  warps(): number {
    let last = 0n;
    let warps = 0;
    for (let round = 0; round < ROUNDS; round++) {
      for (const vcpu of this.rig.vcpuIds) {
        const now = this.read(vcpu);
        if (now < last) warps += 1;
        last = now;
      }
      this.#renew(round);
    }
    return warps;
  }

  /** A vCPU moves to another CPU, or the VMM touches its clock, and time passes. */
  #renew(round: number): void {
    const vcpu = round % VCPUS;
    this.rig.leave(vcpu);
    this.rig.on(vcpu, 'vcpu_load', { cpu: (vcpu + round) % VCPUS });
    this.rig.on(vcpu, 'vcpu_put', {});
    if (round % 7 === 0) this.rig.ioctl(vcpu, 'KVM_KVMCLOCK_CTRL', {});
    this.rig.wait(BigInt(round) * 1_234_567n);
    this.rig.enterAll();
  }
}

describe.each(KERNELS)('%s', (id) => {
  test('no warps with the masterclock, whether the guest clamps or not', () => {
    for (const stable of [true, false]) {
      const booted = new Booted(id, stable);
      expect(booted.rig.vm.masterclock).toBe('on');
      expect(booted.warps()).toBe(0);
      expect(booted.guest.state.trust).toBe(stable ? 'stable' : 'clamped');
      expect(booted.guest.state.clamps).toBe(0);
      // The VMM told of a pause now and then; each time the guest noticed once.
      expect(booted.guest.state.touches).toBe(Math.ceil(ROUNDS / 7));
      const flags = PROFILES[id].switches.countsFromZero ? 5 : 1;
      for (const vcpu of booted.rig.vcpuIds) expect(booted.rig.page(vcpu).flags).toBe(flags);
    }
  });

  test('no warps without the masterclock', () => {
    const booted = new Booted(id, true, 0);
    expect(booted.rig.vm.masterclock).toBe('off.hostClock');
    expect(booted.warps()).toBe(0);
    expect(booted.guest.state.trust).toBe('clamped');
  });

  test('the wall clock tells the host’s date to the microsecond', () => {
    const { rig, guest } = new Booted(id, true);
    rig.wait(100n * SECOND);
    const { index, data } = guest.askWallClock(WALL_CLOCK);
    expect(index).toBe(MSRS.MSR_KVM_WALL_CLOCK_NEW);
    rig.wrmsr(0, index, data);
    for (const seen of rig.observed) guest.observe(seen);
    const host = EPOCH + (rig.tsc * 1_000_000n) / 2_893_299n;
    const off = guest.wallClock(0, rig.rdtsc(0))! - host;
    // A host's clocks count in units that are 40 ppb off this frequency: 4 µs in 100 s.
    expect(off > -5000n && off < 5000n, String(off)).toBe(true);
  });

  test('sched_clock starts at 0 and counts', () => {
    const booted = new Booted(id, true);
    booted.rig.wait(5n * SECOND);
    booted.guest.startSchedClock(0, booted.rig.rdtsc(0));
    const { schedClock } = booted.guest.state;
    booted.rig.wait(SECOND);
    const second = booted.guest.schedClock(1, booted.rig.rdtsc(1))!;
    expect(schedClock).toBe('stable');
    expect(second >= SECOND && second < SECOND + 1000n, String(second)).toBe(true);
  });
});

test('pages made of reads that lie apart go back: only the clamp hides it', () => {
  const { rig, guest } = new Booted('v7.3', true, 0);
  const tsc = rig.tsc + 10_000n;
  const { base, behind } = { base: 10n * SECOND, behind: 10n * SECOND - 40_000n };
  for (const [vcpu, ns] of [
    [0, base],
    [1, behind],
  ] as const) {
    rig.ioctl(vcpu, 'KVM_KVMCLOCK_CTRL', {});
    rig.on(vcpu, 'vcpu_load', { cpu: vcpu });
    rig.tsc = tsc + BigInt(vcpu) * 100_000n;
    rig.on(vcpu, 'kvm_entry', { readings: { 'update.tsc': tsc, 'update.ns': ns } });
  }
  for (const seen of rig.observed) guest.observe(seen);
  const at = rig.tsc;
  expect(rig.kvmclockAt(0, at) - rig.kvmclockAt(1, at)).toBe(40_000n);
  const first = guest.read(0, rig.tscAt(0, at))!;
  expect(guest.read(1, rig.tscAt(1, at))).toBe(first);
  expect(guest.state.clamps).toBe(1);
});
