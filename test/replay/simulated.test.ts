/**
 * What kernels do of which there is no recording: histories of a simulated host, traced as each kernel
 * would. The guests' own clocks tell which jumps there are.
 */
import { describe, expect, test } from 'vitest';
import { PROFILE_IDS, profile } from '../../src/profiles/index.ts';
import { CALLS, from, losing, without } from '../assimilate/recordings.ts';
import { replayText } from './fixtures.ts';
import { randomHistory } from './random-history.ts';
import type { SimulatedRecording } from './simulated-host.ts';

/** The first dozen, and some in which work, TSC writes and updates of several vCPUs cross. */
const SEEDS = [...Array.from({ length: 12 }, (_, seed) => seed), 35, 46, 116, 134];
const MERGED = PROFILE_IDS.filter((id) => profile(id).covers !== undefined);
/** Kernels that text without a release is told to be, or to be like. */
const TOLD = MERGED.slice(MERGED.indexOf('v5.5'));

/** vCPU, instant and size of every jump and TSC jump of 10 ns or more, and what diverged. */
async function outcome(text: string, kernel: (typeof PROFILE_IDS)[number] | undefined) {
  const model = kernel === undefined ? {} : { profile: profile(kernel) };
  const { findings, summary } = await replayText(text, { model });
  const jumps = findings.flatMap(({ rule, vm, vcpu, timestamp, deltaNs = 0n }) =>
    (rule === 'jump' || rule === 'tsc-jump') && isTold(deltaNs)
      ? [`${vm?.id}/${vcpu} at ${timestamp}: ${deltaNs} ns`]
      : [],
  );
  const divergences = findings.flatMap(({ rule, timestamp, cause, reason }) =>
    rule === 'divergence' ? [`${timestamp}: ${cause}: ${reason}`] : [],
  );
  return { jumps: jumps.sort(), divergences, summary };
}

const isTold = (deltaNs: bigint): boolean => deltaNs >= 10n || deltaNs <= -10n;

const jumpsOf = ({ jumps }: SimulatedRecording, nameOf = (vm: string): string => vm): string[] =>
  jumps
    .filter(({ deltaNs }) => isTold(deltaNs))
    .map(({ vm, vcpu, tsc, deltaNs }) => `${nameOf(vm)}/${vcpu} at ${tsc}: ${deltaNs} ns`)
    .sort();

describe.each(MERGED)('%s', (kernel) => {
  test.each([false, true])(
    'each jump, no other, nothing diverges (one process: %s)',
    async (one) => {
      let jumps = 0;
      for (const seed of SEEDS) {
        const made = randomHistory(profile(kernel), seed, one);
        const found = await outcome(made.text, kernel);
        expect(found.divergences, `seed ${seed}`).toEqual([]);
        expect(found.jumps, `seed ${seed}`).toEqual(jumpsOf(made));
        expect(found.summary).toMatchObject({ malformed: 0, gaps: 0 });
        jumps += found.jumps.length;
      }
      expect(jumps).toBeGreaterThan(50);
    },
  );

  test.each([
    ['ioctls', CALLS],
    ['kvm_msr', /kvm_msr:/],
    ['kvm_track_tsc', /kvm_track_tsc:/],
    ['kvm_update_master_clock', /kvm_update_master_clock:/],
  ])('each jump, no other, nothing diverges without %s', async (_, events) => {
    for (const seed of SEEDS) {
      const made = randomHistory(profile(kernel), seed);
      const found = await outcome(without(made.text, events), kernel);
      expect(found.divergences, `seed ${seed}`).toEqual([]);
      // What a VM is called by depends on what tells it apart.
      const names = new Map(found.summary.vms.map(({ id, pid }) => [pid, id]));
      const nameOf = (vm: string): string => names.get(Number.parseInt(vm, 10)) ?? vm;
      expect(found.jumps, `seed ${seed}`).toEqual(jumpsOf(made, nameOf));
    }
  });

  test.each([
    ['entries', (text: string) => without(text, /kvm_(entry|exit):/)],
    ['its first half', (text: string) => from(text, 1 / 2)],
    ['a tenth of its events', (text: string) => losing(text, 0.3)],
  ])('nothing diverges without %s', async (_, cut) => {
    for (const seed of SEEDS) {
      const made = randomHistory(profile(kernel), seed);
      expect((await outcome(cut(made.text), kernel)).divergences, `seed ${seed}`).toEqual([]);
    }
  });
});

test.each(TOLD)('%s: nothing diverges where no release is recorded', async (kernel) => {
  for (const seed of SEEDS) {
    const made = randomHistory(profile(kernel), seed);
    const found = await outcome(made.text, undefined);
    expect(found.divergences, `seed ${seed}`).toEqual([]);
    expect(found.jumps, `seed ${seed}`).toEqual(jumpsOf(made));
  }
});

test.each([
  ['v4.9', 'a new vCPU that does not join the others'],
  ['v5.5', 'guests’ TSC writes that synchronise their TSC'],
  ['v5.5', 'pages without masterclock that are steered'],
  ['v5.10', 'guests’ TSC writes that only move their TSC'],
] as const)('%s shows in its text: %s', async (kernel, how) => {
  const shown = await Promise.all(
    SEEDS.map(async (seed) => {
      const { text } = randomHistory(profile(kernel), seed);
      return (await outcome(text, undefined)).summary.model?.choice.confirmed.includes(how);
    }),
  );
  expect(shown).toContain(true);
});
