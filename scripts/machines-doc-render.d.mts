/** Every generated part of docs/machines.md, by name. */
export function renderParts(modules: {
  readonly machines: object;
  readonly events: object;
  readonly engine: object;
  readonly check: object;
}): Map<string, string>;

/** The page with its generated parts renewed. */
export function renew(page: string, parts: ReadonlyMap<string, string>): string;
