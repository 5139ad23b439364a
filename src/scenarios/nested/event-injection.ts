/** VMRUN with an EVENTINJ that no hardware takes: which are refused, and that the TSC is left alone. */
import { booted, tscKhz } from '../common.ts';
import { number } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import { enterL2, l2Offset, leaveL2 } from './guest.ts';

const VALID = 0x8000_0000;
/** All that fit the field. */
const VECTORS = 256;
const RESERVED = 1;
const EXCEPTION = 3;

const TYPES = [
  'external interrupt',
  'reserved',
  'NMI',
  'exception',
  'software interrupt',
  'reserved',
  'reserved',
  'reserved',
] as const;

const eventInj = (type: number, vector: number, valid = VALID): number =>
  (valid | (type << 8) | vector) >>> 0;

/** `2, 9, 20–27`. */
function rangesText(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < numbers.length; ) {
    let j = i;
    while (numbers[j + 1] === numbers[j]! + 1) j++;
    parts.push(i === j ? `${numbers[i]}` : `${numbers[i]}–${numbers[j]}`);
    i = j + 1;
  }
  return parts.length === 0 ? 'none' : parts.join(', ');
}

export const eventInjection = scenario({
  name: 'event-injection',
  title: 'nested SVM refuses an EVENTINJ that is none, and the TSC does not change',
  source:
    '“KVM: nSVM: Check reserved values for ‘Type’ and invalid vectors in EVENTINJ”, Krish Sadhukhan, 2020',
  profile: 'v7.3',
  compare: ['v5.10', 'v6.8', 'v7.2', 'v7.3'],
  switches: ['eventInjCheck'],
  about: [
    'L1 can have VMRUN raise an event in L2, by a field of vmcb12. The hardware refuses a field that is valid but of a reserved type, or an exception with a vector that is none: the exit code is VMEXIT_INVALID, −1. KVM runs L1’s VMRUN in software and long did not look.',
    'As posted in 2020 (`--set eventInjCheck=posted-2020`) a reserved type is refused, and as an exception vector 2, which is the NMI’s, and those above 31. What was merged (7e79f71bca5c, v7.1) refuses every vector that is no exception of this guest’s as well. The guest here has no shadow stacks and is no SEV-ES guest: 21, #CP, and 29, #VC, are exceptions only of those that are. A field that is not valid (bit 31) raises nothing and is not looked at. A refused VMRUN never gets to vmcb02: L1’s TSC offset is in force before, meanwhile and after.',
    'Types are tried with the vector asked for, then a reserved type that is not valid; the last line tries all 256 vectors as exceptions.',
  ],
  params: {
    vector: number('2', 'the event’s vector', { least: '0', most: '255' }),
    l2Offset: l2Offset(),
    tscKhz: tscKhz(),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz, { vendor: 'svm' }));
    const vm = sim.vm();
    vm.start(1);
    const before = vm.kvm(0).tscOffset;
    /** L2 is entered with it, and leaves again. */
    const attempt = (event: number) => {
      const entered = enterL2(vm, { tscOffset: params.l2Offset, eventInj: event });
      const moved = BigInt.asIntN(64, vm.kvm(0).tscOffset - before);
      if (entered.outcome === 'entered') leaveL2(vm);
      return { ...entered, moved };
    };
    const rowOf = (what: string, event: number): Cell[] => {
      const { outcome, code, moved } = attempt(event);
      return [what, `${params.vector}`, outcome, code, moved];
    };
    stage.tell(sim, `L1 runs L2 with events of each type, vector ${params.vector}`);
    const rows = TYPES.map((name, type) => rowOf(`${type} ${name}`, eventInj(type, params.vector)));
    const types = rows.flatMap(([, , outcome], type) => (outcome === 'entered' ? [] : [type]));
    rows.push(rowOf('1 reserved, not valid', eventInj(RESERVED, params.vector, 0)));
    stage.tell(sim, 'and with every vector as an exception');
    const refused = Array.from({ length: VECTORS }, (_, vector) => vector).filter(
      (vector) => attempt(eventInj(EXCEPTION, vector)).outcome !== 'entered',
    );
    rows.push(['3 exception', rangesText(refused), refused.length === 0 ? '' : 'refused', '', '']);
    return () => ({
      columns: ['type', 'vector', 'outcome', 'exit code', 'TSC offset moved (cycles)'],
      rows,
      verdict: `refused with vector ${params.vector}: types ${rangesText(types)}; as exceptions: vectors ${rangesText(refused)}`,
    });
  },
});
