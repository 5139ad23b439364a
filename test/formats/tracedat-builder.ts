/**
 * Builds small trace.dat files of both versions around hand-made pages. Written from the format's
 * documentation (trace-cmd.dat.v6.5.txt, v7.5.txt), apart from the reader.
 */
import { deflateSync } from 'node:zlib';
import { Bytes, EXPIRE_FORMAT, type Machine, PC } from './tracedat-pages.ts';

export interface BufferSpec {
  readonly name?: string;
  readonly clock?: string;
  /** Pages of each CPU. */
  readonly cpus: readonly (readonly Buffer[])[];
}

export interface FileSpec {
  readonly machine?: Machine;
  readonly buffers: readonly BufferSpec[];
  readonly compression?: 'none' | 'zlib';
  readonly formats?: readonly (readonly [system: string, text: string])[];
  readonly cmdlines?: string;
  readonly printk?: string;
  /** Content of trace_clock. */
  readonly clock?: string;
  /** More options: id and data. */
  readonly options?: readonly (readonly [id: number, data: Buffer])[];
}

function pageHeader({ longSize, pageSize }: Machine): string {
  const data = 8 + longSize;
  return [
    '\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n',
    `\tfield: local_t commit;\toffset:8;\tsize:${longSize};\tsigned:1;\n`,
    '\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n',
    `\tfield: char data;\toffset:${data};\tsize:${pageSize - data};\tsigned:0;\n`,
  ].join('');
}

/** The parts that both versions share, by version 7's option id. */
function metadata(machine: Machine, spec: FileSpec): Map<number, Buffer> {
  const { little } = machine;
  const header = pageHeader(machine);
  const formats = spec.formats ?? [['kvm', EXPIRE_FORMAT]];
  const systems = [...new Set(formats.map(([system]) => system))].filter((s) => s !== 'ftrace');
  const texts = (bytes: Bytes, system: string) => {
    const found = formats.filter(([s]) => s === system);
    bytes.u32(found.length);
    for (const [, text] of found) bytes.u64(text.length).raw(text);
  };
  const head = new Bytes(little).raw('header_page\0').u64(header.length).raw(header);
  head.raw('header_event\0').u64(0);
  const ftrace = new Bytes(little);
  texts(ftrace, 'ftrace');
  const events = new Bytes(little).u32(systems.length);
  for (const system of systems) texts(events.raw(`${system}\0`), system);
  const printk = spec.printk ?? '';
  const cmdlines = spec.cmdlines ?? '9 vcpu 0\n';
  return new Map([
    [16, head.bytes],
    [17, ftrace.bytes],
    [18, events.bytes],
    [19, new Bytes(little).u32(0).bytes],
    [20, new Bytes(little).u32(printk.length).raw(printk).bytes],
    [21, new Bytes(little).u64(cmdlines.length).raw(cmdlines).bytes],
  ]);
}

function start({ little, longSize, pageSize }: Machine, version: string): Bytes {
  const bytes = new Bytes(little).raw(`\x17\x08\x44tracing${version}\0`);
  return bytes
    .u8(little ? 0 : 1)
    .u8(longSize)
    .u32(pageSize);
}

function option(little: boolean, id: number, data: Uint8Array): Buffer {
  return new Bytes(little).u16(id).u32(data.length).raw(data).bytes;
}

/** A file of version 7. */
export function buildV7(spec: FileSpec): Buffer {
  const machine = spec.machine ?? PC;
  const { little, pageSize } = machine;
  const compression = spec.compression ?? 'none';
  const packed = compression === 'zlib';
  const head = start(machine, '7').raw(`${compression}\0${packed ? '1.2.13' : ''}\0`);
  const body = new Bytes(little);
  const bodyAt = head.length + 8;
  const here = () => bodyAt + body.length;
  const section = (id: number, data: Buffer, flags = 0) => {
    const at = here();
    body.u16(id).u16(flags).u32(0).u64(data.length).raw(data);
    return at;
  };
  const zipped = (data: Buffer) => {
    const bytes = deflateSync(data);
    return new Bytes(little).u32(bytes.length).u32(data.length).raw(bytes).bytes;
  };
  const options: Buffer[] = [];
  for (const [id, data] of metadata(machine, spec)) {
    const at = packed ? section(id, zipped(data), 1) : section(id, data);
    options.push(option(little, id, new Bytes(little).u64(at).bytes));
  }
  if (spec.clock !== undefined) options.push(option(little, 4, Buffer.from(`${spec.clock}\0`)));
  for (const [id, data] of spec.options ?? []) options.push(option(little, id, data));
  for (const { name = '', clock = 'x86-tsc', cpus } of spec.buffers) {
    const at = section(3, Buffer.alloc(0), packed ? 1 : 0);
    const data = new Bytes(little).u64(at).raw(`${name}\0${clock}\0`).u32(pageSize);
    data.u32(cpus.length);
    cpus.forEach((pages, cpu) => {
      body.zeros((pageSize - (here() % pageSize)) % pageSize);
      const from = here();
      if (!packed) body.raw(Buffer.concat(pages));
      else if (pages.length > 0) {
        body.u32(pages.length);
        for (const page of pages) body.raw(zipped(page));
      }
      const counted = packed && pages.length > 0 ? 4 : 0;
      data
        .u32(cpu)
        .u64(from)
        .u64(here() - from - counted);
    });
    options.push(option(little, 3, data.bytes));
  }
  const optionsAt = here();
  options.push(option(little, 0, new Bytes(little).u64(0).bytes));
  section(0, Buffer.concat(options));
  return Buffer.concat([head.u64(optionsAt).bytes, body.bytes]);
}

/** A file of version 6. Instances are its further buffers; clocks come from `spec.clock` alone. */
export function buildV6(spec: FileSpec): Buffer {
  const machine = spec.machine ?? PC;
  const { little, pageSize } = machine;
  const [top = { cpus: [] }, ...instances] = spec.buffers;
  const head = start(machine, '6');
  for (const data of metadata(machine, spec).values()) head.raw(data);
  head.u32(top.cpus.length);
  const options = new Bytes(little);
  if (spec.clock !== undefined) options.raw(option(little, 4, Buffer.alloc(0)));
  for (const [id, data] of spec.options ?? []) options.raw(option(little, id, data));
  const optionBytes = instances.reduce((sum, { name = '' }) => sum + 6 + 8 + name.length + 1, 0);
  const clock = spec.clock === undefined ? 0 : 8 + spec.clock.length;
  const tableBytes = (buffer: BufferSpec) => 10 + 16 * buffer.cpus.length;
  const topAt = head.length + 10 + options.length + optionBytes + 2;
  let tableAt = topAt + tableBytes(top) + clock;
  for (const buffer of instances) {
    const data = new Bytes(little).u64(tableAt).raw(`${buffer.name ?? ''}\0`).bytes;
    options.raw(option(little, 3, data));
    tableAt += tableBytes(buffer);
  }
  head.raw('options  \0').raw(options.bytes).u16(0);
  let dataAt = Math.ceil(tableAt / pageSize) * pageSize;
  const data: Buffer[] = [];
  spec.buffers.forEach((buffer, i) => {
    head.raw('flyrecord\0');
    for (const pages of buffer.cpus) {
      const size = pages.length * pageSize;
      head.u64(dataAt).u64(size);
      dataAt += size;
      data.push(...pages);
    }
    if (i === 0 && spec.clock !== undefined) head.u64(spec.clock.length).raw(spec.clock);
  });
  head.zeros((pageSize - (head.length % pageSize)) % pageSize);
  return Buffer.concat([head.bytes, ...data]);
}
