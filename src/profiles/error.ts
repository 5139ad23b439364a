/** What can be wrong with a profile's name or a switch's setting, as errors that say what would be right. */

/** Longest piece of foreign text that a message repeats. */
const SHOWN = 64;

/**
 * Foreign text as it may be shown: printable ASCII as it is, everything else as `\u{…}`, cut to 64
 * characters. A release or a setting can come from a hostile recording or command line.
 */
export function printable(text: string): string {
  const shown = [...text.slice(0, SHOWN)].map((char) =>
    char >= ' ' && char <= '~' ? char : `\\u{${char.codePointAt(0)!.toString(16)}}`,
  );
  return shown.join('') + (text.length > SHOWN ? '…' : '');
}

/** A name or setting that no profile or switch has. */
export class ProfileError extends Error {
  override readonly name: string = 'ProfileError';
}

/** No profile has this id. */
export class UnknownProfileError extends ProfileError {
  override readonly name = 'UnknownProfileError';
  /** Valid ids, the likeliest first. */
  readonly nearest: readonly string[];

  constructor(id: string, nearest: readonly string[]) {
    super(`profile: expected ${nearest.join(' or ')}, found "${printable(id)}"`);
    this.nearest = nearest;
  }
}

/** No switch has this name. */
export class UnknownSwitchError extends ProfileError {
  override readonly name = 'UnknownSwitchError';
  /** Valid names, the likeliest first. */
  readonly nearest: readonly string[];

  constructor(name: string, nearest: readonly string[]) {
    super(`switch: expected ${nearest.join(' or ')}, found "${printable(name)}"`);
    this.nearest = nearest;
  }
}

/** The switch has no such value. */
export class SwitchValueError extends ProfileError {
  override readonly name = 'SwitchValueError';
  /** Name of the switch. */
  readonly switchName: string;
  /** The values it has. */
  readonly valid: readonly (string | boolean | number)[];

  constructor(switchName: string, found: unknown, valid: readonly (string | boolean | number)[]) {
    const shown = typeof found === 'string' ? `"${printable(found)}"` : typeof found;
    super(`${switchName}: expected ${valid.join(' or ')}, found ${shown}`);
    this.switchName = switchName;
    this.valid = valid;
  }
}

/** A setting that is not of the form `name=value`. */
export class SettingFormError extends ProfileError {
  override readonly name = 'SettingFormError';

  constructor(text: string) {
    super(`setting: expected name=value, found "${printable(text)}"`);
  }
}
