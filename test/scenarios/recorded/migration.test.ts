/** The documented procedure as a driver carried it out on a real kernel, twice: 100 ms and 5 s away. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { documentedOffset } from '../../../src/engine/vmm/documented.ts';
import { cyclesToNs } from '../../../src/scenarios/migration/errors.ts';
import { migrate, near } from '../migration/migrate.ts';

/** What of a line of `actions.jsonl` is looked at. */
interface Action {
  readonly op: string;
  readonly args: Readonly<Record<string, string | number>>;
  readonly out: Readonly<Record<string, string>>;
  readonly obs?: {
    readonly get_clock: { readonly host_tsc: string };
    readonly vcpus: readonly { readonly tsc_offset: string; readonly pv_ns_at_host_tsc?: string }[];
  };
}

const FILE = new URL('../../fixtures/recordings/migrate-7.3/actions.jsonl.gz', import.meta.url);
const actions = gunzipSync(readFileSync(FILE))
  .toString()
  .trim()
  .split('\n')
  .map((line): Action => JSON.parse(line));

const of = (vm: number, op: string) => actions.filter((a) => a.op === op && a.args['vm'] === vm);
const word = (value: string | number | undefined): bigint => BigInt.asUintN(64, BigInt(value ?? 0));

describe.each([
  [0, 1],
  [2, 3],
])('VM %i that becomes VM %i', (from, to) => {
  const [read] = of(from, 'KVM_GET_CLOCK');
  const [readThere] = of(to, 'KVM_GET_CLOCK');
  const khz = Number(of(from, 'KVM_GET_TSC_KHZ')[0]!.out['khz']);

  test('gets the offsets that the policy computes of what its ioctls returned', () => {
    const offsets = of(from, 'KVM_GET_DEVICE_ATTR').slice(-2);
    const set = of(to, 'KVM_SET_DEVICE_ATTR').slice(0, 2);
    for (const [i, { out }] of offsets.entries()) {
      const offset = documentedOffset(
        { clock: word(read!.out['clock']), hostTsc: word(read!.out['host_tsc']) },
        { clock: word(readThere!.out['clock']), hostTsc: word(readThere!.out['host_tsc']) },
        { tscOffset: word(out['offset']), tscKhz: khz },
      );
      expect(offset).toBe(word(set[i]!.args['offset']));
    }
  });

  test('comes to TSC and kvmclock that are off by one and the same time', () => {
    const last = (vm: number) => {
      const { obs } = of(vm, 'guest_rdtsc').at(-1)!;
      const [vcpu] = obs!.vcpus;
      return {
        hostTsc: BigInt(obs!.get_clock.host_tsc),
        offset: BigInt(vcpu!.tsc_offset),
        kvmclock: BigInt(vcpu!.pv_ns_at_host_tsc ?? 0),
      };
    };
    const [source, destination] = [last(from), last(to)];
    // Both run on one host, so that the one that stayed tells what the other should read.
    const tscNs = cyclesToNs(destination.offset - source.offset, khz);
    const stayed = source.kvmclock + cyclesToNs(destination.hostTsc - source.hostTsc, khz);
    expect(tscNs).toBeGreaterThan(1_000n);
    const kvmclockNs = destination.kvmclock - stayed;
    near(kvmclockNs - tscNs, 0n);

    // KVM reads CLOCK_REALTIME so much later than the reference that it takes: to the scenario that
    // is a destination whose clock is ahead.
    const passed = destination.hostTsc - source.hostTsc;
    const numbers = {
      sourceKhz: khz,
      destinationKhz: khz,
      guestKhz: khz,
      downtimeNs: cyclesToNs(passed, khz),
      realtimeErrorNs: kvmclockNs,
      saveMemoryNs: 0n,
    };
    const { rows, journey } = migrate('tsc-offset', numbers, 'v7.3');
    expect(journey.refused).toEqual([]);
    for (const row of rows) {
      near(row.tscNs, tscNs);
      near(row.kvmclockNs, kvmclockNs);
      near(row.driftNs, 0n);
      expect(row.stableBit).toBe('kept');
    }
  });
});
