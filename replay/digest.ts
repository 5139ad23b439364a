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
import { ByteWriter } from '../events/log/bytes.ts';
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
const BYTES_PER_ROW = LAYOUTS.map((slots) =>
  slots.reduce((bytes, { wide }) => bytes + (wide ? 8 : 4), 16),
);
/** So much comes together before it is hashed: each by itself would cost more than to make it. */
const FLUSH_BYTES = 1 << 16;

const utf8 = new TextEncoder();

export class Digest {
  readonly #hash: Hash = createHash('sha256');
  readonly #out = new ByteWriter();

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
    this.#out.reserve(BYTES_PER_ROW[code]!);
    const { view } = this.#out;
    let at = this.#out.length;
    view.setUint32(at, tag, true);
    view.setUint32(at + 4, batch.tids[row]!, true);
    view.setUint32(at + 8, batch.timestampHalves[2 * row]!, true);
    view.setUint32(at + 12, batch.timestampHalves[2 * row + 1]!, true);
    at += 16;
    for (const { wide, slot } of LAYOUTS[code]!) {
      if (wide) {
        const half = 2 * (row * WIDE_COLUMNS + slot);
        view.setUint32(at, batch.wideHalves[half]!, true);
        view.setUint32(at + 4, batch.wideHalves[half + 1]!, true);
        at += 8;
      } else {
        view.setUint32(at, batch.narrows[row * NARROW_COLUMNS + slot]!, true);
        at += 4;
      }
    }
    this.#out.extend(at);
    this.#settle();
  }

  /** Adds what a finding says in numbers and names; its prose may be worded anew. */
  addFinding(finding: Finding): void {
    const { rule, severity, vm, vcpu, timestamp, deltaNs, mechanism, visibility } = finding;
    const text = `${rule} ${severity} ${vm?.id} ${vcpu} ${timestamp} ${deltaNs} ${mechanism} ${visibility}\n`;
    this.#out.raw(utf8.encode(text));
    this.#settle();
  }

  #settle(): void {
    if (this.#out.length >= FLUSH_BYTES) this.#flush();
  }

  #flush(): void {
    this.#hash.update(this.#out.bytes);
    this.#out.clear();
  }

  /** `sha256:…`. Nothing can be added afterwards. */
  finish(): string {
    this.#flush();
    return `sha256:${this.#hash.digest('hex')}`;
  }
}
