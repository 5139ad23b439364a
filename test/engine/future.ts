/** What comes of some inputs: observations and bytes, to compare two worlds. */
import type { Input } from '../../events/index.ts';
import type { Dispatched, World } from '../../src/engine/index.ts';
import { bytesOf } from './snapshot.ts';

/** A dispatch as text: everything that can be seen of it. */
export const seen = ({ index, observations, masterclock, refused }: Dispatched): string =>
  JSON.stringify({ index, observations, masterclock, refused }, (_key, value: unknown) =>
    typeof value === 'bigint'
      ? `${value}n`
      : value instanceof Uint8Array
        ? Buffer.from(value).toString('hex')
        : value,
  );

/** What a world makes of inputs, and what it is afterwards. */
export const futureOf = (
  world: World,
  inputs: readonly Input[],
): { seen: readonly string[]; bytes: ReadonlyMap<string, string> } => ({
  seen: inputs.map((input) => seen(world.dispatch(input))),
  bytes: bytesOf(world),
});
