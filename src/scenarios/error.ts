/** A scenario or a parameter's value that is none. The message says what would be. */
export class ScenarioError extends Error {
  override readonly name = 'ScenarioError';
}
