import { describe, expect, test } from 'vitest';
import {
  CLOCK_EVENTS,
  EVENT_NAMES,
  EVENTS,
  type EventName,
  type EventSpec,
} from '../../events/index.ts';
import { kernelLine, lines, readText } from './text-reading.ts';

/** Every form in which an event is printed, with what it means. */
const FORMS: readonly (readonly [EventName, string, object])[] = [
  [
    'kvm_pvclock_update',
    'kvm_pvclock_update: vcpu_id 3, pvclock { version 7, tsc_timestamp 0x1fffffffffffffff, system_time 0xffffffffffffe4a8, tsc_to_system_mul 0xfffffffe, tsc_shift -1, flags 0x1 }',
    {
      vcpuId: 3,
      version: 7,
      tscTimestamp: 0x1fff_ffff_ffff_ffffn,
      systemTime: 0xffff_ffff_ffff_e4a8n,
      tscToSystemMul: 0xfffffffe,
      tscShift: -1,
      flags: 1,
    },
  ],
  [
    'kvm_pvclock_update',
    'kvm_pvclock_update: vcpu_id 3, pvclock { version 4294967295, tsc_timestamp 0x0, system_time 0x0, tsc_to_system_mul 0x0, tsc_shift 255, flags 0x0 }',
    { version: 0xffffffff, tscShift: -1, flags: 0 },
  ],
  [
    'kvm_write_tsc_offset',
    'kvm_write_tsc_offset: vcpu=0 prev=0 next=18439928704022336791',
    { vcpuId: 0, previousTscOffset: 0n, nextTscOffset: 18439928704022336791n },
  ],
  [
    'kvm_update_master_clock',
    'kvm_update_master_clock: masterclock 1 hostclock tsc offsetmatched 0',
    { useMasterClock: true, hostClock: 1, offsetMatched: false },
  ],
  [
    'kvm_update_master_clock',
    'kvm_update_master_clock: masterclock 0 hostclock none offsetmatched 1',
    { useMasterClock: false, hostClock: 0, offsetMatched: true },
  ],
  [
    'kvm_update_master_clock',
    'kvm_update_master_clock: masterclock 0 hostclock 0x3 offsetmatched 1',
    { hostClock: 3 },
  ],
  [
    'kvm_update_master_clock',
    'kvm_update_master_clock: masterclock 0 hostclock hpet offsetmatched 1',
    { hostClock: 2 },
  ],
  [
    'kvm_track_tsc',
    'kvm_track_tsc: vcpu_id 2 masterclock 1 offsetmatched 2 nr_online 3 hostclock tsc',
    { vcpuId: 2, useMasterClock: true, nrVcpusMatchedTsc: 2, onlineVcpus: 3, hostClock: 1 },
  ],
  [
    'kvm_hv_stimer_start_periodic',
    'kvm_hv_stimer_start_periodic: vcpu_id 1 timer 3 time_now 12345678901234 exp_time 99999999999999',
    { vcpuId: 1, timerIndex: 3, timeNow: 12345678901234n, expTime: 99999999999999n },
  ],
  [
    'kvm_hv_stimer_start_one_shot',
    'kvm_hv_stimer_start_one_shot: vcpu_id 1 timer 3 time_now 12345678901234 count 99999999999999',
    { timeNow: 12345678901234n, count: 99999999999999n },
  ],
  [
    'kvm_hv_stimer_expiration',
    'kvm_hv_stimer_expiration: vcpu_id 1 timer 3 direct 1 send result -1',
    { vcpuId: 1, timerIndex: 3, direct: 1, msgSendResult: -1 },
  ],
  [
    'kvm_hv_stimer_expiration',
    'kvm_hv_stimer_expiration: vcpu_id 1 timer 3 msg send result 0',
    { vcpuId: 1, timerIndex: 3, direct: 0, msgSendResult: 0 },
  ],
  [
    'kvm_hv_timer_state',
    'kvm_hv_timer_state: vcpu_id 1f hv_timer 1',
    { vcpuId: 0x1f, hvTimerInUse: 1 },
  ],
  ['kvm_wait_lapic_expire', 'kvm_wait_lapic_expire: vcpu 0: delta -52 (early)', { delta: -52n }],
  ['kvm_wait_lapic_expire', 'kvm_wait_lapic_expire: vcpu 7: delta 52 (late)', { vcpuId: 7 }],
  ['kvm_entry', 'kvm_entry: vcpu 12', { vcpuId: 12, immediateExit: false }],
  [
    'kvm_entry',
    'kvm_entry: vcpu 1, rip 0x100c intr_info 0x00000000 error_code 0x00000000',
    { vcpuId: 1, immediateExit: false },
  ],
  [
    'kvm_entry',
    'kvm_entry: vcpu 1, rip 0x100c intr_info 0x00000000 error_code 0x00000000[immediate exit]',
    { vcpuId: 1, immediateExit: true },
  ],
  [
    'kvm_entry',
    'kvm_entry: vcpu 1, rip 0x100c[immediate exit][guest]',
    { vcpuId: 1, immediateExit: true },
  ],
  ['kvm_entry', 'kvm_entry: vcpu 1, rip 0x100c[guest]', { vcpuId: 1, immediateExit: false }],
  ['kvm_exit', 'kvm_exit: vcpu 2 reason npf rip 0x100c info1 0x0000000100000014', { vcpuId: 2 }],
  ['kvm_exit', 'kvm_exit: reason EXIT_NPF rip 0x100c info 100000014 100c', { vcpuId: 0xffffffff }],
  [
    'kvm_msr',
    'kvm_msr: msr_write 4b564d01 = 0x2001',
    { write: true, ecx: 0x4b564d01, data: 0x2001n, exception: false },
  ],
  [
    'kvm_msr',
    'kvm_msr: msr_read c0000103 = 0xffffffffffffffff (#GP)',
    { write: false, ecx: 0xc0000103, data: 0xffff_ffff_ffff_ffffn, exception: true },
  ],
  [
    'kvm_hv_stimer_set_config',
    'kvm_hv_stimer_set_config: vcpu_id 1 timer 0 config 0x30008 host 1',
    { vcpuId: 1, timerIndex: 0, config: 0x30008n, host: true },
  ],
  [
    'kvm_hv_stimer_set_count',
    'kvm_hv_stimer_set_count: vcpu_id 1 timer 0 count 10000000 host 0',
    { count: 10000000n, host: false },
  ],
  [
    'sys_enter_ioctl',
    'sys_ioctl(fd: a, cmd: ae80, arg: 7ffc68a66dd0)',
    { fd: 10, cmd: 0xae80, arg: 0x7ffc68a66dd0n },
  ],
  [
    'sys_enter_ioctl',
    'sys_ioctl(fd: 0xa, cmd: 0x4020ae46, arg: 0x7ffc68a66dd0)',
    { fd: 10, cmd: 0x4020ae46, arg: 0x7ffc68a66dd0n },
  ],
  [
    'sys_enter_ioctl',
    'sys_enter_ioctl:      fd: 0x00000006, cmd: 0xc020ae46, arg: 0x7ffd37b70fe0',
    { fd: 6, cmd: 0xc020ae46, arg: 0x7ffd37b70fe0n },
  ],
  ['sys_exit_ioctl', 'sys_ioctl -> 0x3000', { ret: 0x3000n }],
  ['sys_exit_ioctl', 'sys_ioctl -> 0xffffffffffffffef', { ret: -17n }],
  ['sys_exit_ioctl', 'sys_exit_ioctl:       0xffffffffffffffef', { ret: -17n }],
  ['sys_enter_adjtimex', 'sys_adjtimex(txc_p: 7ffd37b70fe0)', {}],
  ['sys_enter_adjtimex', 'sys_enter_adjtimex:   txc_p: 0x7ffd37b70fe0', {}],
  ['sys_enter_clock_adjtime', 'sys_clock_adjtime(which_clock: 0, utx: 7ffd37b70fe0)', {}],
  ['sys_enter_clock_settime', 'sys_clock_settime(which_clock: 0, tp: 7ffd37b70fe0)', {}],
  [
    'suspend_resume',
    'suspend_resume: dpm_suspend_noirq[2] begin',
    { text: 'dpm_suspend_noirq', val: 2, start: true },
  ],
  [
    'suspend_resume',
    'suspend_resume: CPU_OFF[4294967295] end',
    { text: 'CPU_OFF', val: -1, start: false },
  ],
  [
    'marker',
    'tracing_mark_write: op 0 create_vm {"vm":0}: é',
    { text: 'op 0 create_vm {"vm":0}: é' },
  ],
  ['marker', 'print:                0xffffffff811c36bd: note: hello', { text: 'note: hello' }],
  ['marker', 'print:                tracing_mark_write: note: hello', { text: 'note: hello' }],
  ['marker', 'tracing_mark_write: ', { text: '' }],
];

