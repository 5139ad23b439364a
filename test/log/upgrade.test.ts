import { expect, it } from 'vitest';
import { decodeFrame, encodeFrame, encodePreamble, FRAME } from '../../events/log/frame.ts';
import { LogError, openLog, type Upgrades } from '../../events/log/index.ts';
import { bytesOf, inMemory, type Log, logOf } from './logs.ts';

/** Version 0 as it might have been: entries were called enters, and exits told why. */
const UPGRADES: Upgrades = new Map([
  [
    0,
    {
      header: ({ kernel, ...rest }) => ({ ...rest, profile: kernel, options: {} }),
      entry: (json) => {
        if (json['input'] === 'note') return undefined;
        return json['input'] === 'kvm_enter' ? { ...json, input: 'kvm_entry' } : json;
      },
    },
  ],
]);

const { header }: Log = logOf({
  profile: 'v6.1',
  host: { tscKhz: 2e6, vendor: 'vmx', hasTscControl: true, constantTsc: true, staleKhz: 0 },
  steps: [],
});
const { profile: kernel, options: _, ...others } = header;
const OLD_HEADER = { form: 'masterclock/log', version: 0, ...others, kernel };

const readable = (): Uint8Array =>
  new TextEncoder().encode(
    [
      OLD_HEADER,
      { input: 'note', tsc: '1' },
      { input: 'kvm_enter', tsc: '2', vm: 0, vcpu: 1 },
      { input: 'suspend', tsc: '3' },
    ]
      .map((line) => `${JSON.stringify(line)}\n`)
      .join(''),
  );

/** The same in the binary form, which declares its own records. */
function binary(): Uint8Array {
  const schema = {
    records: [
      'input note | tsc:u64',
      'input suspend | tsc:u64',
      'input kvm_enter | tsc:u64 vm:u32 vcpu:u32',
    ],
    readings: [],
  };
  const head = new TextEncoder().encode(JSON.stringify({ ...OLD_HEADER, schema, structs: [] }));
  const tsc = (n: number) => [n, 0, 0, 0, 0, 0, 0, 0];
  const records = [0, 0, ...tsc(1), 2, 0, ...tsc(2), 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, ...tsc(3)];
  const payload = Uint8Array.from([3, 0, 0, 0, 3, 0, 0, 0, ...records]);
  return new Uint8Array(
    Buffer.concat([
      encodePreamble(0),
      encodeFrame(FRAME.header, head),
      encodeFrame(FRAME.records, payload),
    ]),
  );
}

it.each([
  ['jsonl', readable],
  ['mclog', binary],
])('%s: an older version is read as today’s', async (_form, make) => {
  const log = await openLog(inMemory(make()), { upgrades: UPGRADES });
  expect(log).toMatchObject({ version: 0, header: { ...header, options: {} } });
  const entries = [];
  for await (const batch of log.entries()) entries.push(...batch);
  expect(entries).toEqual([
    { kind: 'input', input: { type: 'kvm_entry', tsc: 2n, vm: 0, vcpu: 1 } },
    { kind: 'input', input: { type: 'suspend', tsc: 3n } },
  ]);
});

it('one that nothing is known of is refused', async () => {
  await expect(openLog(inMemory(readable()))).rejects.toThrow(
    'a.log: line 1: version: expected version 1 … 1, found version 0',
  );
});

it('records that differ from what the version says are named', async () => {
  const bytes = bytesOf('mclog', { header, entries: [] });
  const framed = decodeFrame(bytes.subarray(16));
  if (framed.is !== 'frame') throw new Error('no frame');
  const text = new TextDecoder()
    .decode(framed.payload)
    .replace('tsc:u64 vm:u32 vcpu:u32 cpu:u32', 'tsc:u64');
  const other = Buffer.concat([
    encodePreamble(),
    encodeFrame(FRAME.header, new TextEncoder().encode(text)),
  ]);
  const error = await openLog(inMemory(new Uint8Array(other))).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(LogError);
  expect((error as Error).message).toMatch(
    /schema of input KVM_CREATE_VCPU: expected tsc:u64 vm:u32 vcpu:u32 cpu:u32, found tsc:u64$/,
  );
});
