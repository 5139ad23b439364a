/** A TSC that moves while its deadline timer runs: which kind of timer follows. */
import { formatNs, formatSignedNs } from '../../../replay/quantity.ts';
import { asked } from '../common.ts';
import { duration } from '../params.ts';
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

/** Which host CPU the vCPU goes on. */
const ELSEWHERE = 3;

export const deadlineOffset = scenario({
  name: 'deadline-offset',
  title: 'a running TSC deadline timer does not follow the guest’s TSC',
  source:
    '`start_sw_tscdeadline()` (v4.4 to v7.3) and `kvm_lapic_restart_hv_timer()` (its older names from v4.8 on), arch/x86/kvm/lapic.c',
  profile: 'v7.3',
  compare: ['v4.4', 'v4.9', 'v5.10', 'v6.1', 'v7.3'],
  switches: ['hvTimer'],
  about: [
    'The distance to a deadline is turned into host time once, when the guest writes it. A TSC offset that changes afterwards (here the guest adds to its TSC_ADJUST) moves the guest’s TSC and not the timer: it fires by as much too late, or too early, in the guest’s time.',
    'When the vCPU is then loaded on another host CPU, an hrtimer moves there as it is; VMX’s preemption timer is reckoned anew from the deadline and the TSC, and is right again. KVM uses one from v4.8 on (ce7a058a2117), while the vCPU is not halted.',
    ABOUT_ADVANCE,
  ],
  params: {
    ...deadlineParams(),
    uptime: duration('1min', 'how long the guest has run', { least: '30s', most: '3650d' }),
    ahead: duration('1s', 'how far ahead the deadline is', { least: '1ms', most: '30s' }),
    shift: duration('500ms', 'by how much the guest’s TSC is set ahead', {
      least: '-30s',
      most: '30s',
    }),
  },
  run(stage, params) {
    const hosts = { software: {}, preemption: { preemptionTimerRate: 5 } };
    const rows = Object.entries(hosts).map(([name, options]): Cell[] => {
      const sim = stage.host(deadlineHost(params, options), name);
      const vm = sim.vm();
      vm.start(1, asked(params.guestKhz));
      sim.host.pass(params.uptime);
      const first = armedBy(sim, askFor(vm, params.ahead));
      stage.tell(sim, `the guest asks for its timer in ${params.ahead} ns`);
      vm.writeMsr(0, 'IA32_TSC_ADJUST', BigInt.asUintN(64, guestCycles(vm, params.shift)));
      stage.tell(sim, `its TSC is set ahead by ${params.shift} ns`);
      vm.leave(0);
      const again = armedBy(sim, vm.on(0, { type: 'vcpu_load', cpu: ELSEWHERE }));
      const told =
        again === undefined ? 'the timer stays' : `the timer is set for ${again.delayNs} ns`;
      stage.tell(sim, `the vCPU moves to another CPU: ${told}`);
      const late = fire(sim, vm, again ?? first);
      const by = first?.byHardware === true ? 'preemption timer' : 'hrtimer';
      return [name, by, first?.delayNs ?? 0n, again?.delayNs ?? 'stays', late];
    });
    const late = rows.map((row) => formatSignedNs(row[4] as bigint));
    return () => ({
      columns: ['host', 'timer', 'set for (ns)', 'after the move (ns)', 'late (ns)'],
      rows,
      verdict: `the TSC moved by ${formatSignedNs(params.shift)} of ${formatNs(params.ahead)}: late by ${late[0]} with an hrtimer, by ${late[1]} on a CPU with a preemption timer, set by the ${String(rows[1]![1])}`,
    });
  },
});
