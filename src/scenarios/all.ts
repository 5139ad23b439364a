/** Every scenario by its name; one line each. */
import { nearest } from '../profiles/nearest.ts';
import { clockMess } from './clock-mess/clock-mess.ts';
import { countsFromZero } from './counts-from-zero/counts-from-zero.ts';
import { schedClock } from './counts-from-zero/sched-clock.ts';
import { deadlineOffset } from './deadline/offset.ts';
import { deadlineOverflow } from './deadline/overflow.ts';
import { deadlineRestore } from './deadline/restore.ts';
import { ScenarioError } from './error.ts';
import { hvPage } from './hyperv/page.ts';
import { hvSetClock } from './hyperv/set-clock.ts';
import { hvStimer } from './hyperv/stimer.ts';
import { hvStimerRestore } from './hyperv/stimer-restore.ts';
import { migration } from './migration/migration.ts';
import { ntpHotplug } from './monotonic-raw/ntp-hotplug.ts';
import { ntpTriggers } from './monotonic-raw/ntp-triggers.ts';
import { rawResidue } from './monotonic-raw/raw-residue.ts';
import { setClockOrder } from './monotonic-raw/set-clock-order.ts';
import { suspendCounts } from './monotonic-raw/suspend-counts.ts';
import { eventInjection } from './nested/event-injection.ts';
import { nestedTsc } from './nested/tsc.ts';
import { nestedTscWrite } from './nested/tsc-write.ts';
import { preciseTsc } from './precise-tsc/precise-tsc.ts';
import { tscReliable } from './precise-tsc/tsc-reliable.ts';
import { tscSync } from './precise-tsc/tsc-sync.ts';
import type { Scenario } from './scenario.ts';
import { stealBackwards } from './steal/backwards.ts';
import { xenRunstate } from './steal/runstate.ts';
import { xenPages } from './xen/pages.ts';
import { xenTimerCalls } from './xen/timer-calls.ts';
import { xenTimerPairs } from './xen/timer-pairs.ts';
import { xenTimerlat } from './xen/timerlat.ts';

/** All of them, in the order of the source mails. */
// biome-ignore format: one a line, so that two can be added at once
export const SCENARIOS: readonly Scenario[] = [
  ntpHotplug,
  ntpTriggers,
  suspendCounts,
  setClockOrder,
  rawResidue,
  clockMess,
  preciseTsc,
  tscSync,
  tscReliable,
  migration,
  countsFromZero,
  schedClock,
  xenTimerlat,
  xenTimerPairs,
  xenTimerCalls,
  xenPages,
  hvPage,
  hvSetClock,
  hvStimer,
  hvStimerRestore,
  deadlineOverflow,
  deadlineRestore,
  deadlineOffset,
  stealBackwards,
  xenRunstate,
  eventInjection,
  nestedTsc,
  nestedTscWrite,
];

/** The scenario of that name. @throws ScenarioError naming the nearest ones. */
export function scenarioOf(name: string): Scenario {
  const found = SCENARIOS.find((its) => its.name === name);
  if (found !== undefined) return found;
  const names = nearest(
    name,
    SCENARIOS.map((its) => its.name),
  );
  const shown = JSON.stringify(name.slice(0, 40));
  throw new ScenarioError(`scenario: expected ${names.join(' or ')}, found ${shown}`);
}
