import { expect, test } from 'vitest';
import { guestMachine, vmmMachine, vmmVcpuMachine } from '../../machines/index.ts';
import {
  Guest,
  makeHost,
  type Plan,
  Vmm,
  type VmmPolicyId,
  World,
} from '../../src/engine/index.ts';
import { encodePvclockPage, type PvclockPage } from '../../src/num/index.ts';
import { PROFILES, type ProfileId } from '../../src/profiles/index.ts';
import { Taken, transitionsOf } from './transitions.ts';

const GPA = 0x1000n;

const untaken = (taken: Taken, ...machines: Parameters<typeof transitionsOf>[0][]) =>
  machines.flatMap(transitionsOf).filter((name) => !taken.names.has(name));

function write(guest: Guest, page: Partial<PvclockPage>): void {
  const bytes = new Uint8Array(32);
  const blank = { tscTimestamp: 0n, systemTime: 0n, tscToSystemMul: 1 << 30, tscShift: 0 };
  encodePvclockPage({ ...blank, version: 2, flags: 1, ...page }, bytes);
  guest.observe({ type: 'guest_write', vm: 0, gpa: GPA, bytes, what: 'pvclock' });
}

/** A guest boots, reads, is stopped, suspends and gives up its clock. */
function guestStory(taken: Taken, flags: number): void {
  const guest = new Guest({ inspect: taken.inspect, stealResync: flags === 0 });
  guest.enableSteal(0, 0x3000n);
  const record = new Uint8Array(48).fill(2);
  guest.observe({ type: 'guest_write', vm: 0, gpa: 0x3000n, bytes: record, what: 'steal_time' });
  guest.tick(0, 1n);
  guest.register(0, GPA);
  write(guest, { flags });
  guest.deriveTscKhz(0);
  guest.startSchedClock(0, 10n);
  guest.begin(0);
  guest.compute(20n);
  write(guest, { flags, version: 4 });
  guest.finish();
  guest.compute(20n);
  guest.finish();
  guest.wallClock(0, 30n);
  write(guest, { flags: flags | 2, version: 6 });
  guest.watchdog(0);
  write(guest, { flags: flags | 2, version: 8 });
  guest.read(0, 40n);
  write(guest, { flags: flags | 2, version: 10 });
  guest.watchdog(0);
  write(guest, { flags: flags | 2, version: 12 });
  guest.read(0, 50n);
  guest.watchdog(0);
  guest.suspend();
  guest.resume();
  guest.disable();
}

/** Guests bring up a CPU whose TSC is behind, and one whose is not. */
function bringUpStory(taken: Taken): void {
  for (const options of [{}, { tscReliable: true }, { cpuidTscAdjust: false }]) {
    const guest = new Guest({ inspect: taken.inspect, ...options });
    guest.bringUp(1, 1n, 2n);
    guest.bringUp(2, 2n, 1n);
  }
}

test('every transition of the guest is taken', () => {
  const taken = new Taken();
  guestStory(taken, 0);
  guestStory(taken, 1);
  bringUpStory(taken);
  expect(untaken(taken, guestMachine)).toEqual([]);
});

/** A VMM does everything, and its VM moves to another host. */
function vmmStory(
  taken: Taken,
  id: ProfileId,
  source: VmmPolicyId,
  destination: VmmPolicyId,
): void {
  const make = (policy: VmmPolicyId) => {
    const world = new World({
      switches: PROFILES[id].switches,
      host: makeHost({ tscKhz: 2_500_000 }),
    });
    const vmm = new Vmm({ world, vm: 0, policy, inspect: taken.inspect });
    const plan = (): Plan => ({ tsc: world.lastTsc + 1000n, step: 1000n });
    return { world, vmm, plan };
  };
  const { vmm, plan, world } = make(source);
  vmm.perform({ type: 'launch' }, plan());
  vmm.perform({ type: 'hotplug', vcpu: 0, cpu: 0 }, plan());
  vmm.perform({ type: 'hotplug', vcpu: 1, cpu: 1 }, plan());
  vmm.perform({ type: 'resume' }, plan());
  const enable = { index: 0x4b564d01, data: GPA | 1n };
  for (const deed of [
    { type: 'vcpu_load', cpu: 0 },
    { type: 'wrmsr', ...enable },
    { type: 'kvm_entry' },
  ] as const) {
    world.dispatch({ ...deed, vm: 0, vcpu: 0, tsc: plan().tsc });
  }
  vmm.perform({ type: 'unplug', vcpu: 1 }, plan());
  vmm.perform({ type: 'hotplug', vcpu: 1, cpu: 2 }, plan());
  vmm.perform({ type: 'snapshot' }, plan());
  vmm.perform({ type: 'pause' }, plan());
  vmm.perform({ type: 'resume' }, plan());
  vmm.perform({ type: 'pause' }, plan());
  vmm.perform({ type: 'snapshot' }, plan());
  vmm.perform({ type: 'unplug', vcpu: 1 }, plan());
  const { saved } = vmm.perform({ type: 'migration', incoming: false }, plan());
  vmm.perform({ type: 'resume' }, plan());

  const there = make(destination);
  there.vmm.perform({ type: 'launch' }, there.plan());
  there.vmm.receive(saved!);
  there.vmm.perform({ type: 'migration', incoming: true }, there.plan());
  there.vmm.perform({ type: 'resume' }, there.plan());
}

test('every transition of the VMM and its vCPUs is taken', () => {
  const taken = new Taken();
  vmmStory(taken, 'v6.8', 'qemu', 'qemu');
  vmmStory(taken, 'v4.4', 'qemu', 'plain');
  vmmStory(taken, 'v6.8', 'cloud-hypervisor', 'cloud-hypervisor');
  expect(untaken(taken, vmmMachine, vmmVcpuMachine)).toEqual([]);
});
