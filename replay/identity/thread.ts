import type { Ioctl } from '../../events/index.ts';
import type { FdTable } from './fd-table.ts';
import type { Vcpu, Vm } from './vm.ts';

/** An ioctl in progress and what its file descriptor stands for, as far as that is known. */
export interface Call {
  readonly cmd: number;
  /** `undefined` for ioctls that have nothing to do with clocks. */
  readonly ioctl: Ioctl | undefined;
  readonly vm: Vm | undefined;
  readonly vcpu: Vcpu | undefined;
  /** The vCPU did not exist before this KVM_CREATE_VCPU. */
  readonly creates: boolean;
}

/** A host thread of the recording. */
export class Thread {
  readonly tid: number;
  /** 0 while the recording has not shown it. */
  tgid: number;
  comm: string;
  /** The file descriptors it shares with its process, once known. */
  fds: FdTable | undefined;
  call: Call | undefined;
  /** vCPUs it was seen to carry where no ioctl told which they are, by vCPU id. */
  readonly carried = new Map<number, Vcpu>();
  /** The vCPU it called KVM_RUN on; `several` if there was more than one. */
  ran: Vcpu | 'several' | undefined;
  /** The vCPU it entered or left last. */
  vcpu: Vcpu | undefined;

  constructor(tid: number, tgid: number, comm: string) {
    this.tid = tid;
    this.tgid = tgid;
    this.comm = comm;
  }
}
