/** What each input does: the routes as code. Made of them by `npm run build`. */
import { CONDITIONS as is } from '../conditions.ts';
import type { MsrWalks, Walks } from '../plan.ts';
import type { Run } from '../run.ts';

function each_vcpu_REQUEST_MASTERCLOCK_UPDATE(run: Run): void {
  run.vcpuCell!.REQUEST_MASTERCLOCK_UPDATE(run);
}

function each_vm_each_vcpu_REQUEST_MASTERCLOCK_UPDATE(run: Run): void {
  run.eachVcpu(each_vcpu_REQUEST_MASTERCLOCK_UPDATE);
}

function each_vcpu_REQUEST_UPDATE_HERE(run: Run): void {
  run.vcpuCell!.REQUEST_UPDATE_HERE(run);
}

function each_vm_each_vcpu_REQUEST_UPDATE_HERE(run: Run): void {
  run.eachVcpu(each_vcpu_REQUEST_UPDATE_HERE);
}

function each_vcpu_GATHER_LARGEST_TSC(run: Run): void {
  run.hostCell.GATHER_LARGEST_TSC(run);
}

function each_vm_each_vcpu_GATHER_LARGEST_TSC(run: Run): void {
  run.eachVcpu(each_vcpu_GATHER_LARGEST_TSC);
}

function each_vcpu_BACKWARDS_TSC(run: Run): void {
  run.vcpuCell!.BACKWARDS_TSC(run);
}

function each_vm_BACKWARDS_TSC_each_vcpu_BACKWARDS_TSC(run: Run): void {
  run.vmOf!.cell.BACKWARDS_TSC(run);
  run.eachVcpu(each_vcpu_BACKWARDS_TSC);
}

function kvm_arch_enable_virtualization_cpu(run: Run): void {
  run.hostCell.CPU_ONLINE(run);
  run.hostCell.FORGET_LARGEST_TSC(run);
  run.eachVm(each_vm_each_vcpu_GATHER_LARGEST_TSC);
  run.hostCell.COMPARE_TSC(run);
  if (is.tscIsUnstable(run)) {
    run.eachVm(each_vm_each_vcpu_REQUEST_UPDATE_HERE);
  }
  if (is.tscIsBehind(run)) {
    run.hostCell.BACKWARDS_TSC(run);
    run.eachVm(each_vm_BACKWARDS_TSC_each_vcpu_BACKWARDS_TSC);
  }
}

function each_vcpu_if_hasKvmclock_GUEST_PAUSED(run: Run): void {
  if (is.hasKvmclock(run)) {
    run.vcpuCell!.GUEST_PAUSED(run);
  }
}

function each_vm_each_vcpu_if_hasKvmclock_GUEST_PAUSED(run: Run): void {
  run.eachVcpu(each_vcpu_if_hasKvmclock_GUEST_PAUSED);
}

function pvclock_update_vm_gtod_copy(run: Run): void {
  run.vmOf!.cell.UPDATE_COPY(run);
  if (is.masterclockIsOn(run)) {
    run.hostCell.MASTERCLOCK_TAKEN(run);
  }
}

function kvm_arch_vcpu_load(run: Run): void {
  if (is.tscLostTime(run)) {
    run.vcpuCell!.APPLY_TSC_ADJUSTMENT(run);
  }
  if (is.loadMatters(run)) {
    if (is.loadSeesBackwardsTsc(run)) {
      run.hostCell.TSC_UNSTABLE(run);
    }
    if (is.tscIsUnstable(run)) {
      run.vcpuCell!.LOAD_UNSTABLE(run);
    }
    run.vcpuCell!.RESTART_DEADLINE(run);
    if (!is.loadTakesGlobalUpdate(run)) {
      run.vcpuCell!.ASK_FOR_UPDATE(run);
    }
    if (is.loadTakesGlobalUpdate(run)) {
      run.vcpuCell!.ASK_FOR_UPDATE(run);
      run.vmOf!.cell.COUNT_GLOBAL_UPDATE(run);
    }
  }
  run.vcpuCell!.LOAD(run);
}

function each_vcpu_if_destroyLoads_kvm_arch_vcpu_load_PUT_DESTROY_VCPU(run: Run): void {
  if (is.destroyLoads(run)) {
    kvm_arch_vcpu_load(run);
    run.vcpuCell!.PUT(run);
  }
  run.vcpuCell!.DESTROY_VCPU(run);
}

