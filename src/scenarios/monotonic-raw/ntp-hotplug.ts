/** Marcelo Tosatti's log: a hot-added vCPU moves the guest's clock by what NTP has steered the host's. */
import { booted, copied, kvmKhz, ntpPpm, tscKhz, uptime } from '../common.ts';
import { duration } from '../params.ts';
import { scenario } from '../scenario.ts';
import { jumpsOf, partsPerTrillion } from './jumps.ts';

/** How long Linux waits for a CPU that it brings up, ns (`do_boot_cpu()`, 10 s in jiffies). */
const BRING_UP_NS = 10_000_000_000n;

export const ntpHotplug = scenario({
  name: 'ntp-hotplug',
  title: 'a hot-added vCPU moves the guest’s clock by what NTP has steered the host’s',
  source: '“KVM: x86: switch KVMCLOCK base to monotonic raw clock”, Marcelo Tosatti, 2019',
  profile: 'v4.19',
  compare: ['v4.19', 'v5.10', 'v6.1', 'v6.8'],
  switches: ['masterBase', 'mclkRequestOnTrack'],
  about: [
    'Until v5.4 the masterclock’s reference is taken from the host’s CLOCK_BOOTTIME, which NTP steers, while the guest extrapolates with the TSC. The two part by `uptime · ntp-ppm`, unseen until a new reference is taken. A hot-added vCPU’s first entry takes one: the guest’s clock moves at once, here by +51.84 s.',
    'The guest that brings this CPU up waits for it in its own time: it looks at its clock, starts the CPU and gives it 10 s. The clock moves while it waits, the 10 s are over at the next look, and the bring-up fails although the CPU came up in milliseconds.',
    '53fafdbb8b21 (v5.5) took the reference off the steered clock: what remains is the rounding of MONOTONIC_RAW against the page, none at 2 GHz. From v6.8 on (c52ffadc65e2) a vCPU whose TSC matches takes no new reference at all.',
  ],
  params: {
    uptime: uptime(),
    ntpPpm: ntpPpm(),
    tscKhz: tscKhz(),
    kvmKhz: kvmKhz(),
    answer: duration('5ms', 'how long the new CPU takes to answer', { least: '0', most: '9s' }),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz, copied(params.kvmKhz)));
    const { host } = sim;
    const vm = sim.vm();
    vm.start(2);
    host.steer(params.ntpPpm);
    stage.tell(sim, 'a guest with vCPUs 0 and 1 has booted; NTP steers the host’s clock');
    host.pass(params.uptime);
    const before = vm.kvmclock(0);
    stage.tell(sim, `vCPU 2 is hot-added; the guest reads ${before} ns and starts it`);
    vm.perform({ type: 'hotplug', vcpu: 2, cpu: 2 });
    vm.enter(2);
    vm.kick();
    host.pass(params.answer);
    vm.registerKvmclock(2);
    const waited = vm.kvmclock(0) - before;
    const failed = waited >= BRING_UP_NS;
    const seen = `vCPU 0 looks at its clock ${waited} ns later by it`;
    stage.tell(
      sim,
      failed
        ? `vCPU 2 has answered, but ${seen}: 10 s are over, the CPU failed`
        : `vCPU 2 has answered, ${seen}: the CPU is up`,
    );
    return ([replayed]) => {
      return {
        columns: ['vCPU', 'jump (ns)', 'uptime × NTP (ns)', 'waited (ns)', 'bring-up'],
        rows: [0, 1].map((id) => [
          id,
          jumpsOf(replayed!.findings, id),
          partsPerTrillion(params.uptime, params.ntpPpm),
          id === 0 ? waited : '',
          id === 0 ? (failed ? 'fails' : 'succeeds') : '',
        ]),
      };
    };
  },
});
