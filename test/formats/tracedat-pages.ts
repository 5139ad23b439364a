/**
 * Ring-buffer pages written by hand, of either byte order and word size, to test what no recording
 * at hand shows. Written from the kernel's include/linux/ring_buffer.h, apart from the reader.
 */

/** Writes numbers one after the other. */
export class Bytes {
  readonly #parts: Buffer[] = [];
  readonly #little: boolean;
  length = 0;

  constructor(little = true) {
    this.#little = little;
  }

  raw(bytes: Uint8Array | string): this {
    const part = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes);
    this.#parts.push(part);
    this.length += part.length;
    return this;
  }

  #number(size: number, value: bigint): this {
    const part = Buffer.alloc(size);
    let rest = BigInt.asUintN(8 * size, value);
    for (let i = 0; i < size; i++, rest >>= 8n) {
      part[this.#little ? i : size - 1 - i] = Number(rest & 0xffn);
    }
    return this.raw(part);
  }

  u8(value: number): this {
    return this.#number(1, BigInt(value));
  }

  u16(value: number): this {
    return this.#number(2, BigInt(value));
  }

  u32(value: number): this {
    return this.#number(4, BigInt(value));
  }

  u64(value: number | bigint): this {
    return this.#number(8, BigInt(value));
  }

  zeros(count: number): this {
    return this.raw(new Uint8Array(count));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** The shape of the recorded machine. */
export interface Machine {
  readonly little: boolean;
  readonly longSize: 4 | 8;
  readonly pageSize: number;
}

export const PC: Machine = { little: true, longSize: 8, pageSize: 4096 };

/** Id of the event that the builder's pages hold, and its format. */
export const EXPIRE_ID = 77;
const COMMON = [
  'field:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;',
  'field:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;',
  'field:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;',
  'field:int common_pid;\toffset:4;\tsize:4;\tsigned:1;',
];

/** A format file. @param fields lines without the common ones */
export function format(name: string, id: number, fields: readonly string[], print = '""'): string {
  const lines = (l: readonly string[]) => l.map((line) => `\t${line}\n`).join('');
  return `name: ${name}\nID: ${id}\nformat:\n${lines(COMMON)}\n${lines(fields)}\nprint fmt: ${print}\n`;
}

export const EXPIRE_FORMAT = format(
  'kvm_wait_lapic_expire',
  EXPIRE_ID,
  [
    'field:unsigned int vcpu_id;\toffset:8;\tsize:4;\tsigned:0;',
    'field:s64 delta;\toffset:16;\tsize:8;\tsigned:1;',
  ],
  '"vcpu %u: delta %lld", REC->vcpu_id, REC->delta',
);

/** The payload of an event of the builder's format. */
export function expire({ little }: Machine, vcpu: number, delta: number, pid = 9): Buffer {
  const head = new Bytes(little).u16(EXPIRE_ID).u8(0).u8(0).u32(pid);
  return head.u32(vcpu).u32(0).u64(BigInt(delta)).bytes;
}

/** Writes a ring-buffer page entry by entry. */
export class Page {
  readonly #machine: Machine;
  readonly #data: Bytes;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#data = new Bytes(machine.little);
  }

  word(type: number, delta: number): this {
    const word = this.#machine.little ? delta * 32 + type : type * 2 ** 27 + delta;
    this.#data.u32(word);
    return this;
  }

  /** An event of up to 112 bytes, a multiple of 4. */
  event(delta: number, payload: Uint8Array): this {
    this.word(payload.length / 4, delta);
    return this.raw(payload);
  }

  /** An event with its length in a word of its own. */
  longEvent(delta: number, payload: Uint8Array): this {
    this.word(0, delta);
    this.#data.u32(payload.length + 4);
    this.raw(payload);
    this.#data.zeros((4 - (payload.length % 4)) % 4);
    return this;
  }

  padding(delta: number, payload: number): this {
    this.word(29, delta);
    this.#data.u32(payload).zeros(payload - 4);
    return this;
  }

  extend(ticks: bigint): this {
    this.word(30, Number(ticks & 0x7ffffffn));
    this.#data.u32(Number(ticks >> 27n));
    return this;
  }

  stamp(time: bigint): this {
    this.word(31, Number(time & 0x7ffffffn));
    this.#data.u32(Number((time >> 27n) & 0xffffffffn));
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.#data.raw(bytes);
    return this;
  }

  /** The page. @param lost events were lost before it; how many, if it is a number */
  at(timestamp: bigint, lost?: bigint | 'unknown'): Buffer {
    const { little, longSize, pageSize } = this.#machine;
    const long = (bytes: Bytes, value: bigint) =>
      longSize === 8 ? bytes.u64(value) : bytes.u32(Number(value));
    const flags = lost === undefined ? 0n : lost === 'unknown' ? 1n << 31n : 3n << 30n;
    const page = long(new Bytes(little).u64(timestamp), BigInt(this.#data.length) | flags);
    page.raw(this.#data.bytes);
    if (typeof lost === 'bigint') long(page, lost);
    return page.zeros(pageSize - page.length).bytes;
  }
}