function each_vcpu_SERVE_MASTERCLOCK_UPDATE(run: Run): void {
  run.vcpuCell!.SERVE_MASTERCLOCK_UPDATE(run);
}

function each_vcpu_REQUEST_CLOCK_UPDATE(run: Run): void {
  run.vcpuCell!.REQUEST_CLOCK_UPDATE(run);
}

function kvm_end_pvclock_update(run: Run): void {
  run.eachVcpu(each_vcpu_REQUEST_CLOCK_UPDATE);
  if (is.updateArmsSyncWork(run)) {
    run.vmOf!.cell.ARM_SYNC_WORK(run);
  }
}

function kvm_update_masterclock(run: Run): void {
  run.vmOf!.cell.HV_PAGE_REQUEST(run);
  if (is.answersAllRequests(run)) {
    run.eachVcpu(each_vcpu_SERVE_MASTERCLOCK_UPDATE);
  }
  pvclock_update_vm_gtod_copy(run);
  kvm_end_pvclock_update(run);
}

function kvm_vm_ioctl_set_clock(run: Run): void {
  if (is.updatesBeforeSetting(run)) {
    kvm_update_masterclock(run);
  }
  if (is.setsAgainstBase(run)) {
    run.vmOf!.cell.SET_CLOCK_AGAINST_BASE(run);
  }
  if (is.setsAgainstNow(run)) {
    run.vmOf!.cell.SET_CLOCK_AGAINST_NOW(run);
  }
  if (is.setsAgainstReference(run)) {
    run.vmOf!.cell.SET_CLOCK_AGAINST_REFERENCE(run);
  }
  if (!is.updatesBeforeSetting(run)) {
    kvm_update_masterclock(run);
  }
  run.eachVcpu(each_vcpu_REQUEST_CLOCK_UPDATE);
  run.vmOf!.cell.REPORT_DONE(run);
}

function each_vcpu_COMPARE_FREQUENCY(run: Run): void {
  run.vmOf!.cell.COMPARE_FREQUENCY(run);
}

function kvm_track_tsc_matching(run: Run): void {
  if (is.scansFrequencies(run)) {
    run.vmOf!.cell.BEGIN_FREQUENCY_SCAN(run);
    run.eachVcpu(each_vcpu_COMPARE_FREQUENCY);
  }
  run.vcpuCell!.TRACK_TSC(run);
  run.vmOf!.cell.TRACE_TRACK_TSC(run);
}

function kvm_synchronize_tsc(run: Run): void {
  if (is.tscIsOurs(run)) {
    run.vmOf!.cell.SYNCHRONIZE_TSC(run);
    run.vcpuCell!.ADOPT_SYNCHRONIZATION(run);
    if (is.tracksWrites(run)) {
      kvm_track_tsc_matching(run);
    }
  }
  if (!is.tscIsOurs(run)) {
    if (is.notesUserFirst(run)) {
      run.vmOf!.cell.NOTE_USER_TSC(run);
    }
  }
}

function kvm_set_tsc_khz(run: Run): void {
  run.vcpuCell!.SET_TSC_KHZ(run);
  if (is.rematchesNow(run)) {
    kvm_track_tsc_matching(run);
  }
  if (is.keepsTscGoing(run)) {
    kvm_synchronize_tsc(run);
  }
}

function kvm_gen_kvmclock_update(run: Run): void {
  if (is.updatesOthersLater(run)) {
    run.vcpuCell!.REQUEST_CLOCK_UPDATE(run);
    run.vmOf!.cell.QUEUE_UPDATE_WORK(run);
  }
  if (!is.updatesOthersLater(run)) {
    run.eachVcpu(each_vcpu_REQUEST_CLOCK_UPDATE);
  }
}

function kvm_guest_time_update(run: Run): void {
  run.vcpuCell!.SERVE_CLOCK_UPDATE(run);
  run.vcpuCell!.GUEST_TIME_UPDATE(run);
  if (is.pageIsUpToDate(run)) {
    if (is.updatesHvPageFirst(run)) {
      run.vmOf!.cell.HV_PAGE(run);
    }
    run.vcpuCell!.XEN_TIME_UPDATE(run);
    if (is.updatesHvPageLast(run)) {
      run.vmOf!.cell.HV_PAGE(run);
    }
  }
}

