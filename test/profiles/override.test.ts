import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import {
  PROFILE_IDS,
  PROFILES,
  parseSet,
  SettingFormError,
  SWITCH_NAMES,
  SWITCHES,
  type Switches,
  type SwitchValue,
  SwitchValueError,
  UnknownSwitchError,
  withSwitches,
} from '../../src/profiles/index.ts';

/** Some switches, each with one of its values. */
const settings = fc.record(
  Object.fromEntries(
    SWITCH_NAMES.map((name) => [
      name,
      fc.constantFrom(...(SWITCHES[name].values as readonly SwitchValue[])),
    ]),
  ),
  { requiredKeys: [], noNullPrototype: true },
) as fc.Arbitrary<Partial<Switches>>;

const profiles = fc.constantFrom(...PROFILE_IDS).map((id) => PROFILES[id]);

describe('withSwitches', () => {
  property.prop([profiles, settings])('changes what is named and nothing else', (kernel, set) => {
    const derived = withSwitches(kernel, set);
    for (const name of SWITCH_NAMES) {
      const expected = Object.hasOwn(set, name) ? set[name] : kernel.switches[name];
      expect(derived.switches[name]).toBe(expected);
    }
    expect({ ...derived, switches: null, overridden: null }).toEqual({
      ...kernel,
      switches: null,
      overridden: null,
    });
  });

  property.prop([profiles, settings])('remembers what differs from the kernel', (kernel, set) => {
    expect(withSwitches(kernel, set).overridden).toEqual(
      SWITCH_NAMES.filter(
        (name) => Object.hasOwn(set, name) && set[name] !== kernel.switches[name],
      ),
    );
  });

  property.prop([profiles, settings])('is undone by the kernel’s own switches', (kernel, set) => {
    expect(withSwitches(withSwitches(kernel, set), kernel.switches)).toEqual(kernel);
  });

  property.prop([profiles, settings, settings])('adds up', (kernel, first, second) => {
    expect(withSwitches(withSwitches(kernel, first), second)).toEqual(
      withSwitches(kernel, { ...first, ...second }),
    );
  });

  test('leaves the kernel as it was, and its result frozen', () => {
    const before = { ...PROFILES['v6.1'].switches };
    const derived = withSwitches(PROFILES['v6.1'], { mclkRequestOnTrack: 'toggle' });
    expect(PROFILES['v6.1'].switches).toEqual(before);
    expect(() => Object.assign(derived.switches, { getClock: 'base' })).toThrow(TypeError);
    expect(() => Object.assign(derived.overridden, { 0: 'getClock' })).toThrow(TypeError);
  });

  test.each([
    ['{"getClok": "base"}', UnknownSwitchError],
    ['{"__proto__": "base"}', UnknownSwitchError],
    ['{"getClock": "host"}', SwitchValueError],
    ['{"getClock": null}', SwitchValueError],
    ['{"setClockFlags": "14"}', SwitchValueError],
    ['{"getClockRealtime": 1}', SwitchValueError],
  ])('refuses %s', (json, error) => {
    expect(() => withSwitches(PROFILES['v6.1'], JSON.parse(json))).toThrow(error);
  });
});

describe('parseSet', () => {
  test('reads words, flags and numbers', () => {
    expect(parseSet('mclkRequestOnTrack=toggle-or-generation')).toEqual({
      mclkRequestOnTrack: 'toggle-or-generation',
    });
    expect(parseSet('getClockRealtime=false')).toEqual({ getClockRealtime: false });
    expect(parseSet('setClockFlags=14')).toEqual({ setClockFlags: 14 });
    expect(parseSet(' stableBit = masterclock ')).toEqual({ stableBit: 'masterclock' });
  });

  test('reads every value of every switch', () => {
    for (const name of SWITCH_NAMES) {
      for (const value of SWITCHES[name].values) {
        expect(parseSet(`${name}=${value}`)).toEqual({ [name]: value });
      }
    }
  });

  test.each([
    ['mclkRequestOnTrack', SettingFormError, 'setting: expected name=value, found "mclkRequest'],
    ['', SettingFormError, 'setting: expected name=value, found ""'],
    ['mclkRequestontrak=toggle', UnknownSwitchError, 'switch: expected mclkRequestOnTrack or '],
    ['=toggle', UnknownSwitchError, 'found ""'],
    ['constructor=x', UnknownSwitchError, 'found "constructor"'],
    [
      'getClock=',
      SwitchValueError,
      'getClock: expected base or host-scale or guest-scale, found ""',
    ],
    ['getClock=Base', SwitchValueError, 'found "Base"'],
    ['getClockRealtime=yes', SwitchValueError, 'getClockRealtime: expected false or true, found'],
    ['setClockFlags=0xe', SwitchValueError, 'setClockFlags: expected 0 or 14, found "0xe"'],
    ['hvPage=a=b', SwitchValueError, 'found "a=b"'],
  ])('%j is refused', (text, error, message) => {
    const parse = () => parseSet(text);
    expect(parse).toThrow(error);
    expect(parse).toThrow(message);
  });

  test('errors carry what would be right', () => {
    const errorOf = (text: string): unknown => {
      try {
        return parseSet(text);
      } catch (error) {
        return error;
      }
    };
    expect(errorOf('tscWindow=x')).toMatchObject({
      name: 'UnknownSwitchError',
      nearest: expect.arrayContaining(['syncWindow']),
    });
    expect(errorOf('hvPage=x')).toMatchObject({
      name: 'SwitchValueError',
      switchName: 'hvPage',
      valid: ['none', 'sequence', 'status'],
    });
  });

  property.prop([fc.string({ unit: 'binary' })])('no message has unprintable text', (text) => {
    let message = '';
    try {
      parseSet(`getClock=${text}`);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(/^[ -~…]*$/);
    expect(message.length).toBeLessThan(800);
  });
});
