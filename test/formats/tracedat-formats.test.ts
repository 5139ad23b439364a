/** Events by their recorded formats, and the threads they are of. */
import { describe, expect, it } from 'vitest';
import { buildV7, type FileSpec } from './tracedat-builder.ts';
import { Bytes, EXPIRE_FORMAT, EXPIRE_ID, expire, format, Page, PC } from './tracedat-pages.ts';
import { readAll, readRaw, refusal } from './tracedat-reading.ts';

const page = new Page(PC).event(1, expire(PC, 1, -5)).at(1000n);
const one: FileSpec = { buffers: [{ clock: 'local', cpus: [[page]] }], clock: '[local]' };

describe('formats of events', () => {
  const file = (text: string, payload: Buffer, system = 'kvm') =>
    buildV7({
      buffers: [{ cpus: [[new Page(PC).event(1, payload).at(0n)]] }],
      formats: [[system, text]],
      printk: '0xffffffff81234567 : "suspend_enter\\n"\n0x12 : "other"\n',
    });
  const head = () => new Bytes().u16(EXPIRE_ID).u16(0).u32(9);

  it('without a field that is needed are named in the error', async () => {
    const text = format('kvm_write_tsc_offset', EXPIRE_ID, [
      'field:unsigned int vcpu_id;\toffset:8;\tsize:4;\tsigned:0;',
      'field:__u64 next_tsc_offset;\toffset:16;\tsize:8;\tsigned:0;',
    ]);
    const error = await refusal(file(text, expire(PC, 1, 1)));
    expect(error.message).toMatch(
      /^trace\.dat: byte \d+: expected a field previous_tsc_offset in the recorded format of event kvm_write_tsc_offset, found none$/,
    );
  });

  it('without a field that some kernels lack give its default', async () => {
    const text = format('kvm_exit', EXPIRE_ID, []);
    const { events } = await readAll(file(text, head().bytes));
    expect(events[0]).toMatchObject({ type: 'kvm_exit', vcpuId: 0xffffffff });
  });

  it('decide about offset, size and sign', async () => {
    const text = format('kvm_wait_lapic_expire', EXPIRE_ID, [
      'field:short delta;\toffset:8;\tsize:2;\tsigned:1;',
      'field:unsigned char vcpu_id;\toffset:11;\tsize:1;\tsigned:0;',
    ]);
    const { events } = await readAll(file(text, head().u16(0xfffe).u8(0).u8(250).bytes));
    expect(events[0]).toMatchObject({ vcpuId: 250, delta: -2n });
  });

  it('of other systems with a known name are other events', async () => {
    const { events, recording } = await readAll(file(EXPIRE_FORMAT, expire(PC, 1, 1), 'kprobes'));
    expect([events, recording.stats.events]).toEqual([[], 1]);
  });

  it('count events that are too short for them as malformed', async () => {
    const short = expire(PC, 1, 1).subarray(0, 16);
    const { recording, events } = await readAll(file(EXPIRE_FORMAT, short));
    expect(events).toEqual([]);
    expect(recording.stats).toMatchObject({ events: 1, malformed: 1 });
    expect(recording.stats.firstMalformed).toMatch(/^byte \d+$/);
  });

  it('with pointers to strings of the kernel show these', async () => {
    const text = format('suspend_resume', EXPIRE_ID, [
      'field:const char * action;\toffset:8;\tsize:8;\tsigned:0;',
      'field:int val;\toffset:16;\tsize:4;\tsigned:1;',
      'field:bool start;\toffset:20;\tsize:1;\tsigned:0;',
    ]);
    const payload = (address: bigint) => head().u64(address).u32(3).u32(1).bytes;
    const read = async (address: bigint) =>
      (await readAll(file(text, payload(address), 'power'))).events[0];
    expect(await read(0xffffffff81234567n)).toMatchObject({ text: 'suspend_enter', val: 3 });
    expect(await read(0xffffffff00000000n)).toMatchObject({ text: '0xffffffff00000000' });
  });

  it('describe strings and arrays in several ways', async () => {
    const text = format('mixed', EXPIRE_ID, [
      'field:__data_loc char[] name;\toffset:8;\tsize:4;\tsigned:1;',
      'field:__rel_loc char[] rel;\toffset:12;\tsize:4;\tsigned:1;',
      'field:char fixed[4];\toffset:16;\tsize:4;\tsigned:1;',
      'field:u16 words[2];\toffset:20;\tsize:4;\tsigned:0;',
      'field:s16 signeds[1];\toffset:24;\tsize:2;\tsigned:1;',
      'field:__data_loc unsigned long[] longs;\toffset:28;\tsize:4;\tsigned:0;',
      'field:int __proto__;\toffset:32;\tsize:4;\tsigned:1;',
      'field:char rest[];\toffset:48;\tsize:0;\tsigned:1;',
    ]);
    const payload = head()
      .u32((4 << 16) | 36)
      .u32((3 << 16) | 24)
      .raw('ab\0d')
      .u16(1)
      .u16(65535)
      .u16(0xffff)
      .u16(0)
      .u32((8 << 16) | 40)
      .u32(-7)
      .raw('top\0')
      .raw('hi\0\0\x07\0\0\0')
      .raw('rest');
    const [event] = await readRaw(file(text, payload.bytes));
    expect({ ...event?.fields }).toEqual({
      common_type: BigInt(EXPIRE_ID),
      common_flags: 0n,
      common_preempt_count: 0n,
      common_pid: 9n,
      name: 'top',
      rel: 'hi',
      fixed: 'ab',
      words: [1n, 65535n],
      signeds: [-1n],
      longs: [0x700006968n],
      ['__proto__']: -7n,
      rest: 'rest',
    });
  });

  it('missing altogether are an error', async () => {
    expect((await refusal(buildV7({ ...one, formats: [] }))).expected).toBe('formats of events');
  });
});

describe('threads', () => {
  it('have the names that were saved', async () => {
    const event = (pid: number) => expire(PC, 1, 1, pid);
    const page = [0, 9, 10, 11].reduce((p, pid) => p.event(1, event(pid)), new Page(PC));
    const cmdlines = '9 a b-c [d]\n10 <...>\nnonsense\n';
    const file = buildV7({ buffers: [{ cpus: [[page.at(0n)]] }], cmdlines });
    const { events } = await readAll(file);
    const names = ['<idle>', 'a b-c [d]', '<...>', '<...>'];
    expect(events.map((e) => e.comm)).toEqual(names);
    expect((await readRaw(file)).map((e) => e.comm)).toEqual(names);
  });
});
