/**
 * Makes a long recording from a short one: ftrace text repeated as often as it takes, each time
 * later by the recording's length, so that timestamps never go backwards. Only the instants at the
 * lines' heads move; TSC values in arguments stay, so this is for measuring how fast a text is read,
 * not for what it says.
 *
 *     node bench/lib/long-text.mjs SRC.txt OUT.txt --lines N
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

/**
 * Everything up to the timestamp, the timestamp with the blanks that pad it (the one behind the flags
 * is not padding), its digits after the point, and the rest.
 */
const LINE = /^(.{16}-\d+ *(?:\([ \d-]*\) *)?\[\d+\](?: +[^ \d]\S* )?)( *\d+(?:\.(\d+))?)(:.*)$/;
const WRITE_BYTES = 1 << 20;

/**
 * Splits the source into its lines, in order: strings that stay, and `{ before, width, ticks,
 * decimals, after }` for lines with a timestamp.
 */
function parseLines(source) {
  const lines = source.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => {
    const [, before, stamp, fraction, after] = LINE.exec(line) ?? [];
    if (stamp === undefined) return line;
    const ticks = BigInt(stamp.trim().replace('.', ''));
    return { before, width: stamp.length, ticks, decimals: fraction?.length ?? 0, after };
  });
}

function format({ before, width, ticks, decimals, after }, shift) {
  const digits = (ticks + shift).toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const stamp = decimals === 0 ? digits : `${whole}.${digits.slice(-decimals)}`;
  return before + stamp.padStart(width) + after;
}

/**
 * The text with `count` lines, in pieces. The source's own header comes once.
 * @param {string} source ftrace text with at least one event
 * @param {number} count
 */
export function* longText(source, count) {
  const lines = parseLines(source);
  const stamped = lines.filter((line) => typeof line !== 'string');
  if (stamped.length === 0) throw new TypeError('the source has no line with a timestamp');
  const ticks = stamped.map((line) => line.ticks).sort((a, b) => (a < b ? -1 : 1));
  const period = ticks.at(-1) - ticks[0] + 1n;
  let piece = '';
  let left = count;
  for (let round = 0n; left > 0; round++) {
    for (const line of round === 0n ? lines : stamped) {
      if (left-- === 0) break;
      piece += `${typeof line === 'string' ? line : format(line, round * period)}\n`;
      if (piece.length < WRITE_BYTES) continue;
      yield piece;
      piece = '';
    }
  }
  yield piece;
}

/** Writes a text of `count` lines made from the file `from` to the file `to`. */
export async function writeLongText(from, to, count) {
  const source = await readFile(from, 'latin1');
  const out = createWriteStream(to);
  for (const piece of longText(source, count)) {
    if (!out.write(piece, 'latin1')) await once(out, 'drain');
  }
  out.end();
  await once(out, 'finish');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { lines: { type: 'string', default: '1000000' } },
  });
  const [from, to] = positionals;
  const count = Number(values.lines);
  if (from === undefined || to === undefined || !(Number.isSafeInteger(count) && count > 0)) {
    console.error('usage: node bench/lib/long-text.mjs SRC.txt OUT.txt --lines N');
    process.exitCode = 2;
  } else {
    await writeLongText(from, to, count);
  }
}
