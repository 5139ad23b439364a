/** Ring-buffer pages built by hand, in all byte orders, word sizes and versions of the file. */
import { describe, expect, it } from 'vitest';
import type { EventOf } from '../../events/index.ts';
import { type BufferSpec, buildV6, buildV7, type FileSpec } from './tracedat-builder.ts';
import { expire, type Machine, Page, PC } from './tracedat-pages.ts';
import { readAll, readRaw } from './tracedat-reading.ts';

const machines: readonly Machine[] = [
  PC,
  { little: true, longSize: 4, pageSize: 4096 },
  { little: false, longSize: 8, pageSize: 4096 },
  { little: false, longSize: 4, pageSize: 65536 },
  { little: true, longSize: 8, pageSize: 256 },
];

const files: readonly (readonly [string, (spec: FileSpec) => Buffer])[] = [
  ['v6', buildV6],
  ['v7', buildV7],
  ['v7 zlib', (spec) => buildV7({ ...spec, compression: 'zlib' })],
];

/** What was read, shortened: time, CPU, and the vCPU of an event or the number of a gap. */
async function times(file: Buffer): Promise<string[]> {
  const { events } = await readAll(file, undefined, 3);
  return events.map((e) => {
    const what = e.type === 'gap' ? `gap ${e.lost}` : (e as EventOf<'kvm_entry'>).vcpuId;
    return `${e.timestamp} ${e.cpu} ${what}`;
  });
}

const one = (cpus: BufferSpec['cpus']): FileSpec['buffers'] => [{ cpus }];

describe.each(machines)('pages of %o', (machine) => {
  describe.each(files)('in %s', (_, build) => {
    const read = (...pages: Buffer[]) => times(build({ machine, buffers: one([pages]) }));
    const event = (vcpu: number) => expire(machine, vcpu, -vcpu);

    it('adds up the times between events', async () => {
      const page = new Page(machine).event(5, event(1)).event(7, event(2)).at(1000n);
      expect(await read(page)).toEqual(['1005 0 1', '1012 0 2']);
    });

    it('carries into the high half of a time', async () => {
      const page = new Page(machine).event(0, event(1)).event(2, event(2)).at(0x1fffffffen);
      expect(await read(page)).toEqual([`${0x1fffffffe} 0 1`, `${0x200000000} 0 2`]);
    });

    it('adds time extends to what follows', async () => {
      const page = new Page(machine)
        .extend(1n << 40n)
        .event(3, event(1))
        .at(10n);
      expect(await read(page)).toEqual([`${(1n << 40n) + 13n} 0 1`]);
    });

    it('adds time extends of 59 bits', async () => {
      const ticks = (1n << 59n) - 1n;
      const page = new Page(machine).extend(ticks).event(0, event(1)).at(2n);
      expect(await read(page)).toEqual([`${ticks + 2n} 0 1`]);
    });

    it('takes the top five bits of an absolute time from the time before', async () => {
      const page = new Page(machine)
        .stamp(77n)
        .event(1, event(1))
        .at((0x1fn << 59n) | 5n);
      expect(await read(page)).toEqual([`${(0x1fn << 59n) + 78n} 0 1`]);
    });

    it('goes back to an absolute time', async () => {
      const page = new Page(machine).event(50, event(1)).stamp(20n).event(1, event(2)).at(100n);
      expect(await read(page)).toEqual(['150 0 1', '21 0 2']);
    });

    it('passes over discarded events and counts their time', async () => {
      const page = new Page(machine).padding(4, 24).event(1, event(1)).at(100n);
      expect(await read(page)).toEqual(['105 0 1']);
    });

    it('ends a page at padding without a time', async () => {
      const page = new Page(machine).event(1, event(1)).word(29, 0).event(1, event(2));
      expect(await read(page.at(0n))).toEqual(['1 0 1']);
    });

    it('reads events with a length of their own', async () => {
      const long = Buffer.concat([event(3), Buffer.alloc(6)]);
      const page = new Page(machine).longEvent(1, long).event(1, event(4)).at(0n);
      expect(await read(page)).toEqual(['1 0 3', '2 0 4']);
    });

    it('passes over empty pages', async () => {
      const page = new Page(machine).event(1, event(1)).at(5n);
      expect(await read(new Page(machine).at(2n), page)).toEqual(['6 0 1']);
    });

    it('reports how many events were lost before the next event of that CPU', async () => {
      const first = new Page(machine).event(1, event(1)).at(0n);
      const second = new Page(machine).event(9, event(2)).at(100n, 42n);
      expect(await read(first, second)).toEqual(['1 0 1', '109 0 gap 42', '109 0 2']);
    });

    it('reports lost events without a number as 0', async () => {
      const page = new Page(machine).event(9, event(2)).at(100n, 'unknown');
      expect(await read(page)).toEqual(['109 0 gap 0', '109 0 2']);
    });

    it('goes on behind a corrupt page', async () => {
      const corrupt = new Page(machine).event(1, event(1)).word(20, 0).at(0n);
      const next = new Page(machine).event(1, event(3)).at(50n);
      expect(await read(corrupt, next)).toEqual(['1 0 1', '51 0 gap 0', '51 0 3']);
    });

    it('goes on behind a page that claims more than it can hold', async () => {
      const corrupt = Buffer.from(new Page(machine).at(0n)).fill(0x7f, 8, 8 + machine.longSize);
      const next = new Page(machine).event(1, event(3)).at(50n);
      expect(await read(corrupt, next)).toEqual(['51 0 gap 0', '51 0 3']);
    });

    it('merges CPUs by time, equal times by CPU', async () => {
      const page = (vcpu: number, ...deltas: number[]) =>
        deltas.reduce((p, delta) => p.event(delta, event(vcpu)), new Page(machine)).at(0n);
      const cpus = [[page(1, 10, 10)], [page(2, 5, 5, 10)], [page(3, 20)]];
      expect(await times(build({ machine, buffers: one(cpus) }))).toEqual([
        ...['5 1 2', '10 0 1', '10 1 2', '20 0 1', '20 1 2', '20 2 3'],
      ]);
    });
  });
});

