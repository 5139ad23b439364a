import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LogEntry, LogError, LogWriteError, LogWriter } from '../../events/log/index.ts';
import { headerOf, LoggedWorld } from '../../replay/log/index.ts';
import { CHECKPOINT_STRUCTS, makeHost, World } from '../../src/engine/index.ts';
import { profile } from '../../src/profiles/index.ts';
import { newWorld, play } from '../engine/history.ts';
import { FORMS, FORTY_INPUTS, readAll } from './logs.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masterclock-log-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('appending', () => {
  const writerOf = (path: string, world: World) =>
    new LogWriter(path, {
      form: path.endsWith('.mclog') ? 'mclog' : 'jsonl',
      header: headerOf(world, profile(FORTY_INPUTS.profile)),
      structs: CHECKPOINT_STRUCTS,
      acknowledge: 'synced',
    });

  it.each(FORMS)('%s: goes on after a torn tail, as if it had not been', async (form) => {
    const path = join(folder, `torn.${form}`);
    const inputs = play(FORTY_INPUTS);
    let world = newWorld(FORTY_INPUTS);
    let logged = new LoggedWorld(world, writerOf(path, world), 8);
    let size = 0;
    for (const input of inputs.slice(0, 20)) {
      const { kept } = logged.dispatch(input);
      expect(kept.by).toBe('synced');
      expect(kept.size).toBeGreaterThan(size);
      ({ size } = kept);
    }
    writeFileSync(path, '{"input":"kvm', { flag: 'a' });
    truncateSync(path, size + 5);
    world = newWorld(FORTY_INPUTS);
    for (const input of inputs.slice(0, 20)) world.dispatch(input);
    const writer = writerOf(path, newWorld(FORTY_INPUTS));
    expect(writer.cut).toEqual({ offset: size, bytes: 5 });
    expect(writer.inputs).toBe(20);
    logged = new LoggedWorld(world, writer, 8);
    for (const input of inputs.slice(20)) logged.dispatch(input);
    writer.close();
    const read = await readAll(new Uint8Array(readFileSync(path)));
    expect(read.entries.flatMap((e) => (e.kind === 'input' ? [e.input] : []))).toEqual(inputs);
    expect(read.log.index?.checkpoints.length ?? 5).toBe(5);
  });

  it('another log, or one that somebody else writes to, is refused', () => {
    const path = join(folder, 'other.mclog');
    const world = newWorld(FORTY_INPUTS);
    const writer = writerOf(path, world);
    expect(() =>
      writerOf(path, new World({ switches: world.switches, host: makeHost({ tscKhz: 1e6 }) })),
    ).toThrow(/host: expected that of the log to go on with, found another/);
    writeFileSync(path, 'x', { flag: 'a' });
    expect(() => writer.append([{ kind: 'gap', tsc: 1n, reason: '' }])).toThrow(
      /as this writer left it/,
    );
  });

  it('where writing failed the writer ends, and its file is closed', () => {
    const path = join(folder, 'ended.mclog');
    const writer = writerOf(path, newWorld(FORTY_INPUTS));
    const gap: LogEntry = { kind: 'gap', tsc: 1n, reason: '' };
    const open = readdirSync('/dev/fd').length;
    writeFileSync(path, 'x', { flag: 'a' });
    expect(() => writer.append([gap])).toThrow(LogWriteError);
    expect(readdirSync('/dev/fd').length).toBe(open - 1);
    truncateSync(path, statSync(path).size - 1);
    expect(() => writer.append([gap])).toThrow(
      /expected an open log, found one whose writing failed$/,
    );
    expect(() => writer.close()).not.toThrow();
    const closed = writerOf(path, newWorld(FORTY_INPUTS));
    writeFileSync(path, 'x', { flag: 'a' });
    expect(() => closed.close()).toThrow(LogWriteError);
    expect(readdirSync('/dev/fd').length).toBe(open - 1);
  });

  it('an entry that no log can hold leaves the writer as it was', async () => {
    for (const form of FORMS) {
      const path = join(folder, `refused.${form}`);
      const writer = writerOf(path, newWorld(FORTY_INPUTS));
      const gap: LogEntry = { kind: 'gap', tsc: 1n, reason: '' };
      expect(() => writer.append([gap, { ...gap, reason: 'x'.repeat(5000) }])).toThrow(LogError);
      writer.append([gap]);
      writer.close();
      expect((await readAll(new Uint8Array(readFileSync(path)))).entries).toEqual([gap]);
    }
  });

  it('a log with structs is not gone on with without them', () => {
    const path = join(folder, 'structs.mclog');
    const header = headerOf(newWorld(FORTY_INPUTS), profile(FORTY_INPUTS.profile));
    writerOf(path, newWorld(FORTY_INPUTS)).close();
    expect(() => new LogWriter(path, { form: 'mclog', header })).toThrow(
      /: structs: expected Host, Vm, Vcpu, found no structs$/,
    );
  });

  it('a file that cannot be made, and one that cannot be begun, are told in words', () => {
    const header = headerOf(newWorld(FORTY_INPUTS), profile(FORTY_INPUTS.profile));
    const begin = (name: string, reason: RegExp) => {
      const make = () => new LogWriter(join(folder, name), { form: 'jsonl', header });
      expect(make).toThrow(LogWriteError);
      expect(make).toThrow(reason);
    };
    begin('none/a.jsonl', /expected a file to write to, found no such folder$/);
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link.jsonl'));
    begin('link.jsonl', /found a symbolic link that leads nowhere$/);
    const loop = { ...header, host: { n: 1n } };
    const path = join(folder, 'bad.jsonl');
    expect(() => new LogWriter(path, { form: 'jsonl', header: loop })).toThrow(TypeError);
    expect(existsSync(path)).toBe(false);
  });
});
