/** Conformance says the same whatever moves the machines: their decision tables or actors. */
import { expect, test } from 'vitest';
import { conformanceJson, conformanceOf } from '../../replay/conformance/index.ts';
import { actorStepper } from '../../src/engine/index.ts';
import { BUNDLED, conformanceOfBundled, recordingOf } from './bundled.ts';

test.each(BUNDLED.map((name) => [name]))('%s: tables and actors', async (name) => {
  const tables = await conformanceOfBundled(name);
  const actors = conformanceOf(await recordingOf(name), tables.profile, actorStepper());
  const given = { ...tables, shown: actors.shown };
  expect(conformanceJson([actors])).toBe(conformanceJson([given]));
  expect(actors.tally).toEqual(tables.tally);
});
