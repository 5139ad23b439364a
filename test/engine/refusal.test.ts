import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Input } from '../../events/index.ts';
import { InputError, type InputErrorCode, type World } from '../../src/engine/index.ts';
import { histories, runs } from './arbitraries.ts';
import { PLAIN_HOST, Teller, type Told } from './directed.ts';
import { newWorld, play } from './history.ts';
import { type Hostile, hostileInputs, NO_INPUTS } from './hostile.ts';
import { bytesOf } from './snapshot.ts';

/** Sends what nobody should send; whether it was refused, and how. */
function send(world: World, input: unknown): 'accepted' | 'answered' | InputErrorCode {
  const bytes = bytesOf(world);
  const { count, lastTsc } = world;
  try {
    const { refused, observations } = world.dispatch(input as Input);
    if (!refused) return 'accepted';
    expect(observations).toHaveLength(1);
    const [answer] = observations;
    if (answer?.type === 'ioctl_result') expect(answer.ret).toBeLessThan(0);
    else expect(answer).toMatchObject({ type: 'msr_result', ok: false });
    expect(bytesOf(world)).toEqual(bytes);
    return 'answered';
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.index).toBe(count);
    const { type } = Object(input) as { type?: unknown };
    expect(error.type).toBe(typeof type === 'string' ? type.slice(0, 40) : '');
    expect(error.expected).not.toBe('');
    expect(error.found).not.toBe('');
    expect(error.message).toContain(`expected ${error.expected}, found ${error.found}`);
    expect(bytesOf(world)).toEqual(bytes);
    expect([world.count, world.lastTsc]).toEqual([count, lastTsc]);
    return error.code;
  }
}

const at = (world: World, { after, fields }: Hostile): unknown => ({
  tsc: BigInt.asUintN(64, world.lastTsc + after),
  ...fields,
});

describe('an input that cannot be', () => {
  it('changes no byte, and says what is wrong', () => {
    const met = new Map<string, number>();
    fc.assert(
      fc.property(
        histories(40),
        fc.array(hostileInputs, { minLength: 10, maxLength: 40, size: 'max' }),
        (spec, hostile) => {
          const world = newWorld(spec);
          play(spec, {}, world);
          for (const item of hostile) {
            const how = send(world, at(world, item));
            met.set(how, (met.get(how) ?? 0) + 1);
          }
        },
      ),
      runs(150),
    );
    // The property is about refusals, so there must have been some of each kind it can meet.
    for (const how of [
      'accepted',
      'answered',
      'unknown-input',
      'bad-value',
      'tsc-backwards',
      'no-such-vm',
      'vm-exists',
      'no-such-vcpu',
      'wrong-order',
      'unknown-msr',
    ]) {
      expect(met.get(how) ?? 0, how).toBeGreaterThan(0);
    }
  });

  it.each(NO_INPUTS.map((input) => [input]))('is refused: %o', (input) => {
    const world = new Teller('v6.8').boot(1).world;
    expect(send(world, input)).toMatch(/^(unknown-input|bad-value)$/);
  });
});

/** A guest frequency that leaves less than 1 kHz of the host's: the kernel never returns. */
const KILOHERTZ: readonly Told[] = [
  { type: 'vcpu_load', cpu: 0 },
  { type: 'KVM_SET_TSC_KHZ', khz: 1 },
];

describe('what a kernel does not survive', () => {
  it('is refused as such until v7.1, which reckons with 1 kHz', () => {
    const svm = { ...PLAIN_HOST, vendor: 'svm' as const };
    const old = new Teller('v6.15', svm).boot(1);
    old.tell(...KILOHERTZ);
    expect(send(old.world, old.wait(1000n).complete({ type: 'kvm_entry' }))).toBe('kernel-hangs');
    const fixed = new Teller('v7.3', svm).boot(1);
    fixed.tell(...KILOHERTZ);
    expect(send(fixed.world, fixed.wait(1000n).complete({ type: 'kvm_entry' }))).toBe('accepted');
  });
});

