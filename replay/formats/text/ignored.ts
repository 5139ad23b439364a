/**
 * Lines of trace text that are no events and say nothing about clocks: comments, what trace-cmd
 * prints first, blank lines, stack traces. Some of them show that a text is ftrace's at all.
 */
import type { Text } from './text.ts';

/** Longer lines are none of these. */
const MAX_LENGTH = 200;

const HEADERS = /^(?:# tracer: |# entries-in-buffer\/entries-written: |cpus=\d+$|version = \d)/;
/** What perf script prints below an event, after a tab: ` ffffffff8116f5a1 vmx_vcpu_run+0x1 (…)`. */
const CALLCHAIN = /^(?:[\da-f]+ |$)/;
const NOTES = /^(?:CPU \d+ is empty$|CPU:\d+ \[SUBBUFFER START\])/;

function textOf({ bytes }: Text, start: number, end: number): string {
  return bytes.toString('latin1', start, Math.min(end, start + MAX_LENGTH)).trim();
}

/** Whether a line is the header of the kernel's trace file or of trace-cmd's report. */
export function isFtraceHeader(text: Text, start: number, end: number): boolean {
  return HEADERS.test(textOf(text, start, end));
}

/** Whether a line that holds no event may be passed over in silence. */
export function isIgnored(text: Text, start: number, end: number): boolean {
  const first = text.bytes[start]!;
  if (start === end || first === 0x23) return true;
  const line = textOf(text, start, end);
  if (first === 0x09) return CALLCHAIN.test(line);
  // ` => function` is a line of a stack trace.
  return line === '' || line.startsWith('=>') || HEADERS.test(line) || NOTES.test(line);
}
