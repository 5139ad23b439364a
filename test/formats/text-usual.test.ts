/**
 * Usual lines are read by a function that is made from the catalogue, all others by the reader that
 * knows every form. Where bytes come one at a time only the latter is at work, so both can be compared.
 */
import { fc, test as propertyTest } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { EVENT_NAMES, EVENTS, type EventSpec } from '../../events/index.ts';
import { fixtureText, kernelLine, readText } from './text-reading.ts';

const MIB = 1 << 20;
const NUMBERS = [
  ...['', '-', '0', '-0', '1', '-1', '9', '00', '127', '128', '-128', '-129', '255', '256'],
  ...['2147483647', '2147483648', '-2147483648', '-2147483649', '4294967295', '4294967296'],
  ...['999999999999999999', '9223372036854775808', '-9223372036854775808', '-9223372036854775809'],
  ...[
    '9999999999999999999',
    '10000000000000000000',
    '18446744073709551615',
    '18446744073709551616',
  ],
  ...['0x', '0x0', '0xffffffff', '0xFFFFffef', '0xffffffffffffffff', '0xffffffff00000000'],
  ...['0x00000000000000001', '0x1ffffffffffffffff', '-0x1', 'deadbeef', '7ffc7a42d750', '1g', '1_'],
  ...['tsc', 'none', 'hpet', 'tscx', 'read', 'write', 'begin', 'end'],
];
const TICKS = [
  ...['0', '1000', '12345678', '123456789', '10703300440', '9999999999999999', '9007199254740993'],
  ...['4294967296', '18446744073709551615', '1234567x901', '10703300441', '10703300442'],
];
const ENDS = ['', ' ', '\r', ']', '[immediate exit]', '[immediate exit]\r', ' (#GP)', ')', ' x: 1'];

/** An event as the kernel prints it, with any number in the place of each field. */
const event = fc
  .tuple(
    fc.constantFrom(...EVENT_NAMES),
    fc.nat(1),
    fc.array(fc.constantFrom(...NUMBERS), { minLength: 7, maxLength: 7 }),
    fc.constantFrom(...ENDS),
  )
  .map(([name, form, numbers, end]) => {
    const { print = [''] }: EventSpec = EVENTS[name];
    let k = 0;
    const text = print[form % print.length]!.replace(
      /%[a-z_0-9]+(:\w+)?(\?.+$)?/g,
      (_, __, mark) => (mark === undefined ? numbers[k++]! : ''),
    );
    const called = name.startsWith('sys_') ? name.replace(/enter_|exit_/, '') : `${name}: `;
    return `${called}${text}${end}`;
  });

const SECONDS = [
  ...['0.000000', '6.271319', '6.271319123', '12.00001', '12.0000001', '9999999999.999999999'],
  ...['18446744073.709551', '123456.7x8901', '.123456', '1000', '4.294967296', '4.294968:'],
];

const linesAt = (instants: readonly string[]): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(event, fc.constantFrom(...instants)), { minLength: 1, maxLength: 40 })
    .map((all) => all.map(([text, at]) => `${kernelLine(text, at)}\n`).join(''));

const alike = async (text: string | Uint8Array): Promise<void> => {
  const byBytes = await readText(text, { chunkSize: 1 }, 64);
  expect(await readText(text, { chunkSize: MIB }, 4096)).toEqual(byBytes);
};

describe('usual lines mean what they mean to the reader of all forms', () => {
  propertyTest.prop([linesAt(TICKS)], { numRuns: 150 })(
    'events with any numbers in their fields',
    async (lines) => {
      await alike(`${kernelLine('kvm_entry: vcpu 0', '10703300440')}\n${lines}`);
    },
  );

  propertyTest.prop([linesAt(SECONDS)], { numRuns: 100 })('instants in seconds', async (lines) => {
    await alike(`${kernelLine('kvm_entry: vcpu 0', '1.703300')}\n${lines}`);
  });

  test.each(['threads-6.12', 'set-clock-7.3', 'set-clock-5.10', 'tsc-host-mono-raw-6.12'])(
    'the recording %s',
    async (name) => {
      await alike(fixtureText(name).subarray(0, 200_000));
    },
  );

  test('lines across the pieces in which they are handed over', async () => {
    const text = fixtureText('threads-6.12').toString('latin1').repeat(2);
    const whole = await readText(text, { chunkSize: MIB }, 4096);
    expect(await readText(text, { chunkSize: 50_000 }, 100)).toEqual(whole);
    expect(whole.events.length).toBeGreaterThan(12_000);
  });
});
