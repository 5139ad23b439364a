import type { Ioctl } from '../../events/index.ts';
import type { SeenWrite } from '../assimilate/rows.ts';
import type { Recompute } from '../causes.ts';
import type { FdTable } from './fd-table.ts';
import type { Vcpu, Vm } from './vm.ts';

/**
 * An ioctl in progress and what its file descriptor stands for, as far as that is known. There are
 * millions of them and a thread has one at a time, so each thread has one object for all of its own.
 */
export class Call {
  fd = 0;
  /** Its argument, the low half: a value or part of an address. */
  arg = 0;
  /** `undefined` for ioctls that have nothing to do with clocks. */
  ioctl: Ioctl | undefined;
  vm: Vm | undefined;
  vcpu: Vcpu | undefined;
  /** The vCPU did not exist before this KVM_CREATE_VCPU. */
  creates = false;
  /** A TSC offset was written inside. */
  wroteOffset = false;
  /** The masterclock was recomputed inside. */
  recomputed = false;
  /** In a cell: a bigint in a field is an object of its own. */
  readonly #since = new BigUint64Array(1);

  /** Instant of its entry, ticks. */
  get since(): bigint {
    return this.#since[0]!;
  }

  /** Another ioctl is entered at `ticks[row]`, on `fd`. */
  begin(fd: number, arg: number, ticks: BigUint64Array, row: number): void {
    this.fd = fd;
    this.arg = arg;
    this.#since[0] = ticks[row]!;
    this.ioctl = undefined;
    this.vm = undefined;
    this.vcpu = undefined;
    this.creates = false;
    this.wroteOffset = false;
    this.recomputed = false;
  }
}

/** A host thread of the recording. */
export class Thread {
  readonly tid: number;
  /** 0 while the recording has not shown it. */
  tgid: number;
  readonly comm: string;
  /** Instant of its first event, ticks. */
  readonly since: bigint;
  /** The file descriptors it shares with its process, once known. */
  fds: FdTable | undefined;
  /** The ioctl that it entered last. */
  readonly lastCall = new Call();
  /** The same while it is in progress and belongs to KVM. */
  call: Call | undefined;
  /** vCPUs it was seen to carry where no ioctl told which they are, by vCPU id. */
  readonly carried = new Map<number, Vcpu>();
  /** The same by the descriptor it called on, where the descriptor's creation was not recorded. */
  readonly carriedByFd = new Map<number, Vcpu>();
  /** The vCPU it called KVM_RUN on; `several` if there was more than one. */
  ran: Vcpu | 'several' | undefined;
  /** The vCPU that its last event was about. */
  vcpu: Vcpu | undefined;
  /** The masterclock recomputation it made last, until its next page tells of which VM. */
  recompute: Recompute | undefined;
  /** Writes of TSC offsets that nothing has explained yet. */
  unexplained: SeenWrite[] = [];

  constructor(tid: number, tgid: number, comm: string, since: bigint) {
    this.tid = tid;
    this.tgid = tgid;
    this.comm = comm;
    this.since = since;
  }
}
