/** Logs that commands write: files that are not there yet, and are not left half written. */
import { lstatSync, rmSync } from 'node:fs';
import { type LogEntry, type LogHeader, LogWriteError, LogWriter } from '../../events/log/index.ts';
import { CHECKPOINT_STRUCTS } from '../engine/checkpoint.ts';
import { EXIT, type ExitCode, UsageError } from './exit-codes.ts';

/** A log to be written. */
export interface NewLog {
  readonly path: string;
  readonly header: LogHeader;
  readonly entries: AsyncIterable<readonly LogEntry[]> | Iterable<readonly LogEntry[]>;
}

/** Whether there is anything at a path, be it a link that leads nowhere. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // Whoever makes the file is told why that is not possible.
    return false;
  }
}

/**
 * Whether a log may be made there. @returns its form.
 *
 * @throws UsageError when there is something, or the name says no form.
 */
export function checkNew(path: string): 'jsonl' | 'mclog' {
  if (isThere(path)) throw new UsageError(`${path} exists already`);
  if (path.endsWith('.jsonl')) return 'jsonl';
  if (path.endsWith('.mclog')) return 'mclog';
  throw new UsageError(`${path}: expected a name that ends in .jsonl or .mclog`);
}

async function writeOne({ path, header, entries }: NewLog): Promise<number> {
  const form = checkNew(path);
  const writer = new LogWriter(path, { form, header, structs: CHECKPOINT_STRUCTS });
  try {
    for await (const batch of entries) writer.append(batch);
    writer.close();
    return writer.inputs;
  } catch (error) {
    remove(writer);
    throw error;
  }
}

/** The error that led here is the one to be told. */
function remove(writer: LogWriter): void {
  try {
    writer.close();
  } catch {
    // It is closed all the same.
  }
  rmSync(writer.path, { force: true });
}

/**
 * Writes logs, all or none. @returns the inputs of all of them.
 *
 * @throws UsageError when one is there already, LogWriteError when one can't be written.
 */
export async function writeNewLogs(logs: readonly NewLog[]): Promise<number> {
  for (const { path } of logs) checkNew(path);
  const made: string[] = [];
  let inputs = 0;
  try {
    for (const log of logs) {
      inputs += await writeOne(log);
      made.push(log.path);
    }
  } catch (error) {
    for (const path of made) rmSync(path, { force: true });
    throw error;
  }
  return inputs;
}

/** How a command ends that failed so. */
export const exitOfError = (error: Error): ExitCode => {
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof LogWriteError ? EXIT.failed : EXIT.unreadable;
};