describe('a TSC that goes backwards', () => {
  it('is refused while it is stable', () => {
    const t = new Teller('v6.8').boot(1);
    const input = { ...t.complete({ type: 'suspend' }), tsc: t.tsc - 1n };
    expect(send(t.world, input)).toBe('tsc-backwards');
  });

  it('may be once it is unstable, and where a CPU starts again', () => {
    const t = new Teller('v6.8').boot(1);
    t.tell({ type: 'suspend' }, { type: 'timekeeping_suspend' });
    const asleep = { ...t.complete({ type: 'resume', cpu: 0, offsBoot: 1n }), tsc: 5n };
    expect(send(t.world, asleep)).toBe('accepted');
    const u = new Teller('v6.8').boot(1);
    u.tell({ type: 'mark_tsc_unstable' });
    expect(send(u.world, { ...u.complete({ type: 'KVM_GET_CLOCK' }), tsc: 5n })).toBe('accepted');
  });
});

describe('a VM', () => {
  it('is not destroyed while a thread runs one of its vCPUs', () => {
    const t = new Teller('v6.8').boot(2);
    t.tell({ type: 'vcpu_load', vcpu: 1, cpu: 1 });
    const destroy = (): unknown => t.wait(1000n).complete({ type: 'destroy_vm', cpu: 0 });
    expect(send(t.world, destroy())).toBe('wrong-order');
    t.tell({ type: 'vcpu_put', vcpu: 1 });
    expect(send(t.world, destroy())).toBe('accepted');
    expect(send(t.world, t.complete({ type: 'KVM_GET_CLOCK' }))).toBe('no-such-vm');
  });

  it('leaves nothing behind when it is destroyed, and its id can be another’s', () => {
    const t = new Teller('v6.8').boot(2);
    const { tsc } = t.wait(1000n).complete({ type: 'KVM_GET_CLOCK' });
    expect(send(t.world, { type: 'destroy_vm', vm: 0, cpu: 0, tsc })).toBe('accepted');
    expect([...t.world.vms.keys()]).toEqual([]);
    expect(send(t.world, { type: 'KVM_CREATE_VM', vm: 0, tsc })).toBe('accepted');
    expect(t.world.vms.get(0)?.vcpus.size).toBe(0);
    expect(t.world.vms.get(0)?.cell.state.life).toBe('alive');
  });

  it('is destroyed although its guests count steal time', () => {
    const t = new Teller('v6.8').boot(1);
    t.run(0, { type: 'wrmsr', index: 0x4b564d03, data: 0x6001n });
    expect(send(t.world, t.wait(1000n).complete({ type: 'destroy_vm', cpu: 0 }))).toBe('accepted');
  });
});

describe('of what is wrong in two ways', () => {
  const booted = (): World => new Teller('v6.8', PLAIN_HOST).boot(1).world;
  const sent = (fields: object): InputErrorCode | undefined => {
    const world = booted();
    const input = { type: 'kvm_entry', tsc: world.lastTsc, vm: 0, vcpu: 0, ...fields };
    try {
      world.dispatch(input as Input);
    } catch (error) {
      if (error instanceof InputError) return error.code;
      throw error;
    }
    return undefined;
  };

  it('a value that is none is told before an event that cannot have happened', () => {
    for (const vm of ['0', -1, 0.5, Number.NaN, 0n, {}, undefined]) {
      expect(sent({ vm, tsc: 0n })).toBe('bad-value');
      expect(sent({ vcpu: vm, tsc: 0n })).toBe('bad-value');
    }
    expect(sent({ tsc: 0n })).toBe('tsc-backwards');
  });

  it('an MSR that is none of the clock’s before a vCPU in another state', () => {
    expect(sent({ type: 'rdmsr', index: 0x1234 })).toBe('unknown-msr');
    expect(sent({ type: 'rdmsr', index: 0x10 })).toBe('wrong-order');
  });
});
