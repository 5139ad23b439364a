/** Xen's pages: what each attribute that a VMM sets asks for, and what then is in the guest's memory. */
import { formatNs, formatSignedNs } from '../../../replay/quantity.ts';
import type { Dispatched } from '../../engine/index.ts';
import { asS64, pvclockRead, subU64, U64_MAX } from '../../num/index.ts';
import { asked, booted, guestKhz, tscKhz, uptime } from '../common.ts';
import { bootVm, ioctl, requestsOf } from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import { jumpsOf } from '../monotonic-raw/jumps.ts';
import { choice, duration, number } from '../params.ts';
import { type Cell, scenario } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';
import { INTERCEPT_HCALL } from './guest.ts';
import { type Mode, pageText, XenMemory } from './memory.ts';

const SHARED_INFO = 0x30_0000n;
const VCPU_INFO = 0x31_0000n;
const VCPU_TIME_INFO = 0x32_0000n;
/** Where vcpu_info has its pvclock page. */
const TIME_IN_VCPU_INFO = 32n;
/** KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE. */
const TSC_UNSTABLE = 128;
/** KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO and …_VCPU_TIME_INFO. */
const ATTR = { vcpuInfo: 0, vcpuTimeInfo: 1 } as const;

/** What the VMM does, to the VM or its vCPU 0. */
const stepsOf = (vm: SimulatedVm, moveNs: bigint): Readonly<Record<string, () => Dispatched>> => ({
  vcpu_info: () => ioctl(vm, 0, { type: 'KVM_XEN_SET_VCPU_INFO', gpa: VCPU_INFO }),
  vcpu_time_info: () => ioctl(vm, 0, { type: 'KVM_XEN_SET_VCPU_TIME_INFO', gpa: VCPU_TIME_INFO }),
  shared_info: () => vm.ioctl({ type: 'KVM_XEN_SET_SHARED_INFO', gpa: SHARED_INFO }),
  KVM_KVMCLOCK_CTRL: () => ioctl(vm, 0, { type: 'KVM_KVMCLOCK_CTRL' }),
  PVCLOCK_TSC_UNSTABLE: () =>
    vm.ioctl({ type: 'KVM_XEN_HVM_CONFIG', flags: INTERCEPT_HCALL | TSC_UNSTABLE }),
  'vcpu_info away': () => ioctl(vm, 0, { type: 'KVM_XEN_SET_VCPU_INFO', gpa: U64_MAX }),
  KVM_SET_CLOCK: () =>
    vm.ioctl({ type: 'KVM_SET_CLOCK', clock: vm.kvmclock(0) + moveNs, flags: 0 }),
});

/** Where the VMM reads that a page of vCPU 0 is. */
function placeOf(vm: SimulatedVm, attr: number): string {
  const { observations } = ioctl(vm, 0, { type: 'KVM_XEN_VCPU_GET_ATTR', attr });
  const read = observations.find((seen) => seen.type === 'xen_attr');
  const gpa = read?.type === 'xen_attr' ? read.gpa : undefined;
  return gpa === undefined || gpa === U64_MAX ? 'nowhere' : `0x${gpa.toString(16)}`;
}

/** A VM with Xen's interface, and all that is looked at of it. */
class XenVm {
  readonly vm: SimulatedVm;
  readonly #sim: Simulation;
  readonly #memory: XenMemory;
  readonly #mode: Mode;

  constructor(sim: Simulation, vcpus: number, mode: Mode, khz?: number) {
    this.#sim = sim;
    this.#memory = new XenMemory(sim);
    this.#mode = mode;
    this.vm = bootVm(sim, vcpus, khz);
    this.vm.ioctl({ type: 'KVM_XEN_HVM_CONFIG', flags: INTERCEPT_HCALL });
    this.vm.ioctl({ type: 'KVM_XEN_SET_LONG_MODE', longMode: mode === '64-bit' });
  }

  /** How many inputs there were. */
  get inputs(): number {
    return this.#sim.entries.filter(({ kind }) => kind === 'input').length;
  }

  /** By how much the guest's time of day is ahead of CLOCK_REALTIME, ns; none without a wall clock. */
  wallClockOffNs(): bigint | undefined {
    const { version, epochNs } = this.#memory.wallClock(SHARED_INFO, this.#mode);
    if (version === 0) return undefined;
    return epochNs + this.vm.kvmclock(0) - this.#sim.host.realtimeNs;
  }

  /** What vcpu_info's page in memory reads less what kvmclock's does, ns; none while there is none. */
  #ahead(): bigint | undefined {
    const page = this.#memory.page(VCPU_INFO + TIME_IN_VCPU_INFO);
    if (page.version === 0) return undefined;
    return asS64(subU64(pvclockRead(page, this.vm.tsc(0)), this.vm.kvmclock(0)));
  }

  /** Cells: kvmclock’s page, Xen’s two with where they are, what they read, the wall clock. */
  look(): Cell[] {
    const { vm } = this;
    const page = (gpa: bigint, attr: number): string =>
      `${pageText(this.#memory.page(gpa))}, ${placeOf(vm, attr)}`;
    const cells = [
      pageText(this.#memory.page(vm.kvmclockGpa(0))),
      page(VCPU_INFO + TIME_IN_VCPU_INFO, ATTR.vcpuInfo),
      page(VCPU_TIME_INFO, ATTR.vcpuTimeInfo),
      this.#ahead() ?? '',
      this.wallClockOffNs() ?? '',
    ];
    vm.enter(0);
    return cells;
  }
}

