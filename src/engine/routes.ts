/**
 * The table of routes: what each input does, in the kernel's order.
 *
 * This is where one machine's turn follows another's. Read it beside `arch/x86/kvm/x86.c`: each
 * constant is one of its functions.
 */
import type { InputType } from '../../events/index.ts';
import { call, eachVcpu, eachVm, host, type Route, unless, vcpu, vm, when } from './phase.ts';
import { SET_TSC_KHZ, SYNCHRONIZE_TSC } from './tsc-routes.ts';

/** The copy of the host's timekeepers, and the reference that is taken from it. */
const UPDATE_COPY = call(
  'pvclock_update_vm_gtod_copy',
  vm('UPDATE_COPY'),
  when('masterclockIsOn', host('MASTERCLOCK_TAKEN')),
);

/** How an update begins, with the copy that is taken under its lock. */
const BEGIN_UPDATE: Route = [
  vm('HV_PAGE_REQUEST'),
  when('answersAllRequests', eachVcpu(vcpu('SERVE_MASTERCLOCK_UPDATE'))),
  UPDATE_COPY,
];

const END_UPDATE = call(
  'kvm_end_pvclock_update',
  eachVcpu(vcpu('REQUEST_CLOCK_UPDATE')),
  when('updateArmsSyncWork', vm('ARM_SYNC_WORK')),
);

/** Before v5.16 `kvm_gen_update_masterclock()`. */
const UPDATE_MASTERCLOCK = call('kvm_update_masterclock', ...BEGIN_UPDATE, END_UPDATE);

const GLOBAL_CLOCK_UPDATE = call(
  'kvm_gen_kvmclock_update',
  when('updatesOthersLater', vcpu('REQUEST_CLOCK_UPDATE'), vm('QUEUE_UPDATE_WORK')),
  unless('updatesOthersLater', eachVcpu(vcpu('REQUEST_CLOCK_UPDATE'))),
);

const GUEST_TIME_UPDATE = call(
  'kvm_guest_time_update',
  vcpu('SERVE_CLOCK_UPDATE'),
  vcpu('GUEST_TIME_UPDATE'),
  when(
    'pageIsUpToDate',
    when('updatesHvPageFirst', vm('HV_PAGE')),
    vcpu('XEN_TIME_UPDATE'),
    when('updatesHvPageLast', vm('HV_PAGE')),
  ),
);

const CHANGE_RUNSTATE = when('runstateMoves', vcpu('RUNSTATE_CHANGE'));

/** A Xen guest has runstates instead. */
const RECORD_STEAL_TIME = call(
  'record_steal_time',
  when('countsRunstate', CHANGE_RUNSTATE),
  unless('countsRunstate', vcpu('RECORD_STEAL_TIME')),
);

/** The requests that `vcpu_enter_guest()` serves; timers that go by the clock after the clock. */
const REQUESTS = when(
  'anyRequested',
  call(
    'vcpu_enter_guest',
    when('migrateTimerRequested', vcpu('SERVE_MIGRATE_TIMER')),
    when('masterclockUpdateRequested', vcpu('SERVE_MASTERCLOCK_UPDATE'), UPDATE_MASTERCLOCK),
    when('globalClockUpdateRequested', vcpu('SERVE_GLOBAL_CLOCK_UPDATE'), GLOBAL_CLOCK_UPDATE),
    when('clockUpdateRequested', GUEST_TIME_UPDATE),
    when(
      'pageIsUpToDate',
      when('stealUpdateRequested', vcpu('SERVE_STEAL_UPDATE'), RECORD_STEAL_TIME),
      when('hvStimerRequested', vcpu('SERVE_HV_STIMER'), vcpu('PROCESS_STIMERS')),
    ),
  ),
);

const LOAD = call(
  'kvm_arch_vcpu_load',
  when('tscLostTime', vcpu('APPLY_TSC_ADJUSTMENT')),
  when(
    'loadMatters',
    when('loadSeesBackwardsTsc', host('TSC_UNSTABLE')),
    when('tscIsUnstable', vcpu('LOAD_UNSTABLE')),
    vcpu('RESTART_DEADLINE'),
    // The vCPU asks before its VM counts, so that both see the same count; nothing asks after that,
    // which the last update of a second would make look like one that was not granted.
    unless('loadTakesGlobalUpdate', vcpu('ASK_FOR_UPDATE')),
    when('loadTakesGlobalUpdate', vcpu('ASK_FOR_UPDATE'), vm('COUNT_GLOBAL_UPDATE')),
  ),
  vcpu('LOAD'),
);

/** Before v6.12 `kvm_arch_hardware_enable()`. */
const ENABLE_CPU = call(
  'kvm_arch_enable_virtualization_cpu',
  host('CPU_ONLINE'),
  host('FORGET_LARGEST_TSC'),
  eachVm(eachVcpu(host('GATHER_LARGEST_TSC'))),
  host('COMPARE_TSC'),
  when('tscIsUnstable', eachVm(eachVcpu(vcpu('REQUEST_UPDATE_HERE')))),
  when(
    'tscIsBehind',
    host('BACKWARDS_TSC'),
    eachVm(vm('BACKWARDS_TSC'), eachVcpu(vcpu('BACKWARDS_TSC'))),
  ),
);

