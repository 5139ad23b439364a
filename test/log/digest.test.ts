/** Digests of logs beside the same written plainly. */
import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { camelCase } from '../../events/event.ts';
import {
  EVENTS,
  InputBatch,
  inputCode,
  OBSERVATIONS,
  type Observation,
} from '../../events/index.ts';
import { makeFinding } from '../../replay/findings/finding.ts';
import { Vm } from '../../replay/identity/vm.ts';
import { LogDigest } from '../../replay/log/digest.ts';
import { runs } from '../engine/arbitraries.ts';

type Fields = Readonly<Record<string, { readonly type: string; readonly optional?: boolean }>>;

const TYPES = {
  request: OBSERVATIONS.request.fields,
  guest_write: OBSERVATIONS.guest_write.fields,
  ioctl_result: OBSERVATIONS.ioctl_result.fields,
  timer_armed: OBSERVATIONS.timer_armed.fields,
  kvm_pvclock_update: EVENTS.kvm_pvclock_update.fields,
} satisfies Partial<Record<Observation['type'], Fields>>;

/** The fields of a type, as its objects have them. */
const fieldsOf = (type: keyof typeof TYPES): [string, Fields[string]][] =>
  Object.entries(TYPES[type] as Fields).map(([name, spec]) => [camelCase(name), spec]);

const u32 = fc.nat(0xffff_ffff);
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const VALUES: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  u8: fc.nat(255),
  s8: fc.integer({ min: -128, max: 127 }),
  u32,
  s32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  u64,
  s64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  bool: fc.boolean(),
  bytes: fc.nat(6000).map((length) => new Uint8Array(length).fill(length)),
  text: fc.string({ maxLength: 20, unit: 'binary' }),
};

/** An observation whose members come in any order; of those that need not be there, some are not. */
const observation: fc.Arbitrary<Observation> = fc
  .tuple(fc.constantFrom(...(Object.keys(TYPES) as (keyof typeof TYPES)[])), fc.nat(2))
  .chain(([type, vm]) =>
    fc
      .tuple(
        ...fieldsOf(type).map(([name, spec]) => {
          const value = VALUES[spec.type]!;
          const some = spec.optional === true ? fc.option(value, { nil: undefined }) : value;
          return some.map((value) => [name, value] as const);
        }),
        fc.option(u32, { nil: undefined }).map((vcpu) => ['vcpu', vcpu] as const),
      )
      .chain((members) => {
        const all = [['type', type] as const, ['vm', vm] as const, ...members];
        return fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length });
      }),
  )
  .map((members) => {
    // Some lack what others have as `undefined`.
    const lacks = members[0]![0] < 'n';
    const there = members.filter(([, value]) => !lacks || value !== undefined);
    return Object.fromEntries(there) as unknown as Observation;
  });

interface Step {
  readonly tsc: bigint;
  /** Whose input it is. */
  readonly vm: number;
  readonly ends: boolean;
  readonly outcome: number;
  readonly seen: readonly Observation[];
  /** How many findings come of it. */
  readonly findings: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  tsc: u64,
  vm: fc.nat(2),
  ends: fc.boolean(),
  outcome: fc.nat(5),
  seen: fc.array(observation, { maxLength: 4 }),
  findings: fc.constantFrom(0, 0, 1, 400),
});

const finding = (vm: number, tsc: bigint) =>
  makeFinding(
    'jump',
    'warning',
    {
      vm: new Vm(String(vm), 'log', '', 0),
      vcpu: 1,
      timestamp: tsc,
      tsc,
      timeNs: 1n,
      visibility: 'entry',
    },
    { cause: 'a cause', reason: 'a reason', mechanism: 'set-clock', predictedNs: 5n },
    -7n,
  );
const findingText = (tsc: bigint): string => `jump warning 1 ${tsc} -7 set-clock 5\n`;

const little = (bytes: number, value: bigint): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt.asUintN(64, value));
  return buffer.subarray(0, bytes);
};

function valueBytes(type: string, value: unknown): Buffer {
  if (value === undefined) return Buffer.of(0);
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  if (bytes instanceof Uint8Array) {
    return Buffer.concat([Buffer.of(1), little(4, BigInt(bytes.length)), bytes]);
  }
  const number = BigInt(value as bigint | number | boolean);
  return Buffer.concat([Buffer.of(1), little(type === 'u64' || type === 's64' ? 8 : 4, number)]);
}

const seenBytes = (tsc: bigint, seen: Observation): Buffer =>
  Buffer.concat([
    Buffer.from(`${seen.type}\0`),
    little(8, tsc),
    valueBytes('u32', seen.vcpu),
    ...fieldsOf(seen.type as keyof typeof TYPES).map(([name, { type }]) =>
      valueBytes(type, (seen as unknown as Record<string, unknown>)[name]),
    ),
  ]);

const sha256 = (...parts: (string | Uint8Array)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** The digest of all steps: everything of a VM in one piece, then its findings' digest. */
function plainly(steps: readonly Step[], options: Readonly<Record<string, string>>) {
  const ended = new Map<number, string>();
  const open = new Map<number, { bytes: Buffer[]; findings: string }>();
  const of = (vm: number) => {
    const found = open.get(vm) ?? { bytes: [Buffer.from(ended.get(vm) ?? '')], findings: '' };
    open.set(vm, found);
    return found;
  };
  const end = (vm: number): void => {
    const { bytes, findings } = of(vm);
    ended.set(vm, sha256(...bytes, sha256(findings)).toString('hex'));
    open.delete(vm);
  };
  for (const { tsc, vm, ends, outcome, seen, findings } of steps) {
    if (findings > 0) of(vm).findings += findingText(tsc).repeat(findings);
    if (outcome === 0 && seen.length === 0 && !ends) continue;
    of(vm).bytes.push(little(8, tsc), Buffer.of(outcome));
    for (const one of seen) of(one.vm).bytes.push(seenBytes(tsc, one));
    if (ends) end(vm);
  }
  for (const vm of [...open.keys()]) end(vm);
  const vms = [...ended].sort(([a], [b]) => a - b);
  const all = sha256(
    JSON.stringify({ schema: 3, inputs: steps.length, ...options }),
    ...vms.map(([vm, digest]) => `${vm} ${digest}\n`),
  );
  return {
    all: `sha256:${all.toString('hex')}`,
    vms: new Map(vms.map(([vm, digest]) => [vm, `sha256:${digest}`])),
  };
}

describe('a log’s digest', () => {
  it('covers what it says, in whatever pieces it is hashed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const digest = new LogDigest();
        const inputs = new InputBatch();
        for (const { tsc, vm, ends, outcome, seen, findings } of steps) {
          inputs.clear();
          if (ends) inputs.add({ type: 'destroy_vm', tsc, vm, cpu: 0 });
          else inputs.addBare(inputCode('kvm_exit'), tsc, vm, 0);
          for (let i = 0; i < findings; i++) digest.addFinding(finding(vm, tsc));
          digest.add(inputs, 0, outcome, seen);
        }
        const options = { profile: 'v6.8' };
        expect(digest.finish(steps.length, [], options)).toEqual(plainly(steps, options));
      }),
      runs(60),
    );
  });
});

describe('a batch that is cleared', () => {
  it('lets go of its inputs', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const batch = new InputBatch();
    const added = (() => {
      const input = { type: 'destroy_vm', tsc: 5n, vm: 1, cpu: 0 } as const;
      batch.add(input);
      return new WeakRef(input);
    })();
    batch.clear();
    // A reference is kept to the end of the turn that made it.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(added.deref()).toBeUndefined();
  });
});
