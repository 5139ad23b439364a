/** Histories of random deeds on a simulated host: few at a time, and many orders of them. */
import { MSRS } from '../../events/index.ts';
import type { Profile } from '../../src/profiles/index.ts';
import { Dice } from '../engine/dice.ts';
import { SimulatedRecording, type SimulatedVcpu, type SimulatedVm } from './simulated-host.ts';

const MOST_VMS = 3;
const MOST_VCPUS = 4;
const DEEDS = 150;
const SECOND_NS = 1_000_000_000;

/** A history of its own for each seed; `oneProcess`: one VMM has all VMs. */
export function randomHistory(profile: Profile, seed: number, oneProcess = false) {
  const dice = new Dice(seed);
  const recording = new SimulatedRecording(profile, dice, oneProcess);
  for (let i = 0; i < DEEDS; i++) step(recording, dice);
  return recording;
}

/** Some time passes, and something happens to some VM. */
function step(recording: SimulatedRecording, dice: Dice): void {
  recording.pass(BigInt(dice.below(dice.oneIn(4) ? 400_000_000 : 3_000_000)));
  const { vms } = recording;
  if (vms.length === 0 || (dice.oneIn(60) && vms.length < MOST_VMS)) recording.createVm();
  const vm = dice.of(vms);
  if (vm.vcpus.length === 0 || (dice.oneIn(25) && vm.vcpus.length < MOST_VCPUS)) {
    recording.hotplug(vm);
    return;
  }
  const vcpu = dice.of(vm.vcpus);
  if (!vcpu.registered && dice.oneIn(3)) recording.registerKvmclock(vm, vcpu);
  else dice.of(DEEDS_OF_VCPU)(recording, vm, vcpu, dice);
}

type Deed = (on: SimulatedRecording, vm: SimulatedVm, vcpu: SimulatedVcpu, dice: Dice) => void;

const run: Deed = (on, vm, vcpu) => {
  if (on.cell(vm, vcpu).run === 'guest') on.exit(vm, vcpu);
  on.enter(vm, vcpu);
};

/** A TSC near what the guest's reads: what restores and guests write. */
function someTsc(on: SimulatedRecording, vm: SimulatedVm, vcpu: SimulatedVcpu, dice: Dice): bigint {
  const by = dice.oneIn(2) ? 0n : BigInt(dice.below(2 ** 31)) * 4n - 4_000_000_000n;
  return BigInt.asUintN(64, on.tsc + on.cell(vm, vcpu).l1TscOffset + by);
}

/** A deed that is done once in so many times. */
const rarely =
  (times: number, deed: Deed): Deed =>
  (on, vm, vcpu, dice) => {
    if (dice.oneIn(times)) deed(on, vm, vcpu, dice);
  };

const DEEDS_OF_VCPU: readonly Deed[] = [
  ...Array.from({ length: 10 }, () => run),
  (on, vm, vcpu) => on.leave(vm, vcpu),
  (on, vm, vcpu) => on.migrate(vm, vcpu),
  rarely(3, (on, vm, _, dice) => on.setClock(vm, BigInt(dice.below(2 * SECOND_NS) - SECOND_NS))),
  rarely(4, (on, vm, vcpu, dice) => {
    on.setMsr(vm, vcpu, MSRS.IA32_TSC, someTsc(on, vm, vcpu, dice));
  }),
  rarely(4, (on, vm, vcpu, dice) => {
    on.wrmsr(vm, vcpu, MSRS.IA32_TSC, someTsc(on, vm, vcpu, dice));
  }),
  rarely(4, (on, _vm, _vcpu, dice) => on.steer(BigInt(dice.below(SECOND_NS) - SECOND_NS / 2))),
];
