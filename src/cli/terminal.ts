/** Where the command writes: kept apart from `process` so that tests can stand in for it. */
import type { Style } from '../../replay/report/text.ts';
import { plain } from '../../replay/report/text.ts';

export interface Output {
  write(text: string): unknown;
  /** Resolves when what was written is on its way, if it was more than the reader keeps up with. */
  drained?(): Promise<unknown> | undefined;
  readonly isTTY?: boolean | undefined;
}

export interface Terminal {
  readonly stdout: Output;
  readonly stderr: Output;
  /** NO_COLOR is set (https://no-color.org). */
  readonly noColor: boolean;
}

const SGR: Readonly<Record<Parameters<Style>[0], string>> = {
  error: '1;31',
  warning: '33',
  notice: '36',
  info: '2',
  strong: '1',
  faint: '2',
};

const coloured: Style = (kind, text) => `\u001b[${SGR[kind]}m${text}\u001b[0m`;

/** Colours only on a terminal, and not where NO_COLOR asks for none. */
export const styleFor = ({ stdout, noColor }: Terminal): Style =>
  stdout.isTTY === true && !noColor ? coloured : plain;

/** Writes lines in large pieces: a system call for each would cost more than the line. */
export class LineWriter {
  readonly #output: Output;
  #pending = '';

  constructor(output: Output) {
    this.#output = output;
  }

  line(text: string): void {
    this.#pending += `${text}\n`;
  }

  /** Whether enough has come together to be written. */
  get full(): boolean {
    return this.#pending.length > PIECE;
  }

  /** Writes what has come together; resolves when there is room for more. */
  async flush(): Promise<void> {
    if (this.#pending !== '') this.#output.write(this.#pending);
    this.#pending = '';
    await this.#output.drained?.();
  }
}

const PIECE = 1 << 14;
