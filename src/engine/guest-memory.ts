/** Guest memory, as far as anything was written to it; what was not reads 0. */

const PAGE_BYTES = 4096n;

export class GuestMemory {
  readonly #pages = new Map<bigint, Uint8Array>();

  /** Writes bytes from a guest physical address on. */
  write(gpa: bigint, bytes: Uint8Array): void {
    for (const [index, byte] of bytes.entries()) {
      const at = gpa + BigInt(index);
      this.#page(at / PAGE_BYTES)[Number(at % PAGE_BYTES)] = byte;
    }
  }

  /** A copy of what is there. */
  read(gpa: bigint, length: number): Uint8Array {
    return Uint8Array.from({ length }, (_, index) => {
      const at = gpa + BigInt(index);
      return this.#pages.get(at / PAGE_BYTES)?.[Number(at % PAGE_BYTES)] ?? 0;
    });
  }

  #page(number: bigint): Uint8Array {
    const known = this.#pages.get(number);
    if (known !== undefined) return known;
    const fresh = new Uint8Array(Number(PAGE_BYTES));
    this.#pages.set(number, fresh);
    return fresh;
  }
}
