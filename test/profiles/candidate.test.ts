import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import {
  assumedProfile,
  BACKPORTS,
  candidateProfile,
  PROFILE_IDS,
  PROFILES,
} from '../../src/profiles/index.ts';

describe('a release suggests the profile that stands for it', () => {
  test.each([
    ['4.2.0', 'v4.2-cfz'],
    ['4.3.0', 'v4.4'],
    ['4.4.302', 'v4.4'],
    ['4.9.0-19-amd64', 'v4.9'],
    ['4.12.14-122.37-default', 'v4.9'],
    ['4.13.0', 'v4.19'],
    ['4.18.0-553.el8', 'v4.19'],
    ['4.20.17', 'v4.19'],
    ['5.4.0-193-generic', 'v4.19'],
    ['5.5.19', 'v5.5'],
    ['5.6.0', 'v5.10'],
    ['5.10.262', 'v5.10'],
    ['5.11.22', 'v5.10'],
    ['5.14.0-427.el9.x86_64', 'v5.15'],
    ['5.15.90.1-microsoft-standard-WSL2', 'v5.15'],
    ['5.16', 'v6.1'],
    ['6.1.0-56-amd64', 'v6.1'],
    ['v6.1.192', 'v7.3', 'unknown'],
    ['6.6.30', 'v6.1'],
    ['6.7-rc3', 'v6.8'],
    ['6.12.117', 'v6.8'],
    ['6.12.9+bpo-amd64', 'v6.8'],
    ['6.18.1-arch1-1', 'v6.15'],
    ['7.0.0', 'v6.19'],
    ['7.2.13', 'v7.2'],
    ['7.3.4', 'v7.3'],
    ['7.4.0-rc1', 'v7.3', 'unknown'],
    ['10.0.1', 'v7.3', 'unknown'],
    ['5.20.0', 'v7.3', 'unknown'],
    ['3.10.0-1160.el7.x86_64', 'v4.4', 'unknown'],
    ['4.1.52', 'v4.4', 'unknown'],
    ['', 'v7.3', 'unknown'],
    ['6', 'v7.3', 'unknown'],
    ['6.1x', 'v7.3', 'unknown'],
    ['6.123.1', 'v7.3', 'unknown'],
    [' 6.1.0', 'v7.3', 'unknown'],
    ['Linux', 'v7.3', 'unknown'],
    ['6.1.0'.repeat(20), 'v7.3', 'unknown'],
  ])('%s: %s', (release, id, confidence = 'candidate') => {
    expect(candidateProfile(release)).toMatchObject({ profile: id, confidence });
  });
});

test('the reason names release and profile, and promises nothing', () => {
  expect(candidateProfile('6.12.117').reason).toBe(
    '"6.12.117" names v6.12, for which v6.8 stands; but distributions backport: only a candidate',
  );
  expect(candidateProfile('6.1.0-56-amd64').reason).toContain(
    'its stable level is not in the name',
  );
  expect(candidateProfile('5.25.1').reason).toContain('there was no v5.25');
  expect(candidateProfile('3.2').reason).toContain('v3.2 is older than any profile');
  expect(candidateProfile('7.9').reason).toContain('v7.9 is newer than any profile');
});

test('text that is no release is shown escaped and cut', () => {
  expect(candidateProfile('\u001b[2J\u0007é').reason).toBe(
    '"\\u{1b}[2J\\u{7}\\u{e9}" is no kernel release',
  );
  expect(candidateProfile('Linux ~6.1').reason).toBe('"Linux ~6.1" is no kernel release');
  expect(candidateProfile('9'.repeat(100_000)).reason).toBe(
    `"${'9'.repeat(64)}…" is no kernel release`,
  );
});

property.prop([
  fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'binary' }).map((tail) => `6.1.0${tail}`),
    fc.stringMatching(/^\d{1,3}\.\d{1,3}(\.\d{1,5})?(-\d+)?/),
  ),
])('any text gets an answer that can be printed and used', (text) => {
  const candidate = candidateProfile(text);
  expect(PROFILE_IDS).toContain(candidate.profile);
  expect(candidate.reason).toMatch(/^[ -~…]+$/);
  expect(assumedProfile(candidate).id).toBe(candidate.profile);
});

