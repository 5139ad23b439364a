/** KVM_SET_CLOCK to a small value: a clock that is slightly negative is centuries in Hyper-V's page. */
import { formatNs } from '../../../replay/quantity.ts';
import { booted, tscKhz, uptime } from '../common.ts';
import { duration } from '../params.ts';
import { scenario } from '../scenario.ts';
import { setClock } from '../set-clock.ts';
import { pageTime, startHvGuest, TICK_NS } from './guest.ts';

export const hvSetClock = scenario({
  name: 'hv-set-clock',
  title: 'KVM_SET_CLOCK to 0 moves Hyper-V’s reference time by 584 years',
  source:
    '“KVM: x86: Prevent ‘hv_clock->system_time’ from going negative” (77fcbe823f00), Vitaly Kuznetsov, 2021',
  profile: 'v5.10',
  compare: ['v4.4', 'v4.9', 'v4.19', 'v5.10', 'v5.15', 'v7.3'],
  switches: ['setClockOrder', 'hvPage'],
  about: [
    'From v4.13 (0bc48bea36d1) to v5.11 KVM_SET_CLOCK takes a new reference and then sets the clock against what it reads a moment later: at the reference, its value is what was asked for less that moment. Where less was asked for than the moment lasted, as a VMM does that starts a clock at 0, `system_time` is slightly negative, modulo 2^64.',
    'A guest that reads kvmclock adds the cycles since the reference to it and wraps back: nothing to be seen. Hyper-V’s page is in units of 100 ns, and KVM divides `system_time` as an unsigned number: the page’s offset is 2^64 ns too large, 584.5 years. TIME_REF_COUNT goes by the page and agrees with it.',
    '77fcbe823f00 (v5.12) sets the clock against the reference itself. Up to v4.12 the reference is taken last, and the page has what was asked for. Before v4.9 there is no valid page.',
  ],
  params: {
    tscKhz: tscKhz(),
    uptime: uptime('1h'),
    clock: duration('0', 'what the clock is set to', { least: '0', most: '3650d' }),
    delay: duration('1us', 'time between the ioctl’s two readings of the TSC', {
      least: '0',
      most: '10ms',
    }),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz));
    const vm = startHvGuest(sim, 1);
    sim.host.pass(params.uptime);
    stage.tell(sim, `KVM_SET_CLOCK to ${params.clock} ns`);
    setClock(stage.profile, sim, vm, params.clock, params.delay);
    vm.kick();
    const { pageSystemTime } = vm.kvm(0);
    const should = params.clock + params.delay;
    const reads = {
      'reference TSC page': pageTime(sim, vm),
      TIME_REF_COUNT: vm.readMsr(0, 'HV_X64_MSR_TIME_REF_COUNT'),
      'kvmclock / 100': vm.kvmclock(0) / TICK_NS,
    };
    const [page] = Object.values(reads);
    const told = page === undefined ? 'is off' : `reads ${page}, ${formatNs(page * TICK_NS)}`;
    stage.tell(sim, `${params.delay} ns later the page ${told}`);
    return () => ({
      columns: ['clock', 'reads (100 ns)', 'off by (100 ns)', 'system_time (ns)'],
      rows: Object.entries(reads).map(([name, ticks]) => [
        name,
        ticks ?? 'off',
        ticks === undefined ? '' : ticks - should / TICK_NS,
        BigInt.asIntN(64, pageSystemTime),
      ]),
      verdict: `set to ${formatNs(params.clock)}, Hyper-V’s page ${told}`,
    });
  },
});
