/** What else takes a new reference: the masterclock updates that the mail lists as left unsafe. */
import { booted, ntpPpm, tscKhz, uptime } from '../common.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration } from '../params.ts';
import { scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';
import { jumpsOf, partsPerTrillion } from './jumps.ts';

/** Where the guest wants Hyper-V's reference TSC page, and the bit that turns it on. */
const HV_PAGE = 0x20_0001n;
const VCPUS = [0, 1] as const;

/** The guest turns Hyper-V's reference TSC page on. */
function writeReferenceTsc(_sim: Simulation, vm: SimulatedVm): string {
  vm.writeMsr(1, 'HV_X64_MSR_REFERENCE_TSC', HV_PAGE);
  vm.kick();
  return 'vCPU 1’s guest writes HV_X64_MSR_REFERENCE_TSC';
}

/** The VMM writes every TSC back as it is, as after KVM_GET_MSRS. */
function writeTscs(_sim: Simulation, vm: SimulatedVm): string {
  for (const vcpu of VCPUS) vm.setMsr(vcpu, 'IA32_TSC', vm.tsc(vcpu));
  for (const vcpu of VCPUS) vm.enter(vcpu);
  vm.kick();
  return 'the VMM writes each vCPU’s IA32_TSC, with the value it has';
}

/** The host suspends to RAM; its TSC begins anew. */
function suspend({ host }: Simulation, vm: SimulatedVm, asleepNs: bigint): string {
  for (const vcpu of VCPUS) vm.leave(vcpu);
  host.sleep(asleepNs, 'restarts');
  for (const vcpu of VCPUS) vm.enter(vcpu);
  vm.kick();
  return 'the host has slept; its TSC began anew';
}

const TRIGGERS = {
  'hv-reference-tsc': writeReferenceTsc,
  'tsc-writes': writeTscs,
  suspend,
} as const;

export const ntpTriggers = scenario({
  name: 'ntp-triggers',
  title: 'each masterclock update moves the guest’s clock by what NTP has steered the host’s',
  source: '“KVM: x86: switch KVMCLOCK base to monotonic raw clock”, Marcelo Tosatti, 2019',
  profile: 'v4.19',
  compare: ['v4.19', 'v5.5', 'v5.10', 'v7.3'],
  switches: ['masterBase', 'otherBase'],
  about: [
    '0bc48bea36d1 (v4.13) made KVM_SET_CLOCK safe and left every other masterclock update as it was: a guest that turns Hyper-V’s reference TSC page on, writes of TSCs, host suspend and resume. Three hosts live through one of them each, with the same uptime and the same NTP.',
    'The VMM writes back the TSCs that its vCPUs have: no TSC moves. The first write begins a new generation (where its value is not within a second of what KVM expects, which by a steered clock it is not), the second one joins it, and a new reference is taken.',
    'A TSC that began anew while the host slept is behind what vCPUs last saw; KVM adds the difference back to their offsets, so the guest’s TSC goes on from there. The masterclock is off for good then and each vCPU has a reference of its own: the clock moves by the time slept, and under `v4.19` by what NTP has steered.',
    'Under `v5.5` the masterclock’s reference is raw already, but pages without masterclock are not: after a suspend its clock still moves by what NTP has steered. `v5.10` stands for 8171cd68806b (v5.6), which took that away.',
  ],
  params: {
    uptime: uptime(),
    ntpPpm: ntpPpm(),
    tscKhz: tscKhz(),
    asleep: duration('1h', 'how long the host sleeps', { least: '10s', most: '365d' }),
  },
  run(stage, params) {
    for (const [name, happen] of Object.entries(TRIGGERS)) {
      const sim = stage.host(booted(params.tscKhz), name);
      const vm = sim.vm();
      vm.start(VCPUS.length);
      sim.host.steer(params.ntpPpm);
      sim.host.pass(params.uptime);
      const told = happen(sim, vm, params.asleep);
      stage.tell(sim, told);
    }
    const steered = partsPerTrillion(params.uptime, params.ntpPpm);
    return (replayed) => ({
      columns: ['update', 'vCPU', 'jump (ns)', 'slept (ns)', 'uptime × NTP (ns)', 'rest (ns)'],
      rows: replayed.flatMap(({ simulation, findings }) => {
        const slept = simulation.name === 'suspend' ? params.asleep : 0n;
        return VCPUS.map((vcpu) => {
          const jump = jumpsOf(findings, vcpu);
          return [simulation.name, vcpu, jump, slept, steered, jump - slept - steered];
        });
      }),
    });
  },
});
