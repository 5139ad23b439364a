/** What is left since v5.5: MONOTONIC_RAW's multiplier is rounded otherwise than the page's. */
import { clocksourceMultShift, scaleDelta, scaleTsc } from '../../num/index.ts';
import { asked, booted, copied, guestKhz, kvmKhz, tscKhz, uptime, vendor } from '../common.ts';
import { bootVm, vmOf } from '../deeds.ts';
import { scenario } from '../scenario.ts';
import { jumpsOf } from './jumps.ts';

const HV_PAGE = 0x20_0001n;
const VCPUS = [0, 1] as const;

export const rawResidue = scenario({
  name: 'raw-residue',
  title: 'a new reference moves the guest’s clock although nobody steers the host’s',
  source: '“KVM: x86: switch KVMCLOCK base to monotonic raw clock”, Marcelo Tosatti, 2019',
  profile: 'v6.1',
  compare: ['v5.5', 'v6.1', 'v7.3', 'series-v6'],
  switches: ['masterBase', 'pvScaleUnit', 'tscKhzSource'],
  about: [
    'MONOTONIC_RAW counts the TSC by a multiplier of some 23 significant bits, the guest’s page by one of 32, both made from the same frequency in kHz. Their difference, up to some 150 ppb, adds up from one reference to the next and comes out as a jump when the next is taken: here when a guest turns Hyper-V’s reference TSC page on after a day.',
    'A guest whose TSC is scaled (`--guest-khz`) has a larger one: until v7.3 KVM cuts its frequency to kHz before making the page’s scale, up to 400 ppb at 2.5 GHz. At 2 GHz without scaling both multipliers are exact, and nothing moves.',
    'Until v6.1 a page is made from a copy of the frequency that KVM took when it started. KVM built into the kernel starts before the TSC is calibrated for good and never learns the better value: `--kvm-khz 2500009` makes 3.6 ppm, which dwarfs the rest. From v6.2 on (3ebcbd2244f5) it makes nothing.',
  ],
  params: {
    uptime: uptime('1d'),
    tscKhz: tscKhz('2500000'),
    kvmKhz: kvmKhz(),
    guestKhz: guestKhz(),
    vendor: vendor(),
  },
  run(stage, params) {
    const sim = stage.host(
      booted(params.tscKhz, { vendor: params.vendor, ...copied(params.kvmKhz) }),
    );
    const { host, world } = sim;
    const vm = bootVm(sim, VCPUS.length, asked(params.guestKhz));
    const { masterclock } = vmOf(sim);
    stage.tell(
      sim,
      `a guest with vCPUs 0 and 1 has booted, its masterclock is ${masterclock}; nobody steers the host’s clock`,
    );
    host.pass(params.uptime);
    stage.tell(sim, 'vCPU 1’s guest writes HV_X64_MSR_REFERENCE_TSC');
    vm.writeMsr(1, 'HV_X64_MSR_REFERENCE_TSC', HV_PAGE);
    vm.kick();

    const { l1TscScalingRatio, pvclockTscMul: mul, pvclockTscShift: shift } = vm.kvm(0);
    const cycles = host.cycles(params.uptime);
    const { mult, shift: rawShift } = clocksourceMultShift(params.tscKhz);
    const raw = (cycles * BigInt(mult)) >> BigInt(rawShift);
    const guestCycles = scaleTsc(cycles, l1TscScalingRatio, world.host.tscScalingRatioFracBits);
    const page = scaleDelta(guestCycles, mul, shift);
    return ([replayed]) => ({
      columns: ['vCPU', 'jump (ns)', 'RAW − page (ns)', 'RAW', 'page', 'TSC by KVM (Hz)'],
      rows: VCPUS.map((vcpu) => [
        vcpu,
        jumpsOf(replayed!.findings, vcpu),
        raw - page,
        `× ${mult} >> ${rawShift}`,
        `× ${mul} >> 32, shift ${shift}`,
        vm.kvm(vcpu).hwTscHz,
      ]),
    });
  },
});
