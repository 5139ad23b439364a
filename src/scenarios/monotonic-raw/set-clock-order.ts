/** KVM_SET_CLOCK before and after 0bc48bea36d1: against which reference is "now" computed? */
import { booted, ntpPpm, tscKhz, uptime } from '../common.ts';
import { duration } from '../params.ts';
import { scenario } from '../scenario.ts';
import { setClock } from '../set-clock.ts';
import { partsPerTrillion } from './jumps.ts';

export const setClockOrder = scenario({
  name: 'set-clock-order',
  title: 'KVM_SET_CLOCK to what the guest reads moves its clock, unless the reference is new',
  source: '“KVM: x86: switch KVMCLOCK base to monotonic raw clock”, Marcelo Tosatti, 2019',
  profile: 'v4.9',
  compare: ['v4.4', 'v4.9', 'v4.19', 'v5.10', 'v5.15'],
  switches: ['setClockOrder', 'masterBase'],
  about: [
    'The VMM sets the clock to what the guest reads at that instant: nothing should move. Under `v4.9` KVM computes what the clock is now from the old reference, with the TSC alone, and then takes a new one from the clock that NTP steers: the guest’s clock moves by `uptime · ntp-ppm`.',
    '0bc48bea36d1 (v4.13) takes the new reference first. Then both ends are of the same reference and no more than the time between the two readings of the TSC inside the ioctl, `--delay`, is lost: the clock is late by it. 77fcbe823f00 (v5.12) measures against the reference itself and is exact.',
  ],
  params: {
    uptime: uptime(),
    ntpPpm: ntpPpm(),
    tscKhz: tscKhz(),
    delay: duration('1us', 'time between the two readings of the TSC', {
      least: '0',
      most: '10ms',
    }),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz));
    const { host } = sim;
    const vm = sim.vm();
    vm.start(1);
    host.steer(params.ntpPpm);
    host.pass(params.uptime);
    const asked = vm.kvmclock(0);
    stage.tell(sim, `KVM_SET_CLOCK to the ${asked} ns that the guest reads`);
    setClock(stage.profile, sim, vm, asked, params.delay);
    const ideal = vm.kvmclock(0);
    vm.kick();
    const reads = vm.kvmclock(0);
    stage.tell(sim, `${params.delay} ns later the guest reads ${reads} ns`);
    return () => ({
      columns: [
        'asked for (ns)',
        'should read (ns)',
        'reads (ns)',
        'off by (ns)',
        'uptime × NTP (ns)',
      ],
      rows: [[asked, ideal, reads, reads - ideal, partsPerTrillion(params.uptime, params.ntpPpm)]],
    });
  },
});
