/**
 * Peak memory of a log of many events, written and read piece by piece and dispatched: it must not
 * grow with the log.
 *
 *     node bench/memory.bench.mjs [MILLIONS]
 */
import { resourceUsage } from 'node:process';
import { BusyWorld, PROFILE } from './lib/busy-world.mjs';

const dist = new URL('../dist/', import.meta.url);
const { headerOf, MclogDecoder, MclogEncoder } = await import(new URL('replay/log/index.js', dist));

const millions = Number(process.argv[2] ?? 100);
const PIECE = 8192;

const busy = new BusyWorld({ vms: 1, vcpus: 4 });
const encoder = new MclogEncoder(headerOf(busy.world, { id: PROFILE }), []);
const decoder = new MclogDecoder('memory.mclog');
decoder.push(encoder.begin());

const peakMiB = () => (resourceUsage().maxRSS / 1024).toFixed(0);
let events = 0;
/** Dispatches the log's next piece. */
function piece() {
  const written = busy.next(PIECE).map((input) => ({ kind: 'input', input }));
  for (const { inputs } of decoder.push(encoder.encode(written))) {
    for (const input of inputs) busy.world.dispatch(input);
  }
  events += written.length;
}

while (events < 1e6) piece();
const early = peakMiB();
while (events < millions * 1e6) piece();
console.log(`peak memory: ${early} MiB after 1 M events, ${peakMiB()} MiB after ${millions} M`);
