import { main } from '../../src/cli/main.ts';

/** Runs the command line in this process and collects what it writes. */
export async function cli(...args: string[]) {
  const written = { stdout: '', stderr: '' };
  const code = await main(args, '1.2.3', {
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    noColor: false,
  });
  return { code, ...written };
}

/** The objects of `--json` output. */
export const json = (stdout: string): Record<string, unknown>[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
