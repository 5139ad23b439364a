/**
 * A trace as steps: what each thread did, in the order in which it began, with the clock's
 * tracepoints that belong to it.
 *
 * A thread's clock tracepoints come before the event that ends what caused them: those of serving
 * requests before kvm_entry, those of a WRMSR before kvm_msr, those of an ioctl before its return.
 * So they are gathered until the thread's next such event. A step's instant is that of the first of
 * them, so that a step that changed another vCPU stands before that one's.
 */
import type { EventOf, TraceEvent } from '../../events/index.ts';
import { type ClockEvent, isClockEvent } from '../assimilate/tracepoints.ts';

/** An ioctl in flight or done. */
interface IoctlCall {
  readonly fd: number;
  readonly cmd: number;
  readonly arg: bigint;
}

/** What a step is. */
type StepCause =
  | { readonly kind: 'op'; readonly index: number }
  | { readonly kind: 'ioctl-enter'; readonly call: IoctlCall }
  | { readonly kind: 'ioctl-exit'; readonly call: IoctlCall; readonly ret: bigint }
  | { readonly kind: 'entry'; readonly call: IoctlCall | undefined }
  | { readonly kind: 'exit'; readonly call: IoctlCall | undefined }
  | {
      readonly kind: 'msr';
      readonly call: IoctlCall | undefined;
      readonly event: EventOf<'kvm_msr'>;
    }
  | { readonly kind: 'suspend'; readonly event: EventOf<'suspend_resume'> }
  /** Clock tracepoints outside any ioctl: closing the file descriptors of a VM. */
  | { readonly kind: 'release' };

/** One step. */
export type Step = StepCause & {
  /** When it began, ticks. */
  readonly timestamp: bigint;
  readonly cpu: number;
  readonly tid: number;
  /** The clock tracepoints of it, in order. */
  readonly recorded: readonly ClockEvent[];
};

/** A thread between two steps. */
interface ThreadState {
  call: IoctlCall | undefined;
  recorded: ClockEvent[];
}

const OP = /^op (\d+) /;

/** Gathers steps from events. */
class Gatherer {
  readonly steps: Step[] = [];
  readonly #threads = new Map<number, ThreadState>();

  #thread(tid: number): ThreadState {
    let thread = this.#threads.get(tid);
    if (thread === undefined) {
      thread = { call: undefined, recorded: [] };
      this.#threads.set(tid, thread);
    }
    return thread;
  }

  #add(event: TraceEvent, cause: StepCause): void {
    const thread = this.#thread(event.tid);
    const timestamp = thread.recorded[0]?.timestamp ?? event.timestamp;
    const { cpu, tid } = event;
    this.steps.push({ ...cause, timestamp, cpu, tid, recorded: thread.recorded });
    thread.recorded = [];
  }

  /** Tracepoints that nothing in flight explains. */
  #release(event: TraceEvent): void {
    const thread = this.#thread(event.tid);
    if (thread.call === undefined && thread.recorded.length > 0) {
      this.#add(event, { kind: 'release' });
    }
  }

  take(event: TraceEvent): void {
    const thread = this.#thread(event.tid);
    const { call } = thread;
    if (isClockEvent(event)) {
      thread.recorded.push(event);
      return;
    }
    switch (event.type) {
      case 'marker': {
        this.#release(event);
        const index = OP.exec(event.text)?.[1];
        if (index !== undefined) this.#add(event, { kind: 'op', index: Number(index) });
        break;
      }
      case 'sys_enter_ioctl':
        this.#release(event);
        thread.call = { fd: event.fd, cmd: event.cmd, arg: event.arg };
        this.#add(event, { kind: 'ioctl-enter', call: thread.call });
        break;
      case 'sys_exit_ioctl':
        if (call !== undefined) this.#add(event, { kind: 'ioctl-exit', call, ret: event.ret });
        thread.call = undefined;
        break;
      case 'kvm_entry':
        this.#add(event, { kind: 'entry', call });
        break;
      case 'kvm_exit':
        this.#add(event, { kind: 'exit', call });
        break;
      case 'kvm_msr':
        this.#add(event, { kind: 'msr', call, event });
        break;
      case 'suspend_resume':
        this.#add(event, { kind: 'suspend', event });
        break;
      default:
    }
  }
}

/** The steps of a trace, by when they began. */
export function stepsOf(events: readonly TraceEvent[]): Step[] {
  const gatherer = new Gatherer();
  for (const event of events) gatherer.take(event);
  const order = gatherer.steps.map((step, place) => ({ step, place }));
  order.sort((a, b) =>
    a.step.timestamp === b.step.timestamp
      ? a.place - b.place
      : a.step.timestamp < b.step.timestamp
        ? -1
        : 1,
  );
  return order.map(({ step }) => step);
}
