/**
 * The clock reads of the kernel's clock code, by name.
 *
 * An input has one instant, but the code it runs may read a clock at other, slightly later ones. A
 * recording or a log can tell such a reading; one that is not told is derived from the input's
 * instant and the host's timekeepers, and counted as derived.
 */
export const READINGS = {
  'snapshot.tsc': 'host TSC of a masterclock snapshot (master_cycle_now)',
  'snapshot.ns': 'base clock of that snapshot, ns (master_kernel_ns)',
  'sync.tsc': 'host TSC read by kvm_synchronize_tsc',
  'sync.ns': 'base clock read there, ns',
  'sync.tsc2': 'host TSC read there again, for a match while the TSC is unstable',
  'write.tsc': 'host TSC read for a guest’s own write of its TSC',
  'khz.tsc': 'host TSC read before a new frequency, for the TSC to go on from',
  'load.tsc': 'host TSC read by vcpu_load, against the last one of this vCPU',
  'load.tsc2': 'host TSC read there again, for the offset while the TSC is unstable',
  'put.tsc': 'host TSC read by vcpu_put',
  'exit.tsc': 'host TSC read after a VM exit',
  'update.tsc': 'host TSC of a page written without masterclock',
  'update.ns': 'base clock of that page, ns',
  'catchup.tsc': 'host TSC at which a TSC that catches up is compared, with masterclock',
  'catchup.ns': 'base clock of that comparison, ns',
  'create.tsc': 'host TSC when a VM is created that is seeded with a TSC generation',
  'create.ns': 'base clock when the VM is created, ns',
  'enable.tsc': 'host TSC when a CPU is enabled',
  'getClock.tsc': 'host TSC at which a VM’s clock is read',
  'getClock.ns': 'base clock at which it is read without masterclock, ns',
  'wallClock.ns': 'CLOCK_REALTIME read by a wall clock write apart from the VM’s clock, ns',
  'realtime.ns':
    'CLOCK_REALTIME read by KVM_SET_CLOCK, KVM_GET_CLOCK, a wall clock write or …_TSC_STATE, ns',
  'setClock.ns': 'base clock read by KVM_SET_CLOCK without masterclock, ns',
  'timer.tsc': 'host TSC at which CLOCK_MONOTONIC is read to arm a timer',
  'restart.ns': 'base clock at which vCPU 0’s SYSTEM_TIME write starts the clock again, ns',
  run_delay: 'time the vCPU’s thread has waited for a CPU, ns',
} as const;

/** Name of a clock read. */
export type ReadingName = keyof typeof READINGS;
