/** Recordings as others would have made them: with fewer events, begun later, of other threads. */

/** A line of ftrace text. */
const LINE = /^(\s*)(.+)-(\d+)(\s+\[\d+\] \S+ +)(\d+)(: +)(.*)$/;

const isHead = (line: string): boolean => line.startsWith('#');

/** The lines that show events, without the header's. */
const eventsOf = (text: string): string[] =>
  text.split('\n').filter((line) => line !== '' && !isHead(line));

const textOf = (events: readonly string[]): string => `# tracer: nop\n#\n${events.join('\n')}\n`;

/** Without the events that `pattern` matches. */
export const without = (text: string, pattern: RegExp): string =>
  textOf(eventsOf(text).filter((line) => !pattern.test(line)));

/** With only the events that `pattern` matches. */
export const only = (text: string, pattern: RegExp): string =>
  textOf(eventsOf(text).filter((line) => pattern.test(line)));

/** Begun only at this share of the events. */
export function begunAt(text: string, share: number): string {
  const events = eventsOf(text);
  return textOf(events.slice(Math.floor(events.length * share)));
}

/** With so many events lost from this one on. */
export function losing(text: string, at: number, count: number): string {
  const events = eventsOf(text);
  events.splice(at, count, `CPU:0 [LOST ${count} EVENTS]`);
  return textOf(events);
}

/** As by a VMM that has a thread for each vCPU, which makes all calls on it, and its creation. */
export function threadPerVcpu(text: string): string {
  const vcpuOf = new Map<string, number>();
  const main = LINE.exec(eventsOf(text)[0]!)![3]!;
  let now: number | undefined;
  let creates: number | undefined;
  const events = eventsOf(text).map((line) => {
    const [, indent, comm, tid, place, ticks, colon, event] = LINE.exec(line)!;
    if (tid !== main) return line;
    const enter =
      /^sys_ioctl\(fd: ([\da-f]+), cmd: (?:0x)?([\da-f]+), arg: (?:0x)?([\da-f]+)\)/.exec(event!);
    if (enter !== null) {
      creates = enter[2] === 'ae41' ? Number.parseInt(enter[3]!, 16) : undefined;
      now = creates ?? vcpuOf.get(enter[1]!);
    }
    const isMarker = /^(tracing_mark_write|print):/.test(event!);
    const thread = now === undefined || isMarker ? tid : String(Number(main) + 1000 + now);
    const exit = /^sys_ioctl -> 0x([\da-f]{1,7})$/.exec(event!);
    if (exit !== null && creates !== undefined) vcpuOf.set(exit[1]!, creates);
    else if (exit !== null && now === undefined) vcpuOf.delete(exit[1]!);
    if (event!.startsWith('sys_ioctl ->')) now = undefined;
    return `${indent}${comm}-${thread}${place}${ticks}${colon}${event}`;
  });
  return textOf(events);
}

/** Cycles and ns by which the second VM of `twice` differs from the first. */
const OTHER_CYCLES = 12_345_678_901n;
const OTHER_NS = 777_777_777_777n;
const OTHER_TICKS = 3n;
const OTHER_PID = 5_000;

/** Two such VMs side by side, in two processes, that share nothing but the host's clocks. */
export function twice(text: string): string {
  const plus = (hex: string, by: bigint) => BigInt.asUintN(64, BigInt(hex) + by);
  const second = eventsOf(text).map((line) => {
    const [, indent, comm, tid, place, ticks, colon, event] = LINE.exec(line)!;
    const other = event!
      .replace(
        /tsc_timestamp (0x[\da-f]+)/,
        (_, at) => `tsc_timestamp 0x${plus(at, OTHER_CYCLES).toString(16)}`,
      )
      .replace(
        /system_time (0x[\da-f]+)/,
        (_, ns) => `system_time 0x${plus(ns, OTHER_NS).toString(16)}`,
      )
      .replace(/prev=(\d+) next=(\d+)/, (_, previous, next) => {
        const before = previous === '0' ? 0n : plus(previous, OTHER_CYCLES);
        return `prev=${before} next=${plus(next, OTHER_CYCLES)}`;
      });
    const at = BigInt(ticks!) + OTHER_TICKS;
    return `${indent}${comm}-${Number(tid) + OTHER_PID}${place}${at}${colon}${other}`;
  });
  const ticksOf = (line: string): bigint => BigInt(LINE.exec(line)![5]!);
  const both = [...eventsOf(text), ...second].map((line) => ({ line, ticks: ticksOf(line) }));
  both.sort((a, b) => (a.ticks < b.ticks ? -1 : a.ticks > b.ticks ? 1 : 0));
  return textOf(both.map(({ line }) => line));
}
