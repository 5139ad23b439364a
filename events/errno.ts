/** Errors of the operating system in words, for messages that say what was found. */

const ERRNO_TEXT: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'a path through something that is no directory',
  EISDIR: 'a directory',
  ELOOP: 'a loop of symbolic links',
  ENAMETOOLONG: 'a name that is too long',
  EIO: 'an input/output error',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'no space left of the disk quota',
  EFBIG: 'a file that may not be larger',
  EROFS: 'a read-only file system',
  EMFILE: 'too many open files',
};

/** A file to be read, or one to be written. */
export type FileUse = 'read' | 'written';

const textOf = (code: string | undefined, use: FileUse): string | undefined => {
  switch (code) {
    case 'EACCES':
      return `a file that may not be ${use} (permission denied)`;
    case 'EPERM':
      return `a file that may not be ${use} (operation not permitted)`;
    case 'ENOENT':
      return use === 'read' ? ERRNO_TEXT[code] : 'no such folder';
    case 'EEXIST': // Only of a file that is to be made and did not seem to be there.
      return 'a symbolic link that leads nowhere';
    default:
      return code === undefined ? undefined : ERRNO_TEXT[code];
  }
};

/** An error of the operating system in words, for `found`. */
export function describeErrno(error: unknown, use: FileUse = 'read'): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  return textOf(code, use) ?? `an error (${code ?? error})`;
}