describe('lost events', () => {
  const event = expire(PC, 1, 0);

  it('counts them in the statistics, also where gaps are not asked for', async () => {
    const pages = [
      new Page(PC).event(1, event).at(0n, 5n),
      new Page(PC).event(1, event).at(9n, 7n),
      new Page(PC).event(1, event).at(19n, 'unknown'),
    ];
    const file = buildV7({ buffers: one([pages]) });
    const { recording, events } = await readAll(file, ['kvm_wait_lapic_expire']);
    expect(events).toHaveLength(3);
    expect(recording.stats).toMatchObject({ gaps: 3, lostEvents: 12n, events: 3 });
  });

  it('joins gaps that have no event between them', async () => {
    const pages = [new Page(PC).at(0n, 5n), new Page(PC).event(1, event).at(9n, 7n)];
    const raw = await readRaw(buildV7({ buffers: one([pages]) }));
    expect(raw.map((e) => e.name)).toEqual(['gap', 'kvm_wait_lapic_expire']);
    expect(raw[0]?.fields['lost']).toBe(12n);
  });

  it('has a gap at the end where pages without events say so', async () => {
    const pages = [new Page(PC).event(1, event).at(0n), new Page(PC).at(9n, 7n)];
    const { events } = await readAll(buildV7({ buffers: one([pages]) }));
    expect(events.at(-1)).toMatchObject({ type: 'gap', timestamp: 9n, lost: 7n });
  });

  it('says where a corrupt page stands', async () => {
    const pages = [new Page(PC).event(1, event).at(0n), new Page(PC).word(20, 0).at(9n)];
    const file = buildV6({ buffers: one([pages]) });
    const { events } = await readAll(file);
    const at = file.length - PC.pageSize;
    const text = `corrupt page of CPU 0 at byte ${at}: an event exceeds it`;
    expect(events.at(-1)).toMatchObject({ type: 'gap', text });
  });
});