describe('a release that is not the one its profile describes', () => {
  const differs = (release: string) =>
    Object.assign({}, ...candidateProfile(release).differences.map(({ set }) => set));

  test.each([
    ['6.1.1', {}],
    ['6.12.1', {}],
    ['7.3', {}],
    ['4.2', {}],
    ['4.5', {}],
    ['4.6', { pvScaleUnit: 'khz' }],
    ['4.7', { pvScaleUnit: 'khz' }],
    ['4.8', { pvScaleUnit: 'khz', hvTimer: 'exact' }],
    ['4.9', {}],
    ['4.17', { hvTimer: 'exact' }],
    ['4.18', {}],
    ['4.15', { hvTimer: 'exact', hvclockIsTsc: false }],
    [
      '5.6',
      {
        periodicSync: 'per-vcpu',
        tscWriteByGuest: 'sync',
        setTscKhzUnscaled: false,
        hostReadsL1Tsc: false,
        syncZero: 'host',
      },
    ],
    [
      '5.7',
      {
        tscWriteByGuest: 'sync',
        setTscKhzUnscaled: false,
        hostReadsL1Tsc: false,
        syncZero: 'host',
      },
    ],
    ['5.8', { tscWriteByGuest: 'sync', hostReadsL1Tsc: false, syncZero: 'host' }],
    ['5.9', { tscWriteByGuest: 'sync', syncZero: 'host' }],
    [
      '5.12',
      {
        suspendStopsGuests: false,
        tscAdjustRaisesClockUpdate: false,
        createSetsKhz: 'before-load',
        nestedScaling: 'none',
      },
    ],
    [
      '5.18',
      {
        newVcpuTscKhz: 'snapshot',
        vmTscKhz: 'none',
        pvPageWrite: 'three-writes',
        pvTraceVersionParity: 'odd',
        stealPreempted: 'every-put',
        xenTimer: 'none',
      },
    ],
    ['5.19', {}],
    ['6.2', { tscKhzSource: 'tsc-khz' }],
    ['6.3', { tscKhzSource: 'tsc-khz', xenCpuidLeaf: 'at-update' }],
    ['6.6', { tscKhzSource: 'tsc-khz', xenCpuidLeaf: 'at-update' }],
    [
      '6.7',
      {
        mclkRequestOnTrack: 'active-or-matched',
        xenTimer: 'host-scale',
        xenTscUnstableFlag: false,
      },
    ],
    ['6.8', { xenTimer: 'host-scale' }],
    ['6.15.3', {}],
    ['6.16', { pvScaleUnit: 'khz-nonzero', protectedTscKhzRefused: true }],
    [
      '6.17',
      { pvScaleUnit: 'khz-nonzero', protectedTscKhzRefused: true, vmTscKhz: 'before-vcpus' },
    ],
    ['7.0', {}],
    ['7.1', {}],
  ])('%s', (release, expected) => {
    expect(differs(release)).toEqual(expected);
  });

  test('names the commit, and is applied when its release is certain', () => {
    const candidate = candidateProfile('6.7.1');
    expect(candidate.differences).toContainEqual({
      set: { mclkRequestOnTrack: 'active-or-matched' },
      certain: true,
      evidence:
        "c52ffadc65e2 (KVM: x86: Don't unnecessarily force masterclock update on vCPU hotplug) came with v6.8",
    });
    expect(assumedProfile(candidate).switches.mclkRequestOnTrack).toBe('active-or-matched');
    expect(assumedProfile(candidate).overridden).toContain('xenTimer');
  });

  test('is not applied when its release is a guess', () => {
    const candidate = candidateProfile('4.12.1');
    expect(candidate.differences).toContainEqual({
      set: { syncWindow: 'cycles' },
      certain: false,
      evidence: 'changed about v4.12, commit unknown',
    });
    expect(assumedProfile(candidate)).toEqual(PROFILES['v4.9']);
  });
});

describe('fixes that stable kernels took over', () => {
  const tscAdjust = (release: string) =>
    assumedProfile(candidateProfile(release)).switches.tscAdjustRaisesClockUpdate;

  test.each([
    ['5.10.262', true],
    ['5.10.65', true],
    ['5.10.64', false],
    ['5.10.0', false],
    ['5.11.22', false],
    ['5.4.146', true],
    ['5.4.145', false],
    ['4.19.207', true],
    ['4.4.173', false],
    ['5.13.17', true],
    ['5.13.16', false],
    ['5.15.1', true],
  ])('%s renews the page after a TSC_ADJUST write: %s', (release, fixed) => {
    expect(tscAdjust(release)).toBe(fixed);
  });

  test.each([
    ['5.16.20', 'vcpu0'],
    ['5.17.4', 'vcpu0'],
    ['5.17.5', 'any'],
    ['5.18.0', 'any'],
  ])('%s writes Hyper-V’s page from %s', (release, from) => {
    expect(assumedProfile(candidateProfile(release)).switches.hvPageFrom).toBe(from);
  });

  test('say which commit, and since when', () => {
    expect(candidateProfile('5.10.262').backports).toEqual([
      {
        set: { tscAdjustRaisesClockUpdate: true },
        certain: true,
        evidence: expect.stringMatching(/^d9130a2dfdd4 \(.*\) is in 5\.10\.65 and later/),
      },
    ]);
  });

  test('are possible, not certain, where the name hides the stable level', () => {
    expect(candidateProfile('5.10.0-30-amd64').backports).toMatchObject([{ certain: false }]);
    expect(candidateProfile('5.10').backports).toMatchObject([{ certain: false }]);
    expect(tscAdjust('5.10.0-30-amd64')).toBe(false);
  });

  test('make a contrary difference uncertain', () => {
    for (const release of ['5.14.21', '5.14.0-427.el9.x86_64']) {
      const { differences } = candidateProfile(release);
      expect(differences).toMatchObject([
        { set: { tscAdjustRaisesClockUpdate: false }, certain: false },
      ]);
      expect(tscAdjust(release)).toBe(true);
    }
  });

  test('are of lines that end before the fix’s own release', () => {
    expect(BACKPORTS.map(({ line }) => line)).toContain('v5.10');
    for (const { line, set } of BACKPORTS) {
      const first = candidateProfile(`${line.slice(1)}.0`);
      expect(assumedProfile(first).switches, line).not.toMatchObject(set);
    }
  });
});
