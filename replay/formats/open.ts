/**
 * Opens a recording whatever its format: the content decides, never the name. Of the readers only the
 * one that is needed is loaded.
 */
import { fstatSync } from 'node:fs';
import { type FileHandle, open as openFile } from 'node:fs/promises';
import { describeErrno } from '../../events/errno.ts';
import type { LogBytes } from '../../events/log/index.ts';
import { isLog } from '../../events/log/magic.ts';
import {
  type ByteStream,
  FileBytes,
  PipeBytes,
  type RandomAccess,
  SequentialBytes,
  spool,
} from './bytes.ts';
import { FormatError } from './error.ts';
import type { ReadOptions, Recording } from './recording.ts';
import { paysForThread } from './thread/pays.ts';
import { HEAD_BYTES, isCompressed, isTraceDat } from './tracedat/magic.ts';

/** What stdin is called on the command line, and in messages. */
const STDIN_PATH = '-';
const STDIN_NAME = '<stdin>';
const STDIN_FD = 0;

/** The bytes of a log, which are to be opened with `openLog`. */
export interface LogFile extends LogBytes {
  close(): Promise<void>;
}

/** What an input turned out to be. */
export type Opened =
  | { readonly is: 'recording'; readonly recording: Recording }
  | { readonly is: 'log'; readonly log: LogFile };

/** The same while a recording is being opened, which takes longer: it is to be awaited at once. */
export type Opening =
  | { readonly is: 'recording'; readonly recording: Promise<Recording> }
  | { readonly is: 'log'; readonly log: LogFile };

/**
 * Opens the recording at `path` (`-`: stdin): ftrace text or trace.dat, from a file or a pipe.
 *
 * @throws FormatError if it is missing, can't be read, or is neither.
 */
export async function open(path: string, options: ReadOptions = {}): Promise<Recording> {
  const opened = await openAny(path, options);
  if (opened.is === 'recording') return opened.recording;
  await opened.log.close();
  throw new FormatError(path, undefined, 'a recording', 'a log (openLog reads it)');
}

const recorded = (recording: Promise<Recording>): Opening => ({ is: 'recording', recording });
const logged = (log: LogFile): Opening => ({ is: 'log', log });

/**
 * Opens the recording or the log at `path` (`-`: stdin), from a file or a pipe.
 *
 * @throws FormatError if it is missing, can't be read, or is neither.
 */
export async function openAny(path: string, options: ReadOptions = {}): Promise<Opened> {
  const opening = await beginOpening(path, options);
  if (opening.is === 'log') return opening;
  return { is: 'recording', recording: await opening.recording };
}

/**
 * Finds out what there is at `path`, and begins to open it.
 *
 * @throws FormatError if it is missing or can't be read; so ends the recording if it is none.
 */
export async function beginOpening(path: string, options: ReadOptions = {}): Promise<Opening> {
  if (path === STDIN_PATH) {
    if (fstatSync(STDIN_FD).isDirectory()) {
      throw new FormatError(STDIN_NAME, undefined, 'a recording', 'a directory');
    }
    return openPipe(STDIN_NAME, process.stdin, options);
  }
  const file = await openPath(path);
  const closing = (error: unknown): Promise<never> =>
    file.close().then(() => Promise.reject(error));
  return openFileAt(path, file, options, closing).catch(closing);
}

/** Opens a file, which `closing` closes where that ends in an error. */
async function openFileAt(
  path: string,
  file: FileHandle,
  options: ReadOptions,
  closing: (error: unknown) => Promise<never>,
): Promise<Opening> {
  const stat = await file.stat();
  if (stat.isDirectory()) {
    throw new FormatError(path, undefined, 'a recording', 'a directory');
  }
  if (!stat.isFile()) {
    const opening = await openPipe(path, file.createReadStream(), options);
    return opening.is === 'log' ? opening : recorded(opening.recording.catch(closing));
  }
  const { size } = stat;
  const bytes = new FileBytes(path, file, size);
  const room = new Uint8Array(HEAD_BYTES);
  const head = room.subarray(0, await bytes.readInto(room, 0, HEAD_BYTES, 0));
  if (isLog(head)) return logged(bytes);
  const is = isTraceDat(head) ? 'trace.dat' : 'text';
  if (options.ownThread === true && paysForThread(size, is === 'trace.dat' && isCompressed(head))) {
    return recorded(inThread(path, file, { is, size }, options).catch(closing));
  }
  const opening =
    is === 'trace.dat' ? traceDat(bytes, options) : text(new SequentialBytes(bytes), options);
  return recorded(opening.catch(closing));
}

async function inThread(
  path: string,
  file: FileHandle,
  what: { readonly is: 'trace.dat' | 'text'; readonly size: number },
  { only }: ReadOptions,
): Promise<Recording> {
  const { openInThread } = await import('./thread/recording.ts');
  return openInThread(path, file, what, only);
}

async function openPipe(
  name: string,
  chunks: AsyncIterable<Uint8Array>,
  options: ReadOptions,
): Promise<Opening> {
  const pipe = new PipeBytes(name, chunks);
  const head = await pipe.peek(HEAD_BYTES);
  if (isLog(head)) return logged(await spool(pipe));
  if (!isTraceDat(head)) return recorded(text(pipe, options));
  return recorded(spool(pipe).then((spooled) => traceDat(spooled, options)));
}

async function text(bytes: ByteStream, options: ReadOptions): Promise<Recording> {
  const { openText } = await import('./text/index.ts');
  return openText(bytes, options);
}

async function traceDat(bytes: RandomAccess, options: ReadOptions): Promise<Recording> {
  const { openTraceDat } = await import('./tracedat/index.ts');
  return openTraceDat(bytes, options);
}

async function openPath(path: string): Promise<FileHandle> {
  try {
    return await openFile(path, 'r');
  } catch (error) {
    throw new FormatError(path, undefined, 'a recording', describeErrno(error));
  }
}
