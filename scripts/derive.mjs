// The second build step: XState computes the machines' decision tables; they and the routes become
// code. Writes what changed into src/engine/tables/ and prints the names.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const { deriveModules } = await import(
  new URL('../dist/src/engine/derive/index.js', import.meta.url)
);
for (const [file, text] of deriveModules()) {
  const path = new URL(`../src/engine/tables/${file}`, import.meta.url);
  if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
  writeFileSync(path, text);
  process.stdout.write(`${file}\n`);
}
