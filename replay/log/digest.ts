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
import { createHash, type Hash } from 'node:crypto';
import { camelCase } from '../../events/event.ts';
import { EVENTS, type Input, OBSERVATIONS, type Observation } from '../../events/index.ts';
import { ByteWriter } from '../../events/log/bytes.ts';
import type { Finding } from '../findings/finding.ts';
import { QUIET } from './outcomes.ts';

/** Raise when the meaning of a digested byte changes. */
const DIGEST_SCHEMA = 3;

/** The host's own stream, beside those of VMs by their id. */
const HOST = -1;

const FLUSH_BYTES = 8192;

type Type = 'u8' | 's8' | 'u32' | 's32' | 'u64' | 's64' | 'bool' | 'bytes' | 'text';

/** Of an input: when, and to which VM, if to one. */
interface Named {
  readonly tsc: bigint;
  readonly vm?: number;
}

/** How an observation is digested: its name, then its fields in the order of their declaration. */
interface Plan {
  readonly name: Uint8Array;
  readonly fields: readonly { readonly name: string; readonly type: Type }[];
}

const utf8 = new TextEncoder();

/** Texts of observations, as bytes: they are names that the model's code has, few and short. */
const TEXTS = new Map<string, Uint8Array>();

function bytesOf(text: string): Uint8Array {
  let bytes = TEXTS.get(text);
  if (bytes === undefined) {
    bytes = utf8.encode(text);
    TEXTS.set(text, bytes);
  }
  return bytes;
}

function planOf(type: Observation['type']): Plan {
  const fields = Object.hasOwn(OBSERVATIONS, type)
    ? Object.entries(OBSERVATIONS[type as keyof typeof OBSERVATIONS].fields)
    : Object.entries(EVENTS[type as keyof typeof EVENTS].fields).map(
        ([name, spec]) => [camelCase(name), spec] as const,
      );
  return {
    name: utf8.encode(`${type}\0`),
    fields: fields.map(([name, { type }]) => ({ name, type })),
  };
}

function writeValue(out: ByteWriter, type: Type, value: unknown): void {
  out.u8(value === undefined ? 0 : 1);
  if (value === undefined) return;
  if (type === 'u64' || type === 's64') out.u64(value as bigint);
  else if (type === 'text' || type === 'bytes') {
    const bytes = type === 'text' ? bytesOf(value as string) : (value as Uint8Array);
    out.u32(bytes.length);
    out.raw(bytes);
  } else out.u32(Number(value) >>> 0);
}

/** What belongs to the host, or to one VM. */
class Stream {
  /** Of a VM by its id, or the host's. */
  readonly of: number;
  readonly out = new ByteWriter();
  readonly #hash: Hash = createHash('sha256');
  /** Findings by themselves; hashed when many have come together, which mostly never happens. */
  #findings: Hash | undefined;
  #pending = '';

  /** @param before - the digest of the VM that had the id before, if one had. */
  constructor(of: number, before: string | undefined) {
    this.of = of;
    if (before !== undefined) this.#hash.update(before);
  }

  /** Hashing each input by itself would cost more than dispatching it. */
  settle(): void {
    if (this.out.length >= FLUSH_BYTES) this.#flush();
  }

  addFinding(text: string): void {
    this.#pending += text;
    if (this.#pending.length < FLUSH_BYTES) return;
    this.#findings ??= createHash('sha256');
    this.#findings.update(this.#pending);
    this.#pending = '';
  }

  finish(): string {
    this.#flush();
    const findings = this.#findings ?? createHash('sha256');
    this.#hash.update(findings.update(this.#pending).digest());
    return this.#hash.digest('hex');
  }

  #flush(): void {
    this.#hash.update(this.out.bytes);
    this.out.clear();
  }
}

/** Digests of a replay: of all of it, and of each VM's part. */
export interface LogDigests {
  /** `sha256:…` */
  readonly all: string;
  /** `sha256:…` by VM. */
  readonly vms: ReadonlyMap<number, string>;
}

/** Digests what inputs came to. */
export class LogDigest {
  readonly #plans = new Map<string, Plan>();
  readonly #streams = new Map<number, Stream>();
  /** Of VMs that are gone: a log may have very many, one after the other. */
  readonly #ended = new Map<number, string>();
  /** The one that was added to last, to which the next input mostly belongs. */
  #last: Stream | undefined;

  /**
   * Adds what an input came to, and the end of a VM; of most inputs there is nothing.
   *
   * @param outcome - what became of it, as `outcomeOf` has it.
   */
  add(input: Input, outcome: number, observations: readonly Observation[]): void {
    if (outcome === QUIET && observations.length === 0 && input.type !== 'destroy_vm') return;
    const { tsc, vm = HOST }: Named = input;
    const stream = this.#streamOf(vm);
    stream.out.u64(tsc);
    stream.out.u8(outcome);
    stream.settle();
    for (let i = 0; i < observations.length; i++) this.#addSeen(tsc, observations[i]!);
    if (input.type === 'destroy_vm') this.#end(stream);
  }

  /** Adds what a finding says in numbers and names; its prose may be worded anew. */
  addFinding(finding: Finding): void {
    const { rule, severity, vm, vcpu, timestamp, deltaNs, mechanism, predictedNs } = finding;
    const stream = this.#streamOf(vm === undefined ? HOST : Number(vm.id));
    stream.addFinding(
      `${rule} ${severity} ${vcpu} ${timestamp} ${deltaNs} ${mechanism} ${predictedNs}\n`,
    );
  }

  #streamOf(vm: number): Stream {
    if (this.#last?.of === vm) return this.#last;
    let stream = this.#streams.get(vm);
    if (stream === undefined) {
      stream = new Stream(vm, this.#ended.get(vm));
      this.#streams.set(vm, stream);
    }
    this.#last = stream;
    return stream;
  }

  #end(stream: Stream): void {
    this.#ended.set(stream.of, stream.finish());
    this.#streams.delete(stream.of);
    this.#last = undefined;
  }

  #addSeen(tsc: bigint, seen: Observation): void {
    let plan = this.#plans.get(seen.type);
    if (plan === undefined) {
      plan = planOf(seen.type);
      this.#plans.set(seen.type, plan);
    }
    const stream = this.#streamOf(seen.vm);
    const { out } = stream;
    out.raw(plan.name);
    out.u64(tsc);
    writeValue(out, 'u32', seen.vcpu);
    const values = seen as unknown as Readonly<Record<string, unknown>>;
    const { fields } = plan;
    for (let i = 0; i < fields.length; i++) {
      const { name, type } = fields[i]!;
      writeValue(out, type, values[name]);
    }
    stream.settle();
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
