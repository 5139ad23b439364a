import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  EVENT_CODES,
  EVENT_NAMES,
  EVENTS,
  EventBatch,
  type EventOf,
  IOCTLS,
  LAYOUTS,
  NARROW_COLUMNS,
  slotOf,
  type TraceEvent,
  WIDE_COLUMNS,
} from '../events/index.ts';

describe('the catalogue', () => {
  test('fields fit the columns, each in a place of its own', () => {
    for (const layout of LAYOUTS) {
      for (const wide of [true, false]) {
        const slots = layout.filter((s) => s.wide === wide).map((s) => s.slot);
        expect(new Set(slots).size).toBe(slots.length);
        expect(Math.max(-1, ...slots)).toBeLessThan(wide ? WIDE_COLUMNS : NARROW_COLUMNS);
      }
    }
  });

  test('codes are places in the list of names', () => {
    for (const name of EVENT_NAMES) expect(EVENT_NAMES[EVENT_CODES[name]]).toBe(name);
  });

  test('every event and field says what it is', () => {
    for (const spec of Object.values(EVENTS)) {
      expect(spec.doc).toMatch(/\.$/);
      for (const field of Object.values(spec.fields)) expect(field.doc).not.toBe('');
    }
  });

  test('ioctl numbers are KVM’s', () => {
    for (const { cmd } of IOCTLS) expect((cmd >>> 8) & 0xff).toBe(0xae);
    expect(new Set(IOCTLS.map((i) => i.cmd)).size).toBe(IOCTLS.length);
  });
});

describe('a batch', () => {
  function filled(): EventBatch {
    const batch = new EventBatch(4);
    batch.comms = ['qemu'];
    batch.codes[0] = EVENT_CODES.kvm_pvclock_update;
    batch.timestamps[0] = 123n;
    batch.cpus[0] = 3;
    batch.tids[0] = 42;
    batch.wides.set([(1n << 64n) - 1n, 7n]);
    batch.narrows.set([1, -1, 0x7fffffff, -1, 255]);
    const layout = LAYOUTS[EVENT_CODES.kvm_pvclock_update]!;
    expect(layout.map((s) => s.name)).toEqual(Object.keys(EVENTS.kvm_pvclock_update.fields));
    batch.length = 1;
    return batch;
  }

  test('makes typed events of its rows', () => {
    expect(filled().event(0)).toEqual({
      type: 'kvm_pvclock_update',
      timestamp: 123n,
      cpu: 3,
      tid: 42,
      tgid: 0,
      comm: 'qemu',
      vcpuId: 1,
      version: 0xffffffff,
      tscTimestamp: (1n << 64n) - 1n,
      systemTime: 7n,
      tscToSystemMul: 0x7fffffff,
      tscShift: -1,
      flags: 255,
    });
  });

  test('has no event in a row that is not in use', () => {
    expect(() => filled().event(1)).toThrow(RangeError);
    expect(() => filled().event(-1)).toThrow(RangeError);
  });

  test('knows no field that an event does not have', () => {
    expect(slotOf('kvm_pvclock_update', 'system_time')).toBe(1);
    // @ts-expect-error the type knows it too
    expect(() => slotOf('kvm_entry', 'system_time')).toThrow(TypeError);
  });

  test('types follow the catalogue', () => {
    expectTypeOf<EventOf<'kvm_write_tsc_offset'>['nextTscOffset']>().toEqualTypeOf<bigint>();
    expectTypeOf<EventOf<'kvm_msr'>['write']>().toEqualTypeOf<boolean>();
    expectTypeOf<EventOf<'marker'>['text']>().toEqualTypeOf<string>();
    expectTypeOf<Extract<TraceEvent, { type: 'kvm_entry' }>['vcpuId']>().toEqualTypeOf<number>();
  });
});
