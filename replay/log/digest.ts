/**
 * One number for what a log's replay showed: the same log and options give the same digest, on any
 * machine, in whatever pieces the log is read.
 *
 * It covers, for the host and each VM by itself, every observation with all its fields and what
 * findings say in numbers and names; of inputs that showed something, were refused or had the
 * masterclock requested or recomputed, and of VMs' ends, when it was and what became of the
 * masterclock; then how many inputs there were, profile, switches, options and the version of this
 * schema. As VMs are digested each by itself, it makes no difference in which order things happened to
 * VMs that do not touch each other.
 */
import { createHash } from 'node:crypto';
import {
  INPUT_TYPES,
  INPUTS,
  type InputRows,
  inputCode,
  type Observation,
} from '../../events/index.ts';
import { ByteWriter } from '../../events/log/bytes.ts';
import type { Finding } from '../findings/finding.ts';
import { SeenWriters } from './digest-seen.ts';
import { DigestStream } from './digest-stream.ts';
import { QUIET } from './outcomes.ts';

/** Raise when the meaning of a digested byte changes. */
const DIGEST_SCHEMA = 3;

/** Buffers that are kept for streams to come: most VMs come one after the other, or stay. */
const MOST_SPARE = 4;

/** The host's own stream, beside those of VMs by their id. */
const HOST = -1;

/** By code: types that name a VM. */
const NAMES_VM = INPUT_TYPES.map((type) => INPUTS[type].target !== 'host');
const ENDS_VM = inputCode('destroy_vm');

/** Digests of a replay: of all of it, and of each VM's part. */
export interface LogDigests {
  /** `sha256:…` */
  readonly all: string;
  /** `sha256:…` by VM. */
  readonly vms: ReadonlyMap<number, string>;
}

/** Digests what inputs came to. */
export class LogDigest {
  readonly #seen = new SeenWriters();
  readonly #streams = new Map<number, DigestStream>();
  /** Of VMs that are gone: a log may have very many, one after the other. */
  readonly #ended = new Map<number, string>();
  /** Of VMs that are gone: what their streams collected in, which mostly has grown to what one needs. */
  readonly #spare: ByteWriter[] = [];
  /** The one that was added to last, to which the next input mostly belongs. */
  #last: DigestStream | undefined;

  /**
   * Adds what an input came to, and the end of a VM; of most inputs there is nothing.
   *
   * @param outcome - what became of it, as `outcomeOf` has it.
   */
  add(inputs: InputRows, row: number, outcome: number, observations: readonly Observation[]): void {
    const code = inputs.codeOf(row);
    if (outcome === QUIET && observations.length === 0 && code !== ENDS_VM) return;
    const tsc = inputs.tscOf(row);
    const stream = this.#streamOf(NAMES_VM[code]! ? inputs.vmOf(row) : HOST);
    stream.out.u64(tsc);
    stream.out.u8(outcome);
    stream.settle();
    for (let i = 0; i < observations.length; i++) {
      const seen = observations[i]!;
      const its = this.#streamOf(seen.vm);
      this.#seen.write(its.out, tsc, seen);
      its.settle();
    }
    if (code === ENDS_VM) this.#end(stream);
  }

  /** Adds what a finding says in numbers and names; its prose may be worded anew. */
  addFinding(finding: Finding): void {
    const { rule, severity, vm, vcpu, timestamp, deltaNs, mechanism, predictedNs } = finding;
    const stream = this.#streamOf(vm === undefined ? HOST : Number(vm.id));
    stream.addFinding(
      `${rule} ${severity} ${vcpu} ${timestamp} ${deltaNs} ${mechanism} ${predictedNs}\n`,
    );
  }

  /** How many observations of each type were added. */
  get observations(): ReadonlyMap<Observation['type'], number> {
    return this.#seen.times;
  }

  #streamOf(vm: number): DigestStream {
    if (this.#last?.of === vm) return this.#last;
    let stream = this.#streams.get(vm);
    if (stream === undefined) {
      stream = new DigestStream(vm, this.#ended.get(vm), this.#spare.pop() ?? new ByteWriter());
      this.#streams.set(vm, stream);
    }
    this.#last = stream;
    return stream;
  }

  #end(stream: DigestStream): void {
    this.#ended.set(stream.of, stream.finish());
    this.#streams.delete(stream.of);
    this.#last = undefined;
    if (this.#spare.length === MOST_SPARE) return;
    stream.out.clear();
    this.#spare.push(stream.out);
  }

  /**
   * Nothing can be added afterwards.
   *
   * @param inputs - how many there were.
   * @param present - VMs that there are now: these have a digest, also if nothing was seen of them.
   */
  finish(
    inputs: number,
    present: Iterable<number>,
    options: Readonly<Record<string, unknown>>,
  ): LogDigests {
    for (const vm of present) this.#streamOf(vm);
    const hash = createHash('sha256');
    hash.update(JSON.stringify({ schema: DIGEST_SCHEMA, inputs, ...options }));
    const vms = new Map<number, string>();
    for (const stream of [...this.#streams.values()]) this.#end(stream);
    const inOrder = [...this.#ended].sort(([a], [b]) => a - b);
    for (const [vm, digest] of inOrder) {
      hash.update(`${vm} ${digest}\n`);
      if (vm !== HOST) vms.set(vm, `sha256:${digest}`);
    }
    return { all: `sha256:${hash.digest('hex')}`, vms };
  }
}
