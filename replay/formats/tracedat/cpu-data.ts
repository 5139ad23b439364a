/**
 * One CPU's pages, brought into memory a few at a time.
 *
 * Uncompressed they stand one after the other. Compressed they come in chunks of (usually ten)
 * pages: `u32 number of chunks`, then per chunk `u32 compressed size, u32 size, bytes`. A chunk
 * that can't be decompressed is passed over, since the next one's place is known.
 *
 * Trap: the size that a buffer gives for compressed data leaves out the number of chunks.
 *
 * Source: trace-cmd.dat.v7.5.txt, "COMPRESSION FORMAT OF THE TRACE DATA".
 */
import type { RandomAccess } from '../bytes.ts';
import type { Decompress } from './compression.ts';
import { FileWindow, type PageMemory } from './file-window.ts';
import { SECTION_BYTES_MAX } from './reader.ts';
import type { CpuRange } from './trace-file.ts';

/** Compressed data is never much larger than what it holds. */
const PACKED_BYTES_MAX = SECTION_BYTES_MAX + (1 << 20);
/** Bytes of the number of chunks, and of a chunk's two sizes. */
const COUNT_BYTES = 4;
const CHUNK_HEAD_BYTES = 8;

/** What `load` has brought: pages, nothing but the end, or a chunk that had to be passed over. */
export type Loaded = 'pages' | 'end' | 'corrupt';

/** Brings one CPU's pages into memory. */
export abstract class CpuData {
  readonly cpu: number;
  /** The pages in memory: the first `length` bytes of `view`. */
  view: DataView = new DataView(new ArrayBuffer(0));
  length = 0;
  /** File offset of the pages in memory, or of the chunk that they were decompressed from. */
  byte: number;
  /** After `corrupt`: what is wrong. After `end`: why it came too early. */
  problem = '';
  protected readonly input: string;
  protected readonly memory: PageMemory;
  protected readonly window: FileWindow;
  readonly #cutAt: number | undefined;

  constructor(bytes: RandomAccess, { cpu, offset, size }: CpuRange, memory: PageMemory) {
    this.cpu = cpu;
    this.byte = offset;
    this.input = bytes.name;
    this.memory = memory;
    this.window = new FileWindow(bytes, offset, offset + size, memory);
    this.#cutAt = offset + size > bytes.size ? bytes.size : undefined;
  }

  /** Loads the next pages. @throws FormatError where they would take too much memory. */
  abstract load(): Promise<Loaded>;

  /** File offset of what stands at `start` in memory, as far as it has one of its own. */
  place(start: number): number {
    return this.byte + start;
  }

  protected pages(bytes: Uint8Array): Loaded {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.length = bytes.length;
    return 'pages';
  }

  /** Ends here; `problem` where more was promised. */
  protected finish(problem = ''): Loaded {
    this.length = 0;
    this.problem = problem;
    this.window.release();
    return 'end';
  }

  /** What is wrong where the file ends before this CPU's data does. */
  protected get cut(): string | undefined {
    if (this.#cutAt === undefined) return undefined;
    return `file ends in the middle of CPU ${this.cpu}'s data at byte ${this.#cutAt}`;
  }
}

/** Uncompressed pages. */
export class PlainCpuData extends CpuData {
  /** Whole pages, at least one. */
  readonly #runBytes: number;

  constructor(bytes: RandomAccess, range: CpuRange, memory: PageMemory, pageSize: number) {
    super(bytes, range, memory);
    this.#runBytes = Math.max(1, Math.floor(memory.ahead / pageSize)) * pageSize;
  }

  override async load(): Promise<Loaded> {
    const { window } = this;
    if (window.left <= 0) return this.finish(this.cut);
    this.byte = window.at;
    const bytes = await window.take(Math.min(this.#runBytes, window.left));
    if (bytes === undefined) return this.finish(`CPU ${this.cpu}'s data can't be read`);
    return this.pages(bytes);
  }
}

/** Pages compressed in chunks. */
export class PackedCpuData extends CpuData {
  readonly #decompress: Decompress;
  readonly #little: boolean;
  #chunksLeft: number | undefined;
  /** Bytes of the pages in memory. */
  #held = 0;

  constructor(
    bytes: RandomAccess,
    range: CpuRange,
    memory: PageMemory,
    { decompress, little }: { readonly decompress: Decompress; readonly little: boolean },
  ) {
    super(bytes, { ...range, size: range.size + COUNT_BYTES }, memory);
    this.#decompress = decompress;
    this.#little = little;
  }

  override async load(): Promise<Loaded> {
    const { window } = this;
    this.byte = window.at;
    this.#chunksLeft ??= (await this.#words(COUNT_BYTES))?.getUint32(0, this.#little);
    if (this.#chunksLeft === undefined) return this.#early('has no chunks');
    if (this.#chunksLeft === 0) return this.finish();
    this.#chunksLeft--;
    this.byte = window.at;
    const head = await this.#words(CHUNK_HEAD_BYTES);
    if (head === undefined) return this.#early('lacks a chunk');
    const packedSize = head.getUint32(0, this.#little);
    const size = head.getUint32(4, this.#little);
    if (packedSize > window.left || packedSize > PACKED_BYTES_MAX) {
      return this.#early(`has a chunk that claims ${packedSize} bytes`);
    }
    if (packedSize === 0 || size === 0 || size > SECTION_BYTES_MAX) {
      window.skip(packedSize);
      return this.#corrupt();
    }
    return this.#unpack(packedSize, size);
  }

  /** Decompressed pages have no place of their own, only their chunk's. */
  override place(): number {
    return this.byte;
  }

  async #words(length: number): Promise<DataView | undefined> {
    const bytes = await this.window.take(length);
    return bytes && new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  async #unpack(packedSize: number, size: number): Promise<Loaded> {
    if (!this.memory.replace(this.#held, size)) {
      throw this.memory.exceeded(this.input, this.byte, size);
    }
    this.#held = size;
    const packed = await this.window.take(packedSize);
    const bytes = packed && this.#decompress(packed, size);
    return bytes === undefined ? this.#corrupt() : this.pages(bytes);
  }

  #corrupt(): Loaded {
    this.length = 0;
    this.problem = `corrupt chunk of CPU ${this.cpu} at byte ${this.byte}`;
    return 'corrupt';
  }

  #early(problem: string): Loaded {
    return this.finish(this.cut ?? `CPU ${this.cpu}'s data at byte ${this.byte} ${problem}`);
  }

  protected override finish(problem?: string): Loaded {
    this.memory.replace(this.#held, 0);
    this.#held = 0;
    return super.finish(problem);
  }
}
