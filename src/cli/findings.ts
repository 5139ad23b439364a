/** Findings on their way to the command's output: as JSON lines at once, or as text at the end. */
import type { Finding } from '../../replay/findings/finding.ts';
import { atLeast } from '../../replay/findings/severity.ts';
import { count } from '../../replay/quantity.ts';
import { findingToJson } from '../../replay/report/json.ts';
import { type Found, findingLines, mechanismLines, Shown } from '../../replay/report/text.ts';
import { EXIT, type ExitCode, UsageError } from './exit-codes.ts';
import type { FindingOptions } from './finding-options.ts';
import { LineWriter, styleFor, type Terminal } from './terminal.ts';

/** Takes findings in and writes them. */
export class FindingReport {
  readonly out: LineWriter;
  readonly #options: FindingOptions;
  readonly #terminal: Terminal;
  readonly #shown = new Shown();
  #failed = false;

  constructor(options: FindingOptions, terminal: Terminal) {
    this.out = new LineWriter(terminal.stdout);
    this.#options = options;
    this.#terminal = terminal;
  }

  /** The finding that the verdict is about. */
  get worst(): Finding | undefined {
    return this.#shown.worst;
  }

  get code(): ExitCode {
    return this.#failed ? EXIT.findings : EXIT.ok;
  }

  /** Takes all findings of a replay. @returns its summary. */
  async drain<S>(run: AsyncGenerator<readonly Finding[], S>): Promise<S> {
    for (;;) {
      const next = await run.next();
      if (next.done === true) return next.value;
      for (const finding of next.value) {
        this.#take(finding);
        if (this.out.full) await this.out.flush();
      }
    }
  }

  #take(finding: Finding): void {
    const { failOn, json } = this.#options;
    if (failOn !== 'never' && atLeast(finding.severity, failOn)) this.#failed = true;
    if (json) this.out.line(findingToJson(finding));
    else this.#shown.add(finding);
  }

  /** The report as text: the verdict, the findings, their mechanisms; then `foot`. */
  writeText(verdict: string, summary: Found, foot: Iterable<string>): void {
    const style = styleFor(this.#terminal);
    this.out.line(style('strong', verdict));
    const list = this.#shown.list();
    if (list.length > 0) this.out.line('');
    for (const line of findingLines(list, summary, style)) this.out.line(line);
    const unlisted = this.#shown.total - list.length;
    if (unlisted > 0) {
      this.out.line(`… and ${count(unlisted, 'finding')} no worse; --json lists all`);
    }
    this.out.line('');
    const explained = [...mechanismLines(summary)];
    for (const line of explained) this.out.line(line);
    if (explained.length > 0) this.out.line('');
    for (const line of foot) this.out.line(line);
  }
}

/** A VM that was asked for is there. @throws UsageError when it is not. */
export function checkVm(
  vm: string | undefined,
  where: string,
  { vms, vmCount }: Pick<Found, 'vms' | 'vmCount'>,
): void {
  if (vm === undefined || vms.length < vmCount || vms.some((v) => v.id === vm)) return;
  const known = vms.length === 0 ? 'it has none' : `it has ${vms.map((v) => v.id).join(', ')}`;
  throw new UsageError(`${where} has no VM ${vm}: ${known}`);
}
