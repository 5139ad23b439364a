import { expect, test } from 'vitest';
import {
  BACKPORTS,
  COMMITS,
  type CommitId,
  PROFILES,
  type Source,
  SWITCH_NAMES,
  SWITCHES,
  sourceOf,
} from '../../src/profiles/index.ts';

const commits = Object.entries(COMMITS);

const sources = SWITCH_NAMES.flatMap((name) =>
  Object.values<Source | undefined>(SWITCHES[name].since).map((source) => ({
    name,
    source: source!,
  })),
);

test('a commit is twelve hexadecimal digits', () => {
  for (const [hash] of commits) expect(hash).toMatch(/^[0-9a-f]{12}$/);
});

test('these commits are not verified; shortening the list takes evidence', () => {
  expect(commits.filter(([, { verified }]) => !verified).map(([hash]) => hash)).toEqual([
    'b7e60c5aedd2',
    '78db6a503796',
    'ce7a058a2117',
    '108b249c453d',
    '095cf55df7ff',
    '0bc48bea36d1',
    'c5ce8235cffa',
    'b0c39dc68e3b',
  ]);
});

test('every commit says where it was checked, or what is missing', () => {
  for (const [hash, { verified, checked }] of commits) {
    expect(/not found/.test(checked), hash).toBe(!verified);
    expect(checked.length, hash).toBeGreaterThan(10);
  }
});

test('every commit of the table is some switch’s or backport’s', () => {
  const used = new Set<string>([
    ...sources.flatMap(({ source }) => (source.kind === 'commit' ? [source.commit] : [])),
    ...BACKPORTS.map(({ commit }) => commit),
  ]);
  expect([...used].toSorted()).toEqual(commits.map(([hash]) => hash).toSorted());
});

test('releases that the reference had wrong or open are as the pull requests have them', () => {
  const released: Partial<Record<CommitId, string>> = {
    '0c899c25d754': 'v5.10',
    cc9cfddb0433: 'v5.12',
    d9130a2dfdd4: 'v5.15',
    '42dcbe7d8bac': 'v5.18',
    '916d3608df82': 'v5.19',
    ffbb61d09fc5: 'v5.19',
    '536395260582': 'v5.19',
    c52ffadc65e2: 'v6.8',
    '6d7228352609': 'v6.8',
    '4578a747f3c7': 'v6.16',
    dcbe5a466c12: 'v6.17',
    '7e79f71bca5c': 'v7.1',
  };
  for (const [hash, release] of Object.entries(released)) {
    expect(COMMITS[hash as CommitId].release, hash).toBe(release);
  }
});

test('every value that v4.4 has not got has a source', () => {
  for (const name of SWITCH_NAMES) {
    for (const value of SWITCHES[name].values) {
      if (value === PROFILES['v4.4'].switches[name]) continue;
      expect(sourceOf(name, value), `${name}=${value}`).toBeDefined();
    }
  }
});

test('a switch is verified when all its sources are', () => {
  const unverified = new Set(sources.filter(({ source }) => !source.verified).map((s) => s.name));
  for (const name of SWITCH_NAMES) {
    expect(SWITCHES[name].verified, name).toBe(!unverified.has(name));
  }
  expect(SWITCHES.masterBase.verified).toBe(true);
  expect(SWITCHES.setClockOrder.verified).toBe(false);
});

test('every switch says what it decides, and has each value once', () => {
  for (const name of SWITCH_NAMES) {
    const { doc, values } = SWITCHES[name];
    expect(doc, name).toMatch(/\.$/);
    expect(new Set<unknown>(values).size, name).toBe(values.length);
  }
});
