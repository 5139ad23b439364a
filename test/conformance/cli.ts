/** Runs `npm run conformance` as a process of its own. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../../scripts/conformance.mjs', import.meta.url));

/** Its exit code and what it wrote. */
export function conformance(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], {
    encoding: 'utf8',
  });
  return { code: status, stdout, stderr };
}
