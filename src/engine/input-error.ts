/** Why an input cannot be. */
export type InputErrorCode =
  | 'unknown-input'
  | 'bad-value'
  | 'tsc-backwards'
  | 'no-such-vm'
  | 'vm-exists'
  | 'no-such-vcpu'
  | 'wrong-order'
  | 'unknown-msr'
  | 'kernel-hangs';

/** Which input. */
export interface InputPlace {
  /** How many were dispatched before it. */
  readonly index: number;
  /** Its type, as far as it has one. */
  readonly type: string;
}

/** An input that cannot have happened; nothing was changed. */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly code: InputErrorCode;
  /** How many inputs were dispatched before it. */
  readonly index: number;
  /** The input's type, as far as it has one. */
  readonly type: string;
  readonly expected: string;
  readonly found: string;

  /** @internal */
  constructor(code: InputErrorCode, at: InputPlace, expected: string, found: string) {
    super(`input ${at.index} (${at.type}): expected ${expected}, found ${found}`);
    this.code = code;
    this.index = at.index;
    this.type = at.type;
    this.expected = expected;
    this.found = found;
  }
}
