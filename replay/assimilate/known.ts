/**
 * What is known of the VMs and vCPUs of a recording.
 *
 * The model's structs always hold some value; a recording that begins in a VM's life, or that lost
 * events, does not tell which is right. So each part of a VM's clock has its own mark here: only what
 * is known may disagree with the kernel, everything else is taken from what the kernel shows.
 */
import { requestMask, type VcpuState, type VmState } from '../../src/clock/index.ts';
import type { VmOf } from '../../src/engine/run.ts';
import type { VcpuCell } from '../../src/engine/stepper.ts';
import type { Vcpu, Vm } from '../identity/vm.ts';
import type { Disagreement } from './books.ts';
import type { Predicted } from './tracepoints.ts';

const NONE: readonly Predicted[] = [];

/** Requests that write the pages of all vCPUs, and those that write a vCPU's own. */
const ASKS = requestMask('MASTERCLOCK_UPDATE', 'GLOBAL_CLOCK_UPDATE', 'CLOCK_UPDATE');

/** It is asked for a page. */
export const asksForPage = ({ state }: KnownVcpu): boolean => (state.requests & ASKS) !== 0;

/** A page that was predicted and not written. */
export interface MissedPage {
  readonly ticks: bigint;
  /** The version it would have had. */
  readonly version: number;
  /** Made of the masterclock's reference. */
  readonly master: boolean;
  /** Nothing but delayed work asked for it. */
  readonly byWork: boolean;
}

/** What the model knows of one VM. */
export class KnownVm {
  readonly vm: Vm;
  /** Its number in the world. */
  readonly id: number;
  readonly of: VmOf;
  /** Its creation was recorded, and nothing was lost since. */
  born: boolean;
  /** Whether the masterclock is in use. */
  decision: boolean;
  /** How many vCPUs there are, and how many of them share a TSC generation. */
  counts: boolean;
  /** Host TSC and time of the masterclock's reference. */
  referenceTsc = false;
  referenceNs = false;
  /** The time of a page that disagreed with the reference, that the same is not told again. */
  toldNs: bigint | undefined;
  /** TSC offsets are known relative to each other only, and so is the reference's host TSC. */
  relative = false;
  /** The VM's offset from the base clock; `near` where only a page without masterclock told it. */
  clockOffset: 'unknown' | 'near' | 'known' = 'unknown';
  /** Its vCPUs may have another frequency than the host. */
  scaled = false;
  /** Value and time of the last TSC synchronisation, which the next one is compared with. */
  tscRecord = true;
  /** When delayed work was armed, host TSC, by name. */
  readonly armed = new Map<string, bigint>();
  /** The update work was asked for when it may have fired already, host TSC. */
  queuedAgain: bigint | undefined;
  /** The update work that is queued may not be: it was asked for when it may not have fired yet. */
  mayNotFire = false;
  /** Until then pages may be written for what was asked of a vCPU and not recorded, host TSC. */
  mayWorkUntil = 0n;
  /** An update that nothing asked for: the reference it took tells whether the host had a reason. */
  unasked: Disagreement | undefined;
  /** The last update was asked for by what is recorded: the host's clocks need not have changed. */
  asked = false;
  /** Which input took the reference in force, and which set the clock offset: −1 for none. */
  snapshotInput = -1;
  offsetInput = -1;

  constructor(vm: Vm, id: number, of: VmOf, born: boolean) {
    this.vm = vm;
    this.id = id;
    this.of = of;
    this.born = born;
    this.decision = born;
    this.counts = born;
  }

  get state(): VmState {
    return this.of.cell.state;
  }

  /** A new reference is taken, which shows in the first page made of it. */
  loseReference(): void {
    this.toldNs = undefined;
    this.referenceTsc = false;
    this.referenceNs = false;
  }

  /** Its masterclock may have been updated: nothing tells of which VM the update was. */
  mayBeUpdated(): void {
    this.decision = false;
    this.asked = false;
    this.loseReference();
  }

  /** Its clock was set to something that is not known. */
  mayBeSet(): void {
    this.clockOffset = 'unknown';
    this.toldNs = undefined;
    this.referenceNs = false;
  }

  /** Events are missing. */
  loseTrack(): void {
    this.born = false;
    this.counts = false;
    this.clockOffset = 'unknown';
    this.mayBeUpdated();
  }
}

/** What the model knows of one vCPU. */
export class KnownVcpu {
  readonly vcpu: Vcpu;
  readonly of: KnownVm;
  readonly cell: VcpuCell;
  /** Its last entry left nothing to be served: another one on the same CPU changes nothing. */
  quiet = false;
  /** Host CPU it is loaded on. */
  cpu = -1;
  /** L1's TSC offset; `relative` to those of its siblings, where no write of it was seen. */
  tscOffset: 'unknown' | 'relative' | 'known';
  /** The page's version. */
  page = false;
  /** When its page was last written, ticks; `undefined` before. */
  pageTicks: bigint | undefined;
  /** TSC_ADJUST. */
  adjust: boolean;
  /** What it is asked to do before it enters. */
  requests: boolean;
  /** Something happened to it that can ask for more than is recorded. */
  mayAsk = false;
  /** Its TSC does not run as the host's: scaled, or pushed forward by software. */
  scaled = false;
  /** Xen's pages are written with its own, and traced in the same way. */
  xen = false;
  /** The input by which it was last brought up to date. */
  servedInput = -1;
  /** Entries at which requests of others were not served. */
  unserved = 0;
  /** It synchronised its TSC and has not entered since. */
  synchronised = false;
  /** It did so by joining the generation of a VM whose masterclock is on, with nothing asked before. */
  joined = false;
  /** It was asked for a masterclock update before it synchronised its TSC. */
  wasAsked = false;
  /** The page that it is asked for was asked for by delayed work alone. */
  askedByWork = false;
  missed: MissedPage | undefined;
  /** The last difference told, that the same is not told again. */
  told = '';
  /** What was predicted of it; from the first that is still to be seen. */
  #predicted: readonly Predicted[] = NONE;
  #seen = 0;

  constructor(vcpu: Vcpu, of: KnownVm, cell: VcpuCell, born: boolean) {
    this.vcpu = vcpu;
    this.of = of;
    this.cell = cell;
    this.tscOffset = born ? 'known' : 'unknown';
    this.adjust = born;
    this.requests = born && of.born;
  }

  get state(): VcpuState {
    return this.cell.state;
  }

  /** These are to be seen of it, and nothing else. */
  expect(predicted: readonly Predicted[]): void {
    this.#predicted = predicted;
    this.#seen = 0;
  }

  /** What is to be seen of it next. */
  get expected(): Predicted | undefined {
    return this.#predicted[this.#seen];
  }

  /** The same; it is to be seen no more. */
  takeExpected(): Predicted | undefined {
    const next = this.#predicted[this.#seen];
    if (next !== undefined) this.#seen += 1;
    return next;
  }

  /** Events are missing. */
  loseTrack(): void {
    this.quiet = false;
    this.tscOffset = 'unknown';
    this.page = false;
    this.adjust = false;
    this.requests = false;
    this.expect(NONE);
    this.missed = undefined;
    this.synchronised = false;
    this.joined = false;
    this.unserved = 0;
    this.told = '';
  }
}
