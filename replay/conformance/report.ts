/** Conformance for people and for programs. */
import { printable } from '../formats/index.ts';
import type { Conformance } from './profile-of.ts';
import { ADOPTIONS, type Adoption, type Wrong } from './tally.ts';

/** The books of several recordings together. */
export interface Total {
  readonly recordings: number;
  readonly judged: number;
  readonly exact: number;
  readonly withinNs: number;
  readonly wrong: number;
  readonly adopted: ReadonlyMap<Adoption, number>;
}

/** Adds up recordings. */
export function totalOf(all: readonly Conformance[]): Total {
  const adopted = new Map<Adoption, number>();
  let [judged, exact, withinNs, wrong] = [0, 0, 0, 0];
  for (const { tally } of all) {
    judged += tally.judged;
    exact += tally.exact;
    withinNs += tally.withinNs;
    wrong += tally.wrong.length;
    for (const [kind, count] of tally.adopted) {
      adopted.set(kind, (adopted.get(kind) ?? 0) + count);
    }
  }
  return { recordings: all.length, judged, exact, withinNs, wrong, adopted };
}

const adoptedText = (adopted: ReadonlyMap<Adoption, number>): string =>
  [...adopted].map(([kind, count]) => `${kind} ${count}`).join(', ') || 'nothing';

const profileText = ({ profile, shown }: Conformance): string => {
  const base = profile.overridden.map((name) => `${name}=${profile.switches[name]}`);
  const text = base.length === 0 ? profile.id : `${profile.id} with ${base.join(', ')}`;
  return shown.length === 0
    ? text
    : `${text} (the recording shows ${shown.map((name) => `${name}=${profile.switches[name]}`).join(', ')})`;
};

/** Longest text of a recording to print whole. */
const MAX_TEXT = 1000;

function wrongLines({ output, action, timestamp, predicted, recorded }: Wrong): string[] {
  return [
    `    ${output} in action ${printable(action)}, at ${timestamp}`,
    `      predicted ${printable(predicted, MAX_TEXT)}`,
    `      recorded  ${printable(recorded, MAX_TEXT)}`,
  ];
}

/** One recording, and the first of what came out wrong. */
function recordingLines(of: Conformance, most: number): string[] {
  const { recording, tally } = of;
  const { judged, exact, withinNs, wrong, adopted } = tally;
  const more = wrong.length - most;
  return [
    printable(recording.name, MAX_TEXT),
    `  ${profileText(of)}: judged ${judged}, exact ${exact}, within 1 ns ${withinNs}, wrong ${wrong.length}`,
    `  adopted: ${adoptedText(adopted)}`,
    ...wrong.slice(0, most).flatMap(wrongLines),
    ...(more > 0 ? [`    and ${more} more`] : []),
  ];
}

/**
 * All recordings as text; the first line is the verdict.
 *
 * @param most - of wrong outputs to show of each.
 */
export function conformanceText(all: readonly Conformance[], most: number): string {
  const total = totalOf(all);
  const verdict =
    total.wrong === 0
      ? `Nothing wrong: ${total.judged} outputs of ${total.recordings} recordings predicted`
      : `${total.wrong} of ${total.judged} outputs of ${total.recordings} recordings are wrong`;
  const legend = [...total.adopted.keys()].map((kind) => `  ${kind}: ${ADOPTIONS[kind]}`);
  return [
    `${verdict} (exact ${total.exact}, within 1 ns ${total.withinNs}).`,
    '',
    ...all.flatMap((of) => recordingLines(of, most)),
    '',
    `adopted in total: ${adoptedText(total.adopted)}`,
    ...legend,
    '',
  ].join('\n');
}

/** JSON in which no text of a recording can move a terminal's cursor: not even C1 controls. */
const plainJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => {
    const units = Array.from({ length: c.length }, (_, i) => c.charCodeAt(i));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
  });

/** All recordings as NDJSON: one object a recording, then one `summary`. */
export function conformanceJson(all: readonly Conformance[]): string {
  const lines = all.map(({ recording, profile, shown, tally }) => ({
    type: 'recording',
    name: recording.name,
    kernel: recording.meta.kernel,
    profile: profile.id,
    overridden: Object.fromEntries(profile.overridden.map((n) => [n, profile.switches[n]])),
    shown,
    judged: tally.judged,
    exact: tally.exact,
    within_1_ns: tally.withinNs,
    outputs: Object.fromEntries(tally.outputs),
    adopted: Object.fromEntries(tally.adopted),
    wrong: tally.wrong.map((wrong) => ({ ...wrong, timestamp: String(wrong.timestamp) })),
  }));
  const { withinNs, adopted, ...rest } = totalOf(all);
  const summary = {
    type: 'summary',
    ...rest,
    within_1_ns: withinNs,
    adopted: Object.fromEntries(adopted),
  };
  return [...lines, summary].map((line) => `${plainJson(line)}\n`).join('');
}
