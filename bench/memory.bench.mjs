/**
 * Peak memory of a log of many events, written and read piece by piece and dispatched: it must not
 * grow with the log.
 *
 *     node bench/memory.bench.mjs [--quick]
 */
import { resourceUsage } from 'node:process';
import { BusyWorld, PROFILE } from './lib/busy-world.mjs';
import { isQuick } from './lib/quick.mjs';
import { dispatchStretches, ThroughLog } from './lib/rows.mjs';

const MILLIONS = isQuick ? 2 : 100;
const PIECE = 8192;

const busy = new BusyWorld({ vms: 1, vcpus: 4 });
const log = new ThroughLog(busy.world, PROFILE);

const peakMiB = () => (resourceUsage().maxRSS / 1024).toFixed(0);
let events = 0;
/** Dispatches the log's next piece. */
function piece() {
  const inputs = busy.next(PIECE);
  dispatchStretches(busy.world, log.take(inputs));
  events += inputs.length;
}

while (events < 1e6) piece();
const early = peakMiB();
while (events < MILLIONS * 1e6) piece();
console.log(`peak memory: ${early} MiB after 1 M events, ${peakMiB()} MiB after ${MILLIONS} M`);
