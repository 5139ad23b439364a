#!/usr/bin/env node
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';

const entry = new URL('../dist/src/cli/main.js', import.meta.url);
if (!existsSync(entry)) {
  process.stderr.write('masterclock: not built yet; run: npm run build\n');
  process.exit(2);
}
const { main } = await import(entry.href);
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

// Whoever reads our output may stop at any time (head, less): that is no error.
const WRITE_FAILED = 70;
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (error.code === 'EPIPE') process.exit(0);
    if (stream === process.stdout) {
      process.stderr.write(`masterclock: the output can't be written: ${error.message}\n`);
    }
    process.exit(WRITE_FAILED);
  });
}

/** A stream would go over a text three times to find out how long it is as UTF-8. */
function utf8(text) {
  const bytes = Buffer.allocUnsafe(text.length * 3);
  return bytes.subarray(0, bytes.write(text));
}

const output = (stream) => ({
  isTTY: stream.isTTY,
  write: (text) => stream.write(utf8(text)),
  drained: () => (stream.writableNeedDrain ? once(stream, 'drain') : undefined),
});

process.exitCode = await main(process.argv.slice(2), version, {
  stdout: output(process.stdout),
  stderr: output(process.stderr),
  noColor: (process.env.NO_COLOR ?? '') !== '',
});
