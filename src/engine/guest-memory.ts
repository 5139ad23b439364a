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

  /** What was written, by address of its page of 4096 bytes, as hexadecimal digits. */
  toJSON(): Readonly<Record<string, string>> {
    const pages = [...this.#pages].map(([number, bytes]) => [
      String(number * PAGE_BYTES),
      Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(''),
    ]);
    return Object.fromEntries(pages);
  }

  /**
   * The memory that `toJSON` told.
   *
   * @throws SyntaxError for an address, RangeError for bytes that are none.
   */
  static fromJSON(json: Readonly<Record<string, string>>): GuestMemory {
    const memory = new GuestMemory();
    for (const [gpa, digits] of Object.entries(json)) {
      const pairs = String(digits).match(/../g) ?? [];
      if (!/^(?:[0-9a-f]{2})*$/.test(digits)) throw new RangeError(`memory at ${gpa}: no bytes`);
      memory.write(
        BigInt(gpa),
        Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16)),
      );
    }
    return memory;
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
