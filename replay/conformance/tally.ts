/**
 * The books of a conformance run: what was predicted and how well, and what had to be taken from
 * the recording instead.
 */

/** What may be taken from a recording; nothing else may. */
export const ADOPTIONS = {
  'snapshot-tsc': 'host TSC of a masterclock snapshot',
  'sync-tsc': 'rdtsc inside a TSC synchronisation or a guest’s own TSC write',
  'sync-ns': 'base clock read inside a TSC synchronisation, for a vCPU that is pushed forward',
  'load-tsc': 'rdtsc inside a load or put, with an unstable TSC',
  'create-ns': 'base clock when a VM was created',
  'page-tsc': 'host TSC of a page written without masterclock',
  'page-ns': 'base clock of a page or KVM_GET_CLOCK without masterclock',
  'set-clock-ns': 'base clock read by KVM_SET_CLOCK without masterclock',
  'realtime-ns': 'CLOCK_REALTIME read by KVM_SET_CLOCK with KVM_CLOCK_REALTIME',
  offsBoot: 'offs_boot after a suspend, and the clocks after the clocksource was not the TSC',
  cpuTscKhz: 'KVM’s copy of the TSC frequency (until v6.1), once a boot',
  timekeepers: 'the host’s clocks where no gtod probe shows them',
  stoppedFlag: 'that the guest cleared GUEST_STOPPED in its page',
  'set-clock-tsc': 'rdtsc of KVM_SET_CLOCK where it reads the clock first (v4.9 to v5.11)',
  'work-time': 'when delayed work fired',
  'xen-timeout': 'what a guest asked of Xen’s timer, where that lies in its memory',
} as const;

/** Kind of an adopted value. */
export type Adoption = keyof typeof ADOPTIONS;

/** Something that came out otherwise than predicted. */
export interface Wrong {
  /** What: a tracepoint, an ioctl's result, a page. */
  readonly output: string;
  /** Instant, ticks. */
  readonly timestamp: bigint;
  /** The driver's action during which it happened. */
  readonly action: string;
  readonly predicted: string;
  readonly recorded: string;
}

/** The books of one recording. */
export class Tally {
  exact = 0;
  withinNs = 0;
  readonly wrong: Wrong[] = [];
  readonly adopted = new Map<Adoption, number>();
  /** Outputs of each kind. */
  readonly outputs = new Map<string, number>();

  /** Outputs judged. */
  get judged(): number {
    return this.exact + this.withinNs + this.wrong.length;
  }

  #count(output: string): void {
    this.outputs.set(output, (this.outputs.get(output) ?? 0) + 1);
  }

  right(output: string, exact = true): void {
    this.#count(output);
    if (exact) this.exact += 1;
    else this.withinNs += 1;
  }

  fail(wrong: Wrong): void {
    this.#count(wrong.output);
    this.wrong.push(wrong);
  }

  adopt(kind: Adoption): void {
    this.adopted.set(kind, (this.adopted.get(kind) ?? 0) + 1);
  }
}
