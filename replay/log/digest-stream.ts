/** The digest of what belongs to one VM, or to the host: what inputs came to, and then findings. */
import { createHash, type Hash, hash } from 'node:crypto';
import type { ByteWriter } from '../../events/log/bytes.ts';

const ALGORITHM = 'sha256';

/** So much comes together before it is hashed: of most VMs there is less, which is hashed at once. */
const FLUSH_BYTES = 16384;

const utf8 = new TextEncoder();

/** Takes bytes, and findings as text. */
export class DigestStream {
  /** Of a VM by its id, or the host's. */
  readonly of: number;
  readonly out: ByteWriter;
  /** What came before, where that was so much. */
  #hash: Hash | undefined;
  /** Findings by themselves, as they come later than what they are about. */
  #findingsHash: Hash | undefined;
  #findings = '';

  /**
   * @param before - the digest of the VM that had the id before, if one had.
   * @param out - collects nothing yet; may collect something else afterwards.
   */
  constructor(of: number, before: string | undefined, out: ByteWriter) {
    this.of = of;
    this.out = out;
    if (before !== undefined) this.out.raw(utf8.encode(before));
  }

  /** Hashing each input by itself would cost more than dispatching it. */
  settle(): void {
    if (this.out.length < FLUSH_BYTES) return;
    this.#hash ??= createHash(ALGORITHM);
    this.#hash.update(this.out.bytes);
    this.out.clear();
  }

  addFinding(text: string): void {
    this.#findings += text;
    if (this.#findings.length < FLUSH_BYTES) return;
    this.#findingsHash ??= createHash(ALGORITHM);
    this.#findingsHash.update(this.#findings);
    this.#findings = '';
  }

  /** Nothing can be added afterwards. @returns the digest in hexadecimal digits. */
  finish(): string {
    this.out.raw(
      this.#findingsHash === undefined
        ? hash(ALGORITHM, this.#findings, 'buffer')
        : this.#findingsHash.update(this.#findings).digest(),
    );
    const { bytes } = this.out;
    if (this.#hash === undefined) return hash(ALGORITHM, bytes, 'hex');
    return this.#hash.update(bytes).digest('hex');
  }
}
