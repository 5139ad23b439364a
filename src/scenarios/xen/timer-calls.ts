/** What the hypercalls about a Xen timer do with times that are odd: far away, negative, past. */
import { formatNs } from '../../../replay/quantity.ts';
import { asU64 } from '../../num/index.ts';
import { booted, tscKhz } from '../common.ts';
import { duration } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import {
  type Call,
  type Called,
  call,
  SET_PERIODIC_TIMER,
  SET_SINGLESHOT_TIMER,
  SET_TIMER_OP,
  STOP_SINGLESHOT_TIMER,
  startXenGuest,
  VCPU_OP,
} from './guest.ts';

/** VCPU_SSHOTTMR_future. */
const FUTURE = 1;

interface Odd {
  readonly name: string;
  readonly when: string;
  readonly call: Call;
}

/** What a guest whose clock reads `now` may ask for. */
function callsAt(now: bigint, ahead: bigint, past: bigint): readonly Odd[] {
  const [far, before] = [`now + ${ahead} ns`, `now − ${past} ns`];
  const op = (timeoutNs: bigint): Call => ({ nr: SET_TIMER_OP, timeoutNs: asU64(timeoutNs) });
  const vcpuOp = (cmd: number, timeoutNs: bigint, flags = 0): Call => {
    return { nr: VCPU_OP, cmd, timeoutNs: asU64(timeoutNs), flags };
  };
  const single = 'VCPUOP_set_singleshot_timer';
  return [
    { name: 'set_timer_op', when: far, call: op(now + ahead) },
    { name: 'set_timer_op', when: before, call: op(now - past) },
    { name: 'set_timer_op', when: `−${past} ns`, call: op(-past) },
    { name: single, when: far, call: vcpuOp(SET_SINGLESHOT_TIMER, now + ahead) },
    { name: single, when: before, call: vcpuOp(SET_SINGLESHOT_TIMER, now - past) },
    {
      name: `${single}, future`,
      when: before,
      call: vcpuOp(SET_SINGLESHOT_TIMER, now - past, FUTURE),
    },
    { name: 'VCPUOP_stop_singleshot_timer', when: '', call: vcpuOp(STOP_SINGLESHOT_TIMER, 0n) },
    { name: 'VCPUOP_set_periodic_timer', when: '', call: vcpuOp(SET_PERIODIC_TIMER, past) },
  ];
}

/** Columns: by whom, what is returned, after how many ns it fires. */
function outcomeOf({ handled, ret, armed, fired }: Called): Cell[] {
  if (!handled) return ['VMM', '', ''];
  if (fired !== undefined) return ['KVM', ret, 'at once'];
  return ['KVM', ret, armed?.delayNs ?? 'never'];
}

function verdictOf(outcomes: readonly Called[], ahead: bigint): string {
  const [first] = outcomes;
  if (first?.armed === undefined) return 'this kernel has no Xen timers: the VMM sees to them';
  const asked = `set_timer_op for ${formatNs(ahead)} ahead`;
  return `${asked} fires after ${formatNs(first.armed.delayNs)}`;
}

export const xenTimerCalls = scenario({
  name: 'xen-timer-calls',
  title: 'what Xen’s timer hypercalls do with times far ahead, negative or past',
  source: '“KVM: x86/xen: improve accuracy of Xen timers”, David Woodhouse, 2023',
  profile: 'v6.1',
  compare: ['v5.15', 'v6.1', 'v6.8', 'v7.3'],
  switches: ['xenTimer', 'xenTimerPast'],
  about: [
    'Xen takes a timeout of set_timer_op that is negative, or 2^50 ns (13.03 days) or more ahead, for an overflow in an old Linux, and fires after 100 ms instead; so does KVM. VCPUOP_set_singleshot_timer has no such workaround and waits.',
    'A single shot in the past fires at once. With VCPU_SSHOTTMR_future it is refused with -ETIME (−62) until 409f2e92a27a (v6.7), which ignores the flag. Periodic timers KVM leaves to the VMM, and before v5.19 (536395260582) all of them.',
  ],
  params: {
    tscKhz: tscKhz(),
    uptime: duration('1h', 'how long the guest has run', { least: '1s', most: '3650d' }),
    ahead: duration('14d', 'how far ahead a timer is', { least: '1ms', most: '3650d' }),
    past: duration('100ms', 'how long ago one should have fired', { least: '1us', most: '1s' }),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz));
    const vm = startXenGuest(sim);
    sim.host.pass(params.uptime);
    stage.tell(sim, 'a guest with Xen’s interface asks for timers, one after another');
    const odd = callsAt(vm.kvmclock(0), params.ahead, params.past);
    const outcomes = odd.map((its) => call(sim, vm, its.call));
    return () => ({
      columns: ['hypercall', 'when', 'by', 'returns', 'fires after (ns)'],
      rows: odd.map(({ name, when }, i) => [name, when, ...outcomeOf(outcomes[i]!)]),
      verdict: verdictOf(outcomes, params.ahead),
    });
  },
});
