// Appends to a log until it is killed, and says after each append how many entries were
// acknowledged and the log's size.
//
//   node torture-child.mjs PATH FORM SEED
import { writeSync } from 'node:fs';
import { LogWriter } from '../dist/events/log/index.js';
import { entryAt, HEADER, sizeAt } from './torture-entries.mjs';

const [path, form, seedText] = process.argv.slice(2);
const seed = Number(seedText);
const STDOUT = 1;

const writer = new LogWriter(path, { form, header: HEADER });
writeSync(STDOUT, `opened ${writer.entries}\n`);
for (;;) {
  const first = writer.entries;
  const size = sizeAt(seed, first);
  const entries = Array.from({ length: size }, (_, i) => entryAt(seed, first + i));
  const { entries: count, size: bytes } = writer.append(entries);
  writeSync(STDOUT, `${count} ${bytes}\n`);
}