function record_steal_time(run: Run): void {
  if (is.countsRunstate(run)) {
    if (is.runstateMoves(run)) {
      run.vcpuCell!.RUNSTATE_CHANGE(run);
    }
  }
  if (!is.countsRunstate(run)) {
    run.vcpuCell!.RECORD_STEAL_TIME(run);
  }
}

function vcpu_enter_guest(run: Run): void {
  if (is.migrateTimerRequested(run)) {
    run.vcpuCell!.SERVE_MIGRATE_TIMER(run);
  }
  if (is.masterclockUpdateRequested(run)) {
    run.vcpuCell!.SERVE_MASTERCLOCK_UPDATE(run);
    kvm_update_masterclock(run);
  }
  if (is.globalClockUpdateRequested(run)) {
    run.vcpuCell!.SERVE_GLOBAL_CLOCK_UPDATE(run);
    kvm_gen_kvmclock_update(run);
  }
  if (is.clockUpdateRequested(run)) {
    kvm_guest_time_update(run);
  }
  if (is.pageIsUpToDate(run)) {
    if (is.stealUpdateRequested(run)) {
      run.vcpuCell!.SERVE_STEAL_UPDATE(run);
      record_steal_time(run);
    }
    if (is.hvStimerRequested(run)) {
      run.vcpuCell!.SERVE_HV_STIMER(run);
      run.vcpuCell!.PROCESS_STIMERS(run);
    }
  }
}

function kvm_vcpu_ioctl_set_clock_guest(run: Run): void {
  run.vmOf!.cell.HV_PAGE_REQUEST(run);
  if (is.answersAllRequests(run)) {
    run.eachVcpu(each_vcpu_SERVE_MASTERCLOCK_UPDATE);
  }
  pvclock_update_vm_gtod_copy(run);
  run.vmOf!.cell.SET_CLOCK_GUEST(run);
  kvm_end_pvclock_update(run);
  run.vcpuCell!.REPORT_CLOCK_GUEST_SET(run);
}

function each_vcpu_REQUEST_XEN_UPDATE(run: Run): void {
  run.vcpuCell!.REQUEST_XEN_UPDATE(run);
}

