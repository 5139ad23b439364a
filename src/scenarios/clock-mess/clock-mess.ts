/** “Cleaning up the KVM clock mess”, a patch at a time: without it, and with it. */
import {
  PROFILES,
  type Profile,
  type Switches,
  type SwitchName,
  withSwitches,
} from '../../profiles/index.ts';
import { booted } from '../common.ts';
import { choice, number } from '../params.ts';
import { type Stage, scenario } from '../scenario.ts';
import type { Here, Seen } from './history.ts';
import { HISTORY_PARAMS } from './params.ts';
import { PATCHES, type Patch, patchOf, SERIES, type Series, switchesOf } from './patches.ts';

/** Sets a switch, whatever type it is of. */
const pick = (from: Switches, name: SwitchName): Partial<Switches> => ({ [name]: from[name] });

/** What a series' kernel has of a patch's switches. */
const appliedBy = (patch: Patch, series: Series): Partial<Switches> =>
  Object.assign(
    {},
    ...switchesOf(patch, series).map((name) => pick(PROFILES[series].switches, name)),
  );

/** The release that each posting is for. */
const BASES: Readonly<Record<Series, Profile>> = {
  'rfc-v3': PROFILES['v6.8'],
  'series-v6': PROFILES['v7.2'],
};

/** Kernels that a switch of a patch may be from: where it was merged, and the posting that runs. */
function* kernelsWith({ merged }: Patch, name: SwitchName, kernel: Profile): Generator<Profile> {
  if (merged !== undefined) yield PROFILES[merged];
  for (const series of SERIES) {
    const posted = PROFILES[series];
    const its = posted.switches[name] !== BASES[series].switches[name];
    if (kernel.id === series && its) yield posted;
  }
}

/** What a kernel has of them without the patch: its own, unless that is the patch's in any form. */
function leftBy(patch: Patch, series: Series, kernel: Profile): Partial<Switches> {
  const applied = appliedBy(patch, series);
  const left = switchesOf(patch, series).map((name) => {
    const forms = [applied, ...[...kernelsWith(patch, name, kernel)].map((it) => it.switches)];
    const hasIt = forms.some((form) => form[name] === kernel.switches[name]);
    return pick(hasIt ? BASES[series].switches : kernel.switches, name);
  });
  return Object.assign({}, ...left, patch.without);
}

/** The kernel without a patch and with it; what the patch needs is in both, what was set too. */
export function kernelsOf(
  kernel: Profile,
  patch: Patch,
  { series, set }: { readonly series: Series; readonly set?: Partial<Switches> },
): { readonly before: Profile; readonly after: Profile } {
  const needed = (patch.needs ?? []).map((n) => appliedBy(patchOf(n), series));
  const without = leftBy(patch, series, kernel);
  const its = { ...kernel.switches, ...Object.assign({}, ...needed) };
  return {
    before: withSwitches(kernel, { ...its, ...without, ...set }),
    after: withSwitches(kernel, { ...its, ...appliedBy(patch, series), ...set }),
  };
}

/** Lives through a patch's history under one kernel. */
function live(
  stage: Stage,
  side: 'before' | 'after',
  kernel: Profile,
  { patch, params }: { readonly patch: Patch; readonly params: Here['params'] },
): readonly Seen[] {
  return patch.history({
    params,
    patched: side === 'after',
    host: ({ tscKhz = params.tscKhz, ...more } = {}, name) =>
      stage.host(booted(tscKhz, more), name === undefined ? side : `${side}-${name}`, kernel),
    tell: (simulation, text) => stage.tell(simulation, text),
  });
}

export const clockMess = scenario({
  name: 'clock-mess',
  title: '“Cleaning up the KVM clock mess”: what each of the 21 patches changes',
  source: '“Cleaning up the KVM clock mess”, RFC v3, David Woodhouse, 2024',
  profile: 'v6.8',
  compare: ['v4.19', 'v6.1', 'v6.8', 'v7.3', 'rfc-v3', 'series-v6'],
  switches: [
    ...new Set(PATCHES.flatMap((patch) => SERIES.flatMap((its) => switchesOf(patch, its)))),
  ],
  about: [
    'One patch of RFC v3 at a time: `--patch` says which, 1 to 21. The same history is lived through twice, by the kernel of `--profile` without the patch (*before*) and with it (*after*); patches that it builds on are in both. `--series series-v6` sets what the posting of 2026 has in its place. A switch given with `--set` is as given on both sides.',
    'Shown here is patch 2. A guest gets 2.5 GHz on a host of 3.0 GHz. KVM scales the host’s frequency as the hardware scales the TSC, in whole kHz: 2,499,999,000 Hz, 400 parts in 10^9 too little, and the guest’s clock gains 34.6 ms a day. In Hz it is 2,499,999,999 and 55 µs.',
    '*docs/seeds.md* has a row for each patch: what it shows, before and after.',
  ],
  params: {
    patch: number('2', 'number of the patch in RFC v3', { least: '1', most: '21' }),
    series: choice(SERIES, 'posting whose switches the patch sets'),
    ...HISTORY_PARAMS,
  },
  run(stage, params) {
    const patch = patchOf(params.patch);
    const { series } = params;
    const { before, after } = kernelsOf(stage.profile, patch, { series, set: stage.set });
    const seen = {
      before: live(stage, 'before', before, { patch, params }),
      after: live(stage, 'after', after, { patch, params }),
    };
    const later = new Map(seen.after);
    return () => ({
      columns: [`patch ${patch.number}: ${patch.subject}`, 'before', 'after'],
      rows: seen.before.map(([what, value]) => [what, value, later.get(what) ?? '']),
    });
  },
});
