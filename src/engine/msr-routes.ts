/** The routes of writes to MSRs, by who writes: `kvm_set_msr_common()`, `kvm_hv_set_msr()`. */
import { MSRS } from '../../events/index.ts';
import { call, type Route, unless, vcpu, vm, when } from './phase.ts';
import { SYNCHRONIZE_TSC } from './tsc-routes.ts';

const WRITTEN = vcpu('MSR_WRITTEN');

const SYSTEM_TIME: Route = [
  call(
    'kvm_write_system_time',
    when('bootVcpuChangesMsr', vcpu('BOOT_VCPU_CHANGES_MSR')),
    when('bootVcpuWrites', vm('NOTE_BOOT_VCPU_MSR')),
    when('restartsClock', vm('RESTART_CLOCK')),
    vcpu('SYSTEM_TIME_MSR'),
  ),
  WRITTEN,
];

/** With the enable bit, the page is made at the masterclock update that this asks for. */
const REFERENCE_TSC: Route = [
  vm('HV_REFERENCE_TSC'),
  when('asksForHvPage', vcpu('REQUEST_HV_UPDATE')),
  WRITTEN,
];

/** A route for the guest's WRMSR and one for the VMM's KVM_SET_MSRS. */
interface MsrRoutes {
  readonly wrmsr: Route;
  readonly KVM_SET_MSRS: Route;
}

const both = (route: Route): MsrRoutes => ({ wrmsr: route, KVM_SET_MSRS: route });

/** One of the four synthetic timers: its CONFIG and its COUNT. */
const stimer = (n: number): [number, MsrRoutes][] => [
  [MSRS.HV_X64_MSR_STIMER0_CONFIG + 2 * n, both([vcpu('STIMER_CONFIG_MSR'), WRITTEN])],
  [MSRS.HV_X64_MSR_STIMER0_COUNT + 2 * n, both([vcpu('STIMER_COUNT_MSR'), WRITTEN])],
];

/** Every MSR that can be written. */
export const MSR_ROUTES: ReadonlyMap<number, MsrRoutes> = new Map<number, MsrRoutes>([
  [
    MSRS.IA32_TSC,
    {
      wrmsr: [
        when('guestSynchronizes', SYNCHRONIZE_TSC),
        unless('guestSynchronizes', vcpu('WRITE_GUEST_TSC')),
        WRITTEN,
      ],
      KVM_SET_MSRS: [
        when('hasTscHostAccess', SYNCHRONIZE_TSC),
        unless('hasTscHostAccess', vcpu('WRITE_GUEST_TSC')),
        WRITTEN,
      ],
    },
  ],
  [
    MSRS.IA32_TSC_ADJUST,
    {
      wrmsr: [
        when(
          'adjustSynchronizes',
          SYNCHRONIZE_TSC,
          when('adjustRaisesClockUpdate', vcpu('REQUEST_CLOCK_UPDATE')),
        ),
        unless('adjustSynchronizes', vcpu('ADJUST_GUEST_TSC')),
        WRITTEN,
      ],
      KVM_SET_MSRS: [
        when('hasTscHostAccess', vcpu('STORE_TSC_ADJUST')),
        unless('hasTscHostAccess', vcpu('ADJUST_GUEST_TSC')),
        WRITTEN,
      ],
    },
  ],
  [MSRS.IA32_TSC_DEADLINE, both([vcpu('SET_TSC_DEADLINE'), WRITTEN])],
  [MSRS.MSR_KVM_SYSTEM_TIME, both(SYSTEM_TIME)],
  [MSRS.MSR_KVM_SYSTEM_TIME_NEW, both(SYSTEM_TIME)],
  [MSRS.MSR_KVM_WALL_CLOCK, both([vm('WRITE_WALL_CLOCK'), WRITTEN])],
  [MSRS.MSR_KVM_WALL_CLOCK_NEW, both([vm('WRITE_WALL_CLOCK'), WRITTEN])],
  [MSRS.MSR_KVM_STEAL_TIME, both([vcpu('STEAL_TIME_MSR'), WRITTEN])],
  [MSRS.HV_X64_MSR_REFERENCE_TSC, both(REFERENCE_TSC)],
  [MSRS.HV_X64_MSR_TIME_REF_COUNT, both([WRITTEN])],
  [MSRS.HV_X64_MSR_TSC_EMULATION_CONTROL, both([vm('HV_EMULATION_CONTROL'), WRITTEN])],
  [MSRS.HV_X64_MSR_REENLIGHTENMENT_CONTROL, both([vm('HV_REENLIGHTENMENT_CONTROL'), WRITTEN])],
  [MSRS.HV_X64_MSR_TSC_EMULATION_STATUS, both([vm('HV_EMULATION_STATUS'), WRITTEN])],
  [MSRS.HV_X64_MSR_TSC_INVARIANT_CONTROL, both([vm('HV_INVTSC_CONTROL'), WRITTEN])],
  ...[0, 1, 2, 3].flatMap(stimer),
  [MSRS.MSR_AMD64_TSC_RATIO, both([unless('ignoresTscRatio', vcpu('TSC_RATIO_MSR')), WRITTEN])],
]);
