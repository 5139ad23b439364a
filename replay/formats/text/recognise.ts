/**
 * Is this ftrace text? Decided by the first lines: one that is an event's, or a header. The first
 * event also shows the clock.
 */
import { FormatError, printable } from '../error.ts';
import type { TraceClock } from '../recording.ts';
import { readGap } from './gaps.ts';
import { LineHeader } from './header.ts';
import { isFtraceHeader } from './ignored.ts';
import type { LineBuffer } from './lines.ts';
import type { Text } from './text.ts';
import { ThreadNames } from './threads.ts';

/** Within so many bytes a header or an event must stand. */
const HEAD_BYTES = 65536;
const EXCERPT_BYTES = 60;
const EXPECTED = 'ftrace text (the trace file, trace_pipe, trace-cmd report or perf script)';

/** Of a text with no event yet. */
export const UNKNOWN_CLOCK: TraceClock = { unit: 'order', name: undefined, resolutionNs: 1 };

/** The clock that stamps an event whose timestamp has so many digits after the point. */
export function clockOf(fractionDigits: number): TraceClock {
  if (fractionDigits === 0) return { unit: 'tsc', name: undefined, resolutionNs: 1 };
  return { unit: 'ns', name: undefined, resolutionNs: fractionDigits === 6 ? 1000 : 1 };
}

/**
 * Looks at the beginning of a stream without consuming it and returns the clock.
 * @throws FormatError if it is no ftrace text.
 */
export async function recognise(name: string, lines: LineBuffer): Promise<TraceClock> {
  const header = new LineHeader(new ThreadNames());
  let headerSeen = false;
  for (let at = 0; at < HEAD_BYTES; ) {
    const newline = lines.text.bytes.indexOf(10, at);
    const complete = newline < lines.end;
    if (!complete && lines.end - at <= HEAD_BYTES && (await lines.more())) continue;
    const end = Math.min(newline, lines.end);
    if (end - at > HEAD_BYTES) break;
    if (header.parse(lines.text, at, end)) return clockOf(header.fractionDigits);
    headerSeen ||= isFtraceHeader(lines.text, at, end) || isGap(lines.text, at, end);
    if (!complete) break;
    at = newline + 1;
  }
  if (headerSeen) return UNKNOWN_CLOCK;
  throw unrecognised(name, lines.text.bytes.subarray(0, Math.min(lines.end, HEAD_BYTES)));
}

function isGap(text: Text, start: number, end: number): boolean {
  return readGap(text, start, end) !== undefined;
}

function unrecognised(name: string, head: Buffer): FormatError {
  if (head.length === 0) return new FormatError(name, undefined, EXPECTED, 'an empty file');
  if (head[0] === 0x1f && head[1] === 0x8b) {
    const found = 'gzip data (pipe it: zcat FILE | masterclock replay -)';
    return new FormatError(name, { byte: 0 }, EXPECTED, found);
  }
  const control = head.findIndex((byte) => byte < 9 || (byte > 13 && byte < 32 && byte !== 27));
  if (control >= 0) {
    const start = [...head.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0'));
    const found = `binary data that begins with ${start.join(' ')}`;
    return new FormatError(name, { byte: control }, EXPECTED, found);
  }
  const lines = head.toString('utf8').split('\n');
  const index = Math.max(
    0,
    lines.findIndex((line) => line.trim() !== ''),
  );
  const excerpt = printable(lines[index]!.trim(), EXCERPT_BYTES);
  const found = excerpt === '' ? 'blank lines' : `"${excerpt}"`;
  return new FormatError(name, { line: index + 1 }, EXPECTED, found);
}