/**
 * What it sets the clock against, and when, differs most of all. From v5.16 on the kernel sets it
 * between the copy and the end of the update: the requests that end it look at no clock.
 */
const SET_CLOCK = call(
  'kvm_vm_ioctl_set_clock',
  when('updatesBeforeSetting', UPDATE_MASTERCLOCK),
  when('setsAgainstBase', vm('SET_CLOCK_AGAINST_BASE')),
  when('setsAgainstNow', vm('SET_CLOCK_AGAINST_NOW')),
  when('setsAgainstReference', vm('SET_CLOCK_AGAINST_REFERENCE')),
  unless('updatesBeforeSetting', UPDATE_MASTERCLOCK),
  eachVcpu(vcpu('REQUEST_CLOCK_UPDATE')),
  vm('REPORT_DONE'),
);

const SET_CLOCK_GUEST = call(
  'kvm_vcpu_ioctl_set_clock_guest',
  ...BEGIN_UPDATE,
  vm('SET_CLOCK_GUEST'),
  END_UPDATE,
  vcpu('REPORT_CLOCK_GUEST_SET'),
);

/** Every input but writes to MSRs, which go by the MSR (`msr-routes.ts`). */
export const ROUTES: Readonly<Record<Exclude<InputType, 'wrmsr' | 'KVM_SET_MSRS'>, Route>> = {
  timekeeping_update: [host('TIMEKEEPING_UPDATE')],
  adjtimex: [host('STEER')],
  clock_settime: [host('SET_REALTIME')],
  change_clocksource: [host('CHANGE_CLOCKSOURCE')],
  mark_tsc_unstable: [host('TSC_UNSTABLE')],
  pvclock_gtod_work: [host('GTOD_WORK'), eachVm(eachVcpu(vcpu('REQUEST_MASTERCLOCK_UPDATE')))],
  cpufreq: [
    when('tscFollowsCpu', host('SET_CPU_KHZ'), eachVm(eachVcpu(vcpu('REQUEST_UPDATE_HERE')))),
  ],
  cpu_offline: [host('CPU_OFFLINE')],
  cpu_online: [ENABLE_CPU],
  suspend: [
    when('suspendStopsGuests', eachVm(eachVcpu(when('hasKvmclock', vcpu('GUEST_PAUSED'))))),
    host('SUSPEND'),
  ],
  timekeeping_suspend: [host('STOP_CLOCKS')],
  resume: [host('RESUME'), ENABLE_CPU],
  suspend_end: [host('SUSPEND_END')],
  KVM_CREATE_VM: [vm('CREATE_VM'), UPDATE_COPY],
  destroy_vm: [
    eachVcpu(when('destroyLoads', LOAD, vcpu('PUT')), vcpu('DESTROY_VCPU')),
    vm('DESTROY_VM'),
  ],
  KVM_GET_CLOCK: [vm('GET_CLOCK')],
  KVM_SET_CLOCK: [SET_CLOCK],
  KVM_SET_VM_TSC_KHZ: [vm('SET_DEFAULT_TSC_KHZ')],
  KVM_GET_VM_TSC_KHZ: [vm('REPORT_DEFAULT_TSC_KHZ')],
  KVM_CAP_DISABLE_QUIRKS: [vm('DISABLE_QUIRKS')],
  kvmclock_update_work: [vm('UPDATE_WORK'), eachVcpu(vcpu('REQUEST_CLOCK_UPDATE'))],
  // The work queues the other one at once, which is what brings the pages up to date.
  kvmclock_sync_work: [vm('SYNC_WORK'), when('syncWorkGoesOn', vm('QUEUE_UPDATE_WORK'))],
  KVM_CREATE_VCPU: [
    vcpu('CREATE_VCPU'),
    when('setsKhzBeforeLoad', SET_TSC_KHZ),
    LOAD,
    unless('setsKhzBeforeLoad', SET_TSC_KHZ),
    vcpu('PUT'),
    vm('COUNT_VCPU'),
  ],
  vcpu_postcreate: [
    LOAD,
    SYNCHRONIZE_TSC,
    vcpu('PUT'),
    vcpu('POSTCREATE'),
    when('armsSyncWork', vm('ARM_SYNC_WORK')),
  ],
  vcpu_reset: [vcpu('RESET')],
  vcpu_load: [LOAD],
  vcpu_put: [when('putChangesRunstate', CHANGE_RUNSTATE), vcpu('PUT')],
  vcpu_requests: [REQUESTS],
  kvm_entry: [
    REQUESTS,
    // A page that could not be computed keeps the vCPU out of the guest.
    when('pageIsUpToDate', vcpu('ENTER')),
  ],
  kvm_exit: [vcpu('EXIT')],
  rdtsc: [vcpu('READ_TSC')],
  rdmsr: [vcpu('READ_MSR')],
  KVM_GET_MSRS: [vcpu('READ_MSR')],
  KVM_SET_TSC_KHZ: [SET_TSC_KHZ, vcpu('REPORT_TSC_KHZ_SET')],
  KVM_GET_TSC_KHZ: [vcpu('REPORT_TSC_KHZ')],
  KVM_HAS_TSC_OFFSET: [vcpu('REPORT_DONE')],
  KVM_GET_TSC_OFFSET: [vcpu('REPORT_TSC_OFFSET')],
  KVM_SET_TSC_OFFSET: [SYNCHRONIZE_TSC, vcpu('REPORT_DONE')],
  KVM_HAS_TSC_SCALE: [vcpu('REPORT_DONE')],
  KVM_GET_TSC_SCALE: [vcpu('REPORT_TSC_SCALE')],
  // Nobody may set it: it is refused before.
  KVM_SET_TSC_SCALE: [vcpu('REPORT_DONE')],
  KVM_GET_CLOCK_GUEST: [when('isPageOutdated', GUEST_TIME_UPDATE), vcpu('REPORT_CLOCK_GUEST')],
  KVM_SET_CLOCK_GUEST: [SET_CLOCK_GUEST],
  KVM_GET_TSC_STATE: [vcpu('REPORT_TSC_STATE')],
  KVM_SET_TSC_STATE: [vcpu('SET_TSC_STATE'), vcpu('REPORT_DONE')],
  KVM_KVMCLOCK_CTRL: [vcpu('GUEST_PAUSED'), vcpu('REPORT_GUEST_PAUSED')],
  KVM_XEN_HVM_CONFIG: [
    when('changesXenTscUnstable', eachVcpu(vcpu('REQUEST_CLOCK_UPDATE'))),
    vm('XEN_CONFIG'),
  ],
  KVM_XEN_SET_LONG_MODE: [vm('XEN_LONG_MODE')],
  KVM_XEN_SET_SHARED_INFO: [
    when('placesSharedInfo', vm('XEN_WALL_CLOCK')),
    when('sharedInfoAsksForUpdate', eachVcpu(vcpu('REQUEST_XEN_UPDATE'))),
    vm('REPORT_DONE'),
  ],
  KVM_XEN_SET_VCPU_INFO: [vcpu('XEN_VCPU_INFO'), vcpu('REPORT_DONE')],
  KVM_XEN_SET_VCPU_TIME_INFO: [vcpu('XEN_VCPU_TIME_INFO'), vcpu('REPORT_DONE')],
  KVM_XEN_SET_RUNSTATE_ADDR: [vcpu('RUNSTATE_ADDR'), vcpu('REPORT_DONE')],
  KVM_XEN_SET_RUNSTATE_CURRENT: [CHANGE_RUNSTATE, vcpu('REPORT_DONE')],
  KVM_XEN_SET_RUNSTATE_DATA: [vcpu('RUNSTATE_DATA'), vcpu('REPORT_DONE')],
  KVM_XEN_SET_RUNSTATE_ADJUST: [
    vcpu('RUNSTATE_ADJUST'),
    when('adjustNamesState', CHANGE_RUNSTATE),
    vcpu('REPORT_DONE'),
  ],
  KVM_XEN_SET_TIMER: [
    vcpu('XEN_SET_TIMER'),
    when('startsXenTimer', vcpu('XEN_START_TIMER')),
    vcpu('REPORT_DONE'),
  ],
  KVM_XEN_VCPU_GET_ATTR: [vcpu('XEN_READ_ATTR'), vcpu('REPORT_DONE')],
  xen_hypercall: [
    when('startsXenTimer', vcpu('XEN_START_TIMER')),
    when('stopsXenTimer', vcpu('XEN_STOP_TIMER')),
    vcpu('XEN_HYPERCALL_DONE'),
  ],
  xen_timer: [vcpu('XEN_TIMER')],
  KVM_SET_CPUID2: [vcpu('XEN_SET_LEAF'), vcpu('REPORT_DONE')],
  cpuid: [
    when('cpuidAsksForClock', when('clockUpdateRequested', GUEST_TIME_UPDATE)),
    vcpu('XEN_READ_LEAF'),
  ],
  kvm_nested_vmenter: [vcpu('ENTER_L2')],
  kvm_nested_vmexit: [vcpu('LEAVE_L2')],
  kvm_hv_stimer_callback: [vcpu('STIMER_FIRED')],
  hv_message_slot: [vcpu('MESSAGE_SLOT')],
  protect_tsc: [vcpu('PROTECT_TSC')],
  tsc_deadline: [vcpu('FIRE_TSC_DEADLINE')],
  guest_clears_stopped: [vcpu('CLEAR_STOPPED_FLAG')],
  clock_pairing: [vcpu('PAIR_CLOCKS')],
};