const COLUMNS = [
  'step',
  'MASTERCLOCK_UPDATE',
  'CLOCK_UPDATE',
  'jump (ns)',
  'kvmclock',
  'vcpu_info',
  'vcpu_time_info',
  'vcpu_info − kvmclock (ns)',
  'wall clock off (ns)',
];

export const xenPages = scenario({
  name: 'xen-pages',
  title: 'placing shared_info takes a new masterclock reference; what Xen’s pages hold',
  source:
    '“KVM: x86/xen: Do not corrupt KVM clock in kvm_xen_shared_info_init()” (RFC v3 01/21), David Woodhouse, 2024, and KVM_XEN_HVM_SET_ATTR, KVM_XEN_VCPU_SET_ATTR',
  profile: 'v6.1',
  compare: ['v5.10', 'v5.15', 'v6.1', 'v6.8', 'v7.2', 'v7.3', 'rfc-v3'],
  switches: [
    'xenAttributes',
    'mclkUpdateOnXenSharedInfo',
    'wallClock',
    'pvStoppedInCache',
    'xenTscUnstableFlag',
  ],
  about: [
    'A Xen guest reads its clock from pvclock pages of its own: one within each vCPU’s `vcpu_info`, another where it asks for a `vcpu_time_info`. A VMM tells KVM where they are (KVM_XEN_VCPU_SET_ATTR), and from the vCPU’s next entry on KVM writes there what it writes into the kvmclock page, each under a version of its own.',
    '`shared_info` (KVM_XEN_HVM_SET_ATTR) holds the wall clock: CLOCK_REALTIME when the guest’s clock was 0, written once, when it is placed. Until 633d7652f80f (v7.3) placing it also asks every vCPU for a new masterclock reference, for no reason: the guest’s clock moves by what it has parted from the base clock since the last one, as with any other.',
    'The epoch is off by what KVM’s reckoning of the clock is off from the guest’s: until v7.3 it comes by the host’s scale, and the clock moves right after it; with the KVM clock series (RFC v3 9/21) by the guest’s.',
    'GUEST_STOPPED (KVM_KVMCLOCK_CTRL) also reaches Xen’s pages until 93fb0b10e712 (v6.15). With PVCLOCK_TSC_UNSTABLE (6d7228352609, v6.8) KVM leaves STABLE out of Xen’s pages, and of no other. A page that the VMM takes away stays as it is in memory: a guest that goes on reading it does not see KVM_SET_CLOCK. Nor does the wall clock follow that.',
    'Columns: requests raised by the step; by how much kvmclock jumped in the replay; version and flags of pages as they are in the guest’s memory, and where KVM_XEN_VCPU_GET_ATTR says that they are; what vcpu_info’s page reads less what kvmclock’s does; how far the guest’s time of day, wall clock plus clock, is ahead of CLOCK_REALTIME.',
  ],
  params: {
    tscKhz: tscKhz('3000000'),
    guestKhz: guestKhz('2500000'),
    uptime: uptime('1d'),
    vcpus: number('2', 'vCPUs', { least: '1', most: '8' }),
    mode: choice(['64-bit', '32-bit'], 'the guest’s mode, which lays shared_info out'),
    move: duration('1s', 'by how much KVM_SET_CLOCK sets the clock ahead', {
      least: '0',
      most: '1d',
    }),
  },
  run(stage, params) {
    const sim = stage.host(booted(params.tscKhz));
    const xen = new XenVm(sim, params.vcpus, params.mode, asked(params.guestKhz));
    const { vm } = xen;
    sim.host.pass(params.uptime);
    stage.tell(sim, `a guest has run for ${params.uptime} ns; its VMM sets Xen’s attributes`);
    const steps = Object.entries(stepsOf(vm, params.move)).map(([name, happen]) => {
      const from = xen.inputs;
      const done = happen();
      vm.exit(0);
      vm.enter(0);
      vm.kick();
      const to = xen.inputs;
      const requests = [requestsOf(done, 'MASTERCLOCK_UPDATE'), requestsOf(done, 'CLOCK_UPDATE')];
      const { refused } = done;
      return { name, refused, from, to, requests, cells: xen.look(), wallNs: xen.wallClockOffNs() };
    });
    return ([replayed]) => {
      const jumpIn = ({ from, to }: (typeof steps)[number]): bigint => {
        const inStep = replayed!.findings.filter(({ trigger }) => {
          return trigger !== undefined && trigger.input > from && trigger.input <= to;
        });
        return jumpsOf(inStep, 0);
      };
      const shared = steps.find(({ name }) => name === 'shared_info')!;
      const rows = steps.map((step) => [step.name, ...step.requests, jumpIn(step), ...step.cells]);
      const off = formatSignedNs(shared.wallNs ?? 0n);
      return {
        columns: COLUMNS,
        rows: shared.refused ? [] : rows,
        verdict: shared.refused
          ? 'this kernel knows nothing of Xen’s pages'
          : `placing shared_info after ${formatNs(params.uptime)} moves the guest’s clock by ${formatSignedNs(jumpIn(shared))}, and its time of day is off by ${off}`,
      };
    };
  },
});
