/**
 * One number for what a replay saw and found: the same log and options give the same digest, on any
 * machine. It covers the observations in their order, the findings' data, the options that change
 * results, and the version of this schema.
 */
import { createHash, type Hash } from 'node:crypto';
import {
  EVENT_NAMES,
  EVENTS,
  type EventBatch,
  type EventName,
  LAYOUTS,
  NARROW_COLUMNS,
  WIDE_COLUMNS,
} from '../events/index.ts';
import type { Finding } from './findings/finding.ts';

/** Raise when the meaning of a digested byte changes. */
const DIGEST_SCHEMA = 1;

/** Codes in the digest: stable for ever, unlike event codes. */
const TAGS: Partial<Record<EventName, number>> = {
  kvm_pvclock_update: 1,
  kvm_write_tsc_offset: 2,
  kvm_update_master_clock: 3,
  kvm_track_tsc: 4,
};

const TAG_BY_CODE = EVENT_NAMES.map((name) =>
  EVENTS[name].role === 'observation' ? (TAGS[name] ?? 0) : 0,
);
const WORDS_PER_ROW = LAYOUTS.map(
  (slots) => 4 + slots.reduce((words, slot) => words + (slot.wide ? 2 : 1), 0),
);
const BUFFER_WORDS = 16_384;
const FINDINGS_LENGTH = 16_384;

export class Digest {
  readonly #hash: Hash = createHash('sha256');
  readonly #words = new Uint32Array(BUFFER_WORDS);
  readonly #bytes = new Uint8Array(this.#words.buffer);
  #used = 0;
  /** Findings since the last observation: hashing each by itself would cost more than making it. */
  #findings = '';

  constructor(options: Readonly<Record<string, string>>) {
    this.#hash.update(JSON.stringify({ schema: DIGEST_SCHEMA, ...options }));
  }

  /** Adds an event, if it is an observation. */
  addRow(batch: EventBatch, row: number): void {
    const code = batch.codes[row]!;
    const tag = TAG_BY_CODE[code]!;
    if (tag === 0) return;
    this.#addObservation(batch, row, code, tag);
  }

  #addObservation(batch: EventBatch, row: number, code: number, tag: number): void {
    if (this.#findings !== '' || this.#used + WORDS_PER_ROW[code]! > BUFFER_WORDS) this.#flush();
    const words = this.#words;
    let at = this.#used;
    words[at++] = tag;
    words[at++] = batch.tids[row]!;
    words[at++] = batch.timestampHalves[2 * row]!;
    words[at++] = batch.timestampHalves[2 * row + 1]!;
    for (const { wide, slot } of LAYOUTS[code]!) {
      if (wide) {
        const half = 2 * (row * WIDE_COLUMNS + slot);
        words[at++] = batch.wideHalves[half]!;
        words[at++] = batch.wideHalves[half + 1]!;
      } else words[at++] = batch.narrows[row * NARROW_COLUMNS + slot]!;
    }
    this.#used = at;
  }

  /** Adds what a finding says in numbers and names; its prose may be worded anew. */
  addFinding(finding: Finding): void {
    if (this.#used > 0 || this.#findings.length > FINDINGS_LENGTH) this.#flush();
    const { rule, severity, vm, vcpu, timestamp, deltaNs, mechanism, visibility } = finding;
    this.#findings += `${rule} ${severity} ${vm?.id} ${vcpu} ${timestamp} ${deltaNs} ${mechanism} ${visibility}\n`;
  }

  /** `sha256:…`. Nothing can be added afterwards. */
  finish(): string {
    this.#flush();
    return `sha256:${this.#hash.digest('hex')}`;
  }

  /** Hashes what has come together: observations or findings, never both. */
  #flush(): void {
    if (this.#used > 0) this.#hash.update(this.#bytes.subarray(0, this.#used * 4));
    if (this.#findings !== '') this.#hash.update(this.#findings);
    this.#used = 0;
    this.#findings = '';
  }
}
