/** A deadline hours ahead: the product in KVM's conversion to nanoseconds wraps, and it fires early. */
import { formatNs } from '../../../replay/quantity.ts';
import { asked } from '../common.ts';
import { durations, number } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import {
  ABOUT_ADVANCE,
  armedBy,
  askFor,
  deadlineHost,
  deadlineParams,
  fire,
  guestCycles,
} from './guest.ts';

export const deadlineOverflow = scenario({
  name: 'deadline-overflow',
  title: 'a TSC deadline more than about two hours ahead fires early',
  source: '`start_sw_tscdeadline()`, arch/x86/kvm/lapic.c, v4.4 to v7.3',
  profile: 'v7.3',
  compare: ['v4.4', 'v4.9', 'v5.10', 'v6.1', 'v7.3'],
  switches: ['hvTimer'],
  about: [
    'The guest writes the TSC at which its timer shall fire. KVM sets a timer of the host by `(deadline − now) · 10^6 / kHz` ns, and the product wraps at 2^64: 18.4 · 10^12 cycles of the guest’s, 7,378.7 s at 2.5 GHz. What is left of a deadline farther ahead is its remainder, and the guest has an interrupt that many times 2 hours early. Linux looks at its clock and asks again; a guest that takes the interrupt for its time does not.',
    'VMX’s preemption timer counts cycles and has no such product, but its register has 32 bits of every 2^`--rate`th cycle, 55 s at 2.5 GHz and rate 5: what is farther ahead is set by software all the same. The two hosts differ in whether they have one; KVM uses it from v4.8 on (ce7a058a2117), while the vCPU is not halted.',
    ABOUT_ADVANCE,
  ],
  params: {
    ...deadlineParams('2500000'),
    ahead: durations('30s,3h', 'how far ahead each deadline is', {
      least: '1us',
      most: '3650d',
    }),
    rate: number('5', 'the preemption timer counts once in 2^this cycles', {
      least: '0',
      most: '31',
    }),
  },
  run(stage, params) {
    const hosts = { software: {}, preemption: { preemptionTimerRate: params.rate } };
    const timers = Object.entries(hosts).flatMap(([name, options]) => {
      const sim = stage.host(deadlineHost(params, options), name);
      const vm = sim.vm();
      vm.start(1, asked(params.guestKhz));
      sim.host.pass(10_000_000_000n);
      return params.ahead.map((ahead) => {
        const armed = armedBy(sim, askFor(vm, ahead));
        stage.tell(sim, `the guest asks for its timer in ${ahead} ns`);
        const early = -fire(sim, vm, armed);
        stage.tell(sim, `it fires ${early} ns early`);
        const wraps = (guestCycles(vm, ahead) * 1_000_000n) >> 64n;
        const by = armed?.byHardware === true ? 'preemption timer' : 'hrtimer';
        return { name, by, ahead, delayNs: armed?.delayNs ?? 0n, wraps, early };
      });
    });
    const { ahead, early } = timers[params.ahead.length - 1]!;
    return () => ({
      columns: ['host', 'set by', 'asked for (ns)', 'set for (ns)', 'wraps', 'early (ns)'],
      rows: timers.map((its): Cell[] => [
        its.name,
        its.by,
        its.ahead,
        its.delayNs,
        its.wraps,
        its.early,
      ]),
      verdict: `a deadline ${formatNs(ahead)} ahead fires ${formatNs(early)} early`,
    });
  },
});