function msr_6e0(run: Run): void {
  run.vcpuCell!.SET_TSC_DEADLINE(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function kvm_write_system_time(run: Run): void {
  if (is.bootVcpuChangesMsr(run)) {
    run.vcpuCell!.BOOT_VCPU_CHANGES_MSR(run);
  }
  if (is.bootVcpuWrites(run)) {
    run.vmOf!.cell.NOTE_BOOT_VCPU_MSR(run);
  }
  if (is.restartsClock(run)) {
    run.vmOf!.cell.RESTART_CLOCK(run);
  }
  run.vcpuCell!.SYSTEM_TIME_MSR(run);
}

function msr_12(run: Run): void {
  kvm_write_system_time(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_4b564d01(run: Run): void {
  kvm_write_system_time(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_11(run: Run): void {
  run.vmOf!.cell.WRITE_WALL_CLOCK(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_4b564d00(run: Run): void {
  run.vmOf!.cell.WRITE_WALL_CLOCK(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_4b564d03(run: Run): void {
  run.vcpuCell!.STEAL_TIME_MSR(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_40000021(run: Run): void {
  run.vmOf!.cell.HV_REFERENCE_TSC(run);
  if (is.asksForHvPage(run)) {
    run.vcpuCell!.REQUEST_HV_UPDATE(run);
  }
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_40000020(run: Run): void {
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_40000107(run: Run): void {
  run.vmOf!.cell.HV_EMULATION_CONTROL(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_40000106(run: Run): void {
  run.vmOf!.cell.HV_REENLIGHTENMENT_CONTROL(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_40000108(run: Run): void {
  run.vmOf!.cell.HV_EMULATION_STATUS(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_40000118(run: Run): void {
  run.vmOf!.cell.HV_INVTSC_CONTROL(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_400000b0(run: Run): void {
  run.vcpuCell!.STIMER_CONFIG_MSR(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_400000b1(run: Run): void {
  run.vcpuCell!.STIMER_COUNT_MSR(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_400000b2(run: Run): void {
  run.vcpuCell!.STIMER_CONFIG_MSR(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_400000b3(run: Run): void {
  run.vcpuCell!.STIMER_COUNT_MSR(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_400000b4(run: Run): void {
  run.vcpuCell!.STIMER_CONFIG_MSR(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_400000b5(run: Run): void {
  run.vcpuCell!.STIMER_COUNT_MSR(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_400000b6(run: Run): void {
  run.vcpuCell!.STIMER_CONFIG_MSR(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_400000b7(run: Run): void {
  run.vcpuCell!.STIMER_COUNT_MSR(run);
  run.vcpuCell!.MSR_WRITTEN(run);
}

function msr_c0000104(run: Run): void {
  if (!is.ignoresTscRatio(run)) {
    run.vcpuCell!.TSC_RATIO_MSR(run);
  }
  run.vcpuCell!.MSR_WRITTEN(run);
}

/** By the type of the input. */
export const WALKS: Walks = {
  timekeeping_update(run) {
    run.hostCell.TIMEKEEPING_UPDATE(run);
  },
  adjtimex(run) {
    run.hostCell.STEER(run);
  },
  clock_settime(run) {
    run.hostCell.SET_REALTIME(run);
  },
  change_clocksource(run) {
    run.hostCell.CHANGE_CLOCKSOURCE(run);
  },
  mark_tsc_unstable(run) {
    run.hostCell.TSC_UNSTABLE(run);
  },
  pvclock_gtod_work(run) {
    run.hostCell.GTOD_WORK(run);
    run.eachVm(each_vm_each_vcpu_REQUEST_MASTERCLOCK_UPDATE);
  },
  cpufreq(run) {
    if (is.tscFollowsCpu(run)) {
      run.hostCell.SET_CPU_KHZ(run);
      run.eachVm(each_vm_each_vcpu_REQUEST_UPDATE_HERE);
    }
  },
  cpu_offline(run) {
    run.hostCell.CPU_OFFLINE(run);
  },
  cpu_online(run) {
    kvm_arch_enable_virtualization_cpu(run);
  },
  suspend(run) {
    if (is.suspendStopsGuests(run)) {
      run.eachVm(each_vm_each_vcpu_if_hasKvmclock_GUEST_PAUSED);
    }
    run.hostCell.SUSPEND(run);
  },
  timekeeping_suspend(run) {
    run.hostCell.STOP_CLOCKS(run);
  },
  resume(run) {
    run.hostCell.RESUME(run);
    kvm_arch_enable_virtualization_cpu(run);
  },
  suspend_end(run) {
    run.hostCell.SUSPEND_END(run);
  },
  KVM_CREATE_VM(run) {
    run.vmOf!.cell.CREATE_VM(run);
    pvclock_update_vm_gtod_copy(run);
  },
  destroy_vm(run) {
    run.eachVcpu(each_vcpu_if_destroyLoads_kvm_arch_vcpu_load_PUT_DESTROY_VCPU);
    run.vmOf!.cell.DESTROY_VM(run);
  },
  KVM_GET_CLOCK(run) {
    run.vmOf!.cell.GET_CLOCK(run);
  },
  KVM_SET_CLOCK(run) {
    kvm_vm_ioctl_set_clock(run);
  },
  KVM_SET_VM_TSC_KHZ(run) {
    run.vmOf!.cell.SET_DEFAULT_TSC_KHZ(run);
  },
  KVM_GET_VM_TSC_KHZ(run) {
    run.vmOf!.cell.REPORT_DEFAULT_TSC_KHZ(run);
  },
  KVM_CAP_DISABLE_QUIRKS(run) {
    run.vmOf!.cell.DISABLE_QUIRKS(run);
  },
  kvmclock_update_work(run) {
    run.vmOf!.cell.UPDATE_WORK(run);
    run.eachVcpu(each_vcpu_REQUEST_CLOCK_UPDATE);
  },
  kvmclock_sync_work(run) {
    run.vmOf!.cell.SYNC_WORK(run);
    if (is.syncWorkGoesOn(run)) {
      run.vmOf!.cell.QUEUE_UPDATE_WORK(run);
    }
  },
  KVM_CREATE_VCPU(run) {
    run.vcpuCell!.CREATE_VCPU(run);
    if (is.setsKhzBeforeLoad(run)) {
      kvm_set_tsc_khz(run);
    }
    kvm_arch_vcpu_load(run);
    if (!is.setsKhzBeforeLoad(run)) {
      kvm_set_tsc_khz(run);
    }
    run.vcpuCell!.PUT(run);
    run.vmOf!.cell.COUNT_VCPU(run);
  },
  vcpu_postcreate(run) {
    kvm_arch_vcpu_load(run);
    kvm_synchronize_tsc(run);
    run.vcpuCell!.PUT(run);
    run.vcpuCell!.POSTCREATE(run);
    if (is.armsSyncWork(run)) {
      run.vmOf!.cell.ARM_SYNC_WORK(run);
    }
  },
  vcpu_reset(run) {
    run.vcpuCell!.RESET(run);
  },
  vcpu_load(run) {
    kvm_arch_vcpu_load(run);
  },
  vcpu_put(run) {
    if (is.putChangesRunstate(run)) {
      if (is.runstateMoves(run)) {
        run.vcpuCell!.RUNSTATE_CHANGE(run);
      }
    }
    run.vcpuCell!.PUT(run);
  },
  vcpu_requests(run) {
    if (is.anyRequested(run)) {
      vcpu_enter_guest(run);
    }
  },
  kvm_entry(run) {
    if (is.anyRequested(run)) {
      vcpu_enter_guest(run);
    }
    if (is.pageIsUpToDate(run)) {
      run.vcpuCell!.ENTER(run);
    }
  },
  kvm_exit(run) {
    run.vcpuCell!.EXIT(run);
  },
  rdtsc(run) {
    run.vcpuCell!.READ_TSC(run);
  },
  rdmsr(run) {
    run.vcpuCell!.READ_MSR(run);
  },
  KVM_GET_MSRS(run) {
    run.vcpuCell!.READ_MSR(run);
  },
  KVM_SET_TSC_KHZ(run) {
    kvm_set_tsc_khz(run);
    run.vcpuCell!.REPORT_TSC_KHZ_SET(run);
  },
  KVM_GET_TSC_KHZ(run) {
    run.vcpuCell!.REPORT_TSC_KHZ(run);
  },
  KVM_HAS_TSC_OFFSET(run) {
    run.vcpuCell!.REPORT_DONE(run);
  },
  KVM_GET_TSC_OFFSET(run) {
    run.vcpuCell!.REPORT_TSC_OFFSET(run);
  },
  KVM_SET_TSC_OFFSET(run) {
    kvm_synchronize_tsc(run);
    run.vcpuCell!.REPORT_DONE(run);
  },
  KVM_HAS_TSC_SCALE(run) {
    run.vcpuCell!.REPORT_DONE(run);
  },
  KVM_GET_TSC_SCALE(run) {
    run.vcpuCell!.REPORT_TSC_SCALE(run);
  },
  KVM_SET_TSC_SCALE(run) {
    run.vcpuCell!.REPORT_DONE(run);
  },
  KVM_GET_CLOCK_GUEST(run) {
    if (is.isPageOutdated(run)) {
      kvm_guest_time_update(run);
    }
    run.vcpuCell!.REPORT_CLOCK_GUEST(run);
  },
  KVM_SET_CLOCK_GUEST(run) {
    kvm_vcpu_ioctl_set_clock_guest(run);
  },
  KVM_GET_TSC_STATE(run) {
    run.vcpuCell!.REPORT_TSC_STATE(run);
  },
  KVM_SET_TSC_STATE(run) {
    run.vcpuCell!.SET_TSC_STATE(run);
    run.vcpuCell!.REPORT_DONE(run);
  },
  KVM_KVMCLOCK_CTRL(run) {
    run.vcpuCell!.GUEST_PAUSED(run);
    run.vcpuCell!.REPORT_GUEST_PAUSED(run);
  },
  KVM_XEN_HVM_CONFIG(run) {
    if (is.changesXenTscUnstable(run)) {
      run.eachVcpu(each_vcpu_REQUEST_CLOCK_UPDATE);
    }
    run.vmOf!.cell.XEN_CONFIG(run);
  },
  KVM_XEN_SET_LONG_MODE(run) {
    run.vmOf!.cell.XEN_LONG_MODE(run);
  },
  KVM_XEN_SET_SHARED_INFO(run) {
    if (is.placesSharedInfo(run)) {
      run.vmOf!.cell.XEN_WALL_CLOCK(run);
    }
    if (is.sharedInfoAsksForUpdate(run)) {
      run.eachVcpu(each_vcpu_REQUEST_XEN_UPDATE);
    }
    run.vmOf!.cell.REPORT_DONE(run);
  },
  KVM_XEN_SET_VCPU_INFO(run) {
    run.vcpuCell!.XEN_VCPU_INFO(run);
    run.vcpuCell!.REPORT_DONE(run);
  },
  KVM_XEN_SET_VCPU_TIME_INFO(run) {
    run.vcpuCell!.XEN_VCPU_TIME_INFO(run);
    run.vcpuCell!.REPORT_DONE(run);
  },
  KVM_XEN_SET_RUNSTATE_ADDR(run) {
    run.vcpuCell!.RUNSTATE_ADDR(run);
    run.vcpuCell!.REPORT_DONE(run);
  },
  KVM_XEN_SET_RUNSTATE_CURRENT(run) {
    if (is.runstateMoves(run)) {
      run.vcpuCell!.RUNSTATE_CHANGE(run);
    }
    run.vcpuCell!.REPORT_DONE(run);
  },
  KVM_XEN_SET_RUNSTATE_DATA(run) {
    run.vcpuCell!.RUNSTATE_DATA(run);
    run.vcpuCell!.REPORT_DONE(run);
  },
  KVM_XEN_SET_RUNSTATE_ADJUST(run) {
    run.vcpuCell!.RUNSTATE_ADJUST(run);
    if (is.adjustNamesState(run)) {
      if (is.runstateMoves(run)) {
        run.vcpuCell!.RUNSTATE_CHANGE(run);
      }
    }
    run.vcpuCell!.REPORT_DONE(run);
  },
  KVM_XEN_SET_TIMER(run) {
    run.vcpuCell!.XEN_SET_TIMER(run);
    if (is.startsXenTimer(run)) {
      run.vcpuCell!.XEN_START_TIMER(run);
    }
    run.vcpuCell!.REPORT_DONE(run);
  },
  KVM_XEN_VCPU_GET_ATTR(run) {
    run.vcpuCell!.XEN_READ_ATTR(run);
    run.vcpuCell!.REPORT_DONE(run);
  },
  xen_hypercall(run) {
    if (is.startsXenTimer(run)) {
      run.vcpuCell!.XEN_START_TIMER(run);
    }
    if (is.stopsXenTimer(run)) {
      run.vcpuCell!.XEN_STOP_TIMER(run);
    }
    run.vcpuCell!.XEN_HYPERCALL_DONE(run);
  },
  xen_timer(run) {
    run.vcpuCell!.XEN_TIMER(run);
  },
  KVM_SET_CPUID2(run) {
    run.vcpuCell!.XEN_SET_LEAF(run);
    run.vcpuCell!.REPORT_DONE(run);
  },
  cpuid(run) {
    if (is.cpuidAsksForClock(run)) {
      if (is.clockUpdateRequested(run)) {
        kvm_guest_time_update(run);
      }
    }
    run.vcpuCell!.XEN_READ_LEAF(run);
  },
  kvm_nested_vmenter(run) {
    run.vcpuCell!.ENTER_L2(run);
  },
  kvm_nested_vmexit(run) {
    run.vcpuCell!.LEAVE_L2(run);
  },
  kvm_hv_stimer_callback(run) {
    run.vcpuCell!.STIMER_FIRED(run);
  },
  hv_message_slot(run) {
    run.vcpuCell!.MESSAGE_SLOT(run);
  },
  protect_tsc(run) {
    run.vcpuCell!.PROTECT_TSC(run);
  },
  tsc_deadline(run) {
    run.vcpuCell!.FIRE_TSC_DEADLINE(run);
  },
  guest_clears_stopped(run) {
    run.vcpuCell!.CLEAR_STOPPED_FLAG(run);
  },
  clock_pairing(run) {
    run.vcpuCell!.PAIR_CLOCKS(run);
  },
};

/** Of writes to MSRs, by the MSR. */
export const MSR_WALKS: MsrWalks = new Map([
  [
    0x10,
    {
      wrmsr(run) {
        if (is.guestSynchronizes(run)) {
          kvm_synchronize_tsc(run);
        }
        if (!is.guestSynchronizes(run)) {
          run.vcpuCell!.WRITE_GUEST_TSC(run);
        }
        run.vcpuCell!.MSR_WRITTEN(run);
      },
      KVM_SET_MSRS(run) {
        if (is.hasTscHostAccess(run)) {
          kvm_synchronize_tsc(run);
        }
        if (!is.hasTscHostAccess(run)) {
          run.vcpuCell!.WRITE_GUEST_TSC(run);
        }
        run.vcpuCell!.MSR_WRITTEN(run);
      },
    },
  ],
  [
    0x3b,
    {
      wrmsr(run) {
        if (is.adjustSynchronizes(run)) {
          kvm_synchronize_tsc(run);
          if (is.adjustRaisesClockUpdate(run)) {
            run.vcpuCell!.REQUEST_CLOCK_UPDATE(run);
          }
        }
        if (!is.adjustSynchronizes(run)) {
          run.vcpuCell!.ADJUST_GUEST_TSC(run);
        }
        run.vcpuCell!.MSR_WRITTEN(run);
      },
      KVM_SET_MSRS(run) {
        if (is.hasTscHostAccess(run)) {
          run.vcpuCell!.STORE_TSC_ADJUST(run);
        }
        if (!is.hasTscHostAccess(run)) {
          run.vcpuCell!.ADJUST_GUEST_TSC(run);
        }
        run.vcpuCell!.MSR_WRITTEN(run);
      },
    },
  ],
  [0x6e0, { wrmsr: msr_6e0, KVM_SET_MSRS: msr_6e0 }],
  [0x12, { wrmsr: msr_12, KVM_SET_MSRS: msr_12 }],
  [0x4b564d01, { wrmsr: msr_4b564d01, KVM_SET_MSRS: msr_4b564d01 }],
  [0x11, { wrmsr: msr_11, KVM_SET_MSRS: msr_11 }],
  [0x4b564d00, { wrmsr: msr_4b564d00, KVM_SET_MSRS: msr_4b564d00 }],
  [0x4b564d03, { wrmsr: msr_4b564d03, KVM_SET_MSRS: msr_4b564d03 }],
  [0x40000021, { wrmsr: msr_40000021, KVM_SET_MSRS: msr_40000021 }],
  [0x40000020, { wrmsr: msr_40000020, KVM_SET_MSRS: msr_40000020 }],
  [0x40000107, { wrmsr: msr_40000107, KVM_SET_MSRS: msr_40000107 }],
  [0x40000106, { wrmsr: msr_40000106, KVM_SET_MSRS: msr_40000106 }],
  [0x40000108, { wrmsr: msr_40000108, KVM_SET_MSRS: msr_40000108 }],
  [0x40000118, { wrmsr: msr_40000118, KVM_SET_MSRS: msr_40000118 }],
  [0x400000b0, { wrmsr: msr_400000b0, KVM_SET_MSRS: msr_400000b0 }],
  [0x400000b1, { wrmsr: msr_400000b1, KVM_SET_MSRS: msr_400000b1 }],
  [0x400000b2, { wrmsr: msr_400000b2, KVM_SET_MSRS: msr_400000b2 }],
  [0x400000b3, { wrmsr: msr_400000b3, KVM_SET_MSRS: msr_400000b3 }],
  [0x400000b4, { wrmsr: msr_400000b4, KVM_SET_MSRS: msr_400000b4 }],
  [0x400000b5, { wrmsr: msr_400000b5, KVM_SET_MSRS: msr_400000b5 }],
  [0x400000b6, { wrmsr: msr_400000b6, KVM_SET_MSRS: msr_400000b6 }],
  [0x400000b7, { wrmsr: msr_400000b7, KVM_SET_MSRS: msr_400000b7 }],
  [0xc0000104, { wrmsr: msr_c0000104, KVM_SET_MSRS: msr_c0000104 }],
]);
