/** A host sleeps and its TSC counts on: kvmclock follows the TSC, and the next reference the RTC. */
import { booted, tscKhz } from '../common.ts';
import { movedBy } from '../deeds.ts';
import { duration } from '../params.ts';
import { scenario } from '../scenario.ts';
import { jumpsOf } from './jumps.ts';

const VCPUS = [0, 1] as const;

export const suspendCounts = scenario({
  name: 'suspend-counts',
  title:
    'after a sleep that the TSC counted, the next reference moves the clock to what the RTC says',
  source: '“KVM: x86: switch KVMCLOCK base to monotonic raw clock”, Marcelo Tosatti, 2019',
  profile: 'v6.1',
  compare: ['v4.19', 'v5.10', 'v6.1', 'v6.8', 'v7.3'],
  switches: ['mclkRequestOnTrack', 'suspendStopsGuests'],
  about: [
    'A TSC that counts while the host sleeps was never behind what vCPUs last saw: KVM adjusts no offset, takes no reference, and the masterclock stays on. The guest’s clock goes on by its page and so by the TSC, as if nobody had slept; all that it is told is PVCLOCK_GUEST_STOPPED.',
    'The host’s clocks stood still meanwhile. When it wakes, CLOCK_BOOTTIME is put forward by what the persistent clock says, which many machines tell in whole seconds. The two differ by up to a second, either way, and the difference stays hidden until a new reference is taken: here when a vCPU is hot-added.',
    'From v6.8 on (c52ffadc65e2) a hot-added vCPU whose TSC matches takes no new reference: the difference waits for another one.',
  ],
  params: {
    uptime: duration('1d', 'how long the guest has run before', { least: '1ms', most: '3650d' }),
    tscKhz: tscKhz(),
    asleep: duration('10s', 'what the TSC counts while the host sleeps', {
      least: '1us',
      most: '365d',
    }),
    rtc: duration('9600ms', 'what the persistent clock says of it', { least: '1us', most: '365d' }),
    awake: duration('1s', 'time from there to the next reference', { least: '0', most: '365d' }),
  },
  run(stage, { uptime: upNs, tscKhz: khz, asleep, rtc, awake }) {
    const sim = stage.host(booted(khz));
    const vm = sim.vm();
    vm.start(VCPUS.length);
    sim.host.pass(upNs);
    for (const vcpu of VCPUS) vm.leave(vcpu);
    sim.host.sleep(rtc, 'counts', asleep);
    const atResume = VCPUS.map((vcpu) => movedBy(vm, vcpu, () => vm.enter(vcpu)));
    stage.tell(sim, `the host has slept ${asleep} ns by its TSC and ${rtc} ns by its RTC`);
    sim.host.pass(awake);
    vm.perform({ type: 'hotplug', vcpu: VCPUS.length, cpu: VCPUS.length });
    vm.enter(VCPUS.length);
    vm.kick();
    stage.tell(sim, 'vCPU 2 is hot-added');
    return ([replayed]) => ({
      columns: ['vCPU', 'at resume (ns)', 'jump (ns)', 'RTC − TSC (ns)', 'rest (ns)'],
      rows: VCPUS.map((vcpu) => {
        const jump = jumpsOf(replayed!.findings, vcpu);
        return [vcpu, atResume[vcpu] ?? 0n, jump, rtc - asleep, jump - (rtc - asleep)];
      }),
    });
  },
});