describe('the text of events', () => {
  test.each(FORMS)('%s: %s', async (type, text, fields) => {
    const { events, stats } = await readText(lines(kernelLine(text)));
    expect(stats).toMatchObject({ events: 1, malformed: 0 });
    expect(events).toMatchObject([{ type, timestamp: 1000n, ...fields }]);
  });

  test('every event of the catalogue has a form here', () => {
    const shown = new Set(FORMS.map(([name]) => name));
    expect(EVENT_NAMES.filter((name) => !shown.has(name))).toEqual(['gap']);
  });

  test('a row keeps nothing of the event that was in it before', async () => {
    const { events } = await readText(
      lines(
        kernelLine('kvm_entry: vcpu 7, rip 0x100c[immediate exit]'),
        kernelLine('kvm_hv_stimer_expiration: vcpu_id 1 timer 3 direct 1 send result -1'),
        kernelLine('kvm_entry: vcpu 7, rip 0x100c'),
        kernelLine('kvm_hv_stimer_expiration: vcpu_id 1 timer 3 msg send result 0'),
        kernelLine('kvm_exit: reason npf'),
      ),
      {},
      1,
    );
    expect(events).toMatchObject([
      { immediateExit: true },
      { direct: 1 },
      { immediateExit: false },
      { direct: 0 },
      { vcpuId: 0xffffffff },
    ]);
  });

  test.each([
    ['kvm_entry: vcpu'],
    ['kvm_entry: vcpu x'],
    ['kvm_entry: vcpu 1x'],
    ['kvm_entry: vcpu 0x'],
    ['kvm_entry: vcpu -'],
    ['kvm_entry: vcpu 4294967296'],
    ['kvm_entry: '],
    ['kvm_entry:'],
    ['kvm_msr: msr_poke 10 = 0x5'],
    ['kvm_msr: msr_read 123456789 = 0x5'],
    ['kvm_write_tsc_offset: vcpu=0 prev=0 next=18446744073709551616'],
    ['kvm_write_tsc_offset: vcpu=0 prev=0 next=99999999999999999999'],
    ['kvm_write_tsc_offset: vcpu=0 prev=0 next=123456789012345678901'],
    ['kvm_wait_lapic_expire: vcpu 0: delta -9223372036854775809 (early)'],
    ['kvm_update_master_clock: masterclock 2 hostclock tsc offsetmatched 0'],
    ['kvm_update_master_clock: masterclock 1 hostclock sundial offsetmatched 0'],
    ['kvm_update_master_clock: masterclock 1 hostclock 4294967296 offsetmatched 0'],
    ['kvm_exit: [FAILED TO PARSE] exit_reason=1024'],
    ['sys_ioctl(fd: 3, cmd: ae04)'],
    ['sys_ioctl -> 0x12345678901234567'],
    ['suspend_resume: CPU_OFF'],
    ['suspend_resume: CPU_OFF[1] perhaps'],
    [
      'kvm_pvclock_update: vcpu_id 3, pvclock { version 7, tsc_timestamp 0x1, system_time 0x1, tsc_to_system_mul 0x1, tsc_shift 256, flags 0x1 }',
    ],
  ])('malformed: %s', async (text) => {
    const { events, stats } = await readText(lines('# tracer: nop', kernelLine(text)));
    expect(stats).toMatchObject({ events: 1, malformed: 1, firstMalformed: 'line 2' });
    // Of a clock's own event what it said is lost.
    const name = CLOCK_EVENTS.find((each) => text.startsWith(`${each}:`));
    const lost = { type: 'gap', lost: 1n, text: `line 2: a ${name} that can’t be understood` };
    expect(events).toMatchObject(name === undefined ? [] : [lost]);
    expect(stats).toMatchObject({ gaps: events.length, lostEvents: BigInt(events.length) });
  });

  test.each([
    ['kvm_entry_x: vcpu 1'],
    ['kvm_entr: vcpu 1'],
    ['xkvm_entry: vcpu 1'],
    ['gap: of someone else'],
    ['marker: of someone else'],
    ['sys_clock_adjtime -> 0x0'],
    ['sys_ioctl: of someone else'],
    ['schedule <-worker_thread'],
    ['k'],
    [''],
  ])('another event: %j', async (text) => {
    const { events, stats } = await readText(lines('# tracer: nop', kernelLine(text)));
    expect(events).toEqual([]);
    expect(stats).toMatchObject({ events: 1, malformed: 0 });
  });

  test('signed fields printed as unsigned, of any width', async () => {
    const shift = async (text: string) => {
      const { events } = await readText(
        lines(
          kernelLine(
            `kvm_pvclock_update: vcpu_id 3, pvclock { version 7, tsc_timestamp 0x1, system_time 0x1, tsc_to_system_mul 0x1, tsc_shift ${text}, flags 0x1 }`,
          ),
        ),
      );
      return (events[0] as { tscShift?: number }).tscShift;
    };
    expect(await shift('254')).toBe(-2);
    expect(await shift('4294967294')).toBe(-2);
    expect(await shift('18446744073709551614')).toBe(-2);
    expect(await shift('-2')).toBe(-2);
    expect(await shift('2')).toBe(2);
  });

  test('64-bit fields exactly, at the edges of every shorter kind of number', async () => {
    const edges = [0n, 9n, 10n];
    for (let k = 1n; k <= 64n; k++) edges.push(2n ** k - 1n, 2n ** k - 2n, 2n ** (k - 1n));
    for (let k = 1n; k <= 19n; k++) edges.push(10n ** k - 1n, 10n ** k);
    const values = edges.filter((value) => value < 2n ** 64n);
    const { events } = await readText(
      lines(
        ...values.flatMap((value) => [
          kernelLine(`kvm_write_tsc_offset: vcpu=0 prev=${value} next=0x${value.toString(16)}`),
          kernelLine(`kvm_wait_lapic_expire: vcpu 0: delta ${BigInt.asIntN(64, value)} (late)`),
        ]),
      ),
    );
    expect(events).toMatchObject(
      values.flatMap((value) => [
        { previousTscOffset: value, nextTscOffset: value },
        { delta: BigInt.asIntN(64, value) },
      ]),
    );
  });

  test('patterns name fields of their events only', () => {
    for (const name of EVENT_NAMES) {
      const { print = [], fields, text }: EventSpec = EVENTS[name];
      const known = [...Object.keys(fields), ...(text ? ['text'] : [])];
      const named = print.flatMap((p) => [...p.matchAll(/%([a-z_0-9]+)/g)].map((m) => m[1]!));
      expect(named.filter((field) => !known.includes(field))).toEqual([]);
    }
  });
});
