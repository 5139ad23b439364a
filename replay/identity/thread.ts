import type { Ioctl } from '../../events/index.ts';
import type { FdTable } from './fd-table.ts';
import type { Vcpu, Vm } from './vm.ts';

/** An ioctl in progress and what its file descriptor stands for, as far as that is known. */
export interface Call {
  readonly fd: number;
  /** `undefined` for ioctls that have nothing to do with clocks. */
  readonly ioctl: Ioctl | undefined;
  /** Instant of its entry, ticks. */
  readonly since: bigint;
  readonly vm: Vm | undefined;
  readonly vcpu: Vcpu | undefined;
  /** The vCPU did not exist before this KVM_CREATE_VCPU. */
  readonly creates: boolean;
  /** A TSC offset was written inside. */
  wroteOffset: boolean;
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
  call: Call | undefined;
  /** vCPUs it was seen to carry where no ioctl told which they are, by vCPU id. */
  readonly carried = new Map<number, Vcpu>();
  /** The same by the descriptor it called on, where the descriptor's creation was not recorded. */
  readonly carriedByFd = new Map<number, Vcpu>();
  /** The vCPU it called KVM_RUN on; `several` if there was more than one. */
  ran: Vcpu | 'several' | undefined;
  /** The vCPU that its last event was about. */
  vcpu: Vcpu | undefined;

  constructor(tid: number, tgid: number, comm: string, since: bigint) {
    this.tid = tid;
    this.tgid = tgid;
    this.comm = comm;
    this.since = since;
  }
}
