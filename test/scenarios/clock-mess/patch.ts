/** What is seen of a patch of the clock mess, and what its numbers are reckoned by. */
import {
  pvclockRead,
  scaleTsc,
  timeScale,
  tscRatio,
  VMX_TSC_FRAC_BITS,
} from '../../../src/num/index.ts';
import { scenarioOf } from '../../../src/scenarios/all.ts';
import { type PlayOptions, play } from '../../../src/scenarios/play.ts';
import type { Cell } from '../../../src/scenarios/scenario.ts';

export const DAY_S = 86_400n;

/** A patch of the clock mess: what is seen without it and with it. */
export async function patchSeen(patch: number, options: PlayOptions = {}) {
  const params = { ...options.params, patch: String(patch) };
  const { table, ...played } = await play(scenarioOf('clock-mess'), { ...options, params });
  const column = (i: 1 | 2): Record<string, Cell> =>
    Object.fromEntries(table.rows.map((row) => [String(row[0]), row[i]!]));
  return { ...played, before: column(1), after: column(2) };
}

/** kvmclock and CLOCK_MONOTONIC_RAW after so many cycles of a 3.0 GHz host, ns. */
export function clocksAfter(
  cycles: bigint,
  guestKhz: number,
): { readonly pv: bigint; readonly raw: bigint } {
  const ratio = tscRatio(guestKhz, 3_000_000, VMX_TSC_FRAC_BITS).ratio!;
  const khz = scaleTsc(3_000_000n, ratio, VMX_TSC_FRAC_BITS);
  const { mul, shift } = timeScale(1_000_000_000n, khz * 1000n);
  const page = { tscTimestamp: 0n, systemTime: 0n, tscToSystemMul: mul, tscShift: shift };
  const tsc = scaleTsc(cycles, ratio, VMX_TSC_FRAC_BITS);
  return { pv: pvclockRead(page, tsc), raw: (cycles * 5_592_405n) >> 24n };
}
