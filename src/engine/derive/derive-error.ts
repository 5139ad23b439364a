/** A machine that no decision table can be derived from. */
export class DeriveError extends Error {
  override readonly name = 'DeriveError';
  /** Where in the machine: `vm.masterclock.off`. */
  readonly at: string;

  constructor(at: string, expected: string, found: string) {
    super(`${at}: expected ${expected}, found ${found}`);
    this.at = at;
  }
}
