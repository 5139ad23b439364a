/** What TypeScript files declare, and what their tests are called and come by: from their syntax. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAst } from 'vitest/node';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A node of the syntax tree. */
type Node = Readonly<Record<string, unknown>> & { readonly type: string };

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node)['type'] === 'string';

/** A node and all below it. */
function* within(node: Node): Generator<Node> {
  yield node;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) yield* within(child);
    }
  }
}

const nameOf = (node: unknown): string | undefined => {
  if (!isNode(node)) return undefined;
  if (node.type === 'Identifier') return String(node['name']);
  return node.type === 'Literal' ? String(node['value']) : undefined;
};

/** The name that a node declares. */
function declares(node: Node): string | undefined {
  switch (node.type) {
    case 'Property':
      return node['shorthand'] === true ? undefined : nameOf(node['key']);
    case 'MethodDefinition':
    case 'PropertyDefinition':
      return nameOf(node['key']);
    case 'VariableDeclarator':
    case 'FunctionDeclaration':
    case 'ClassDeclaration':
    case 'TSInterfaceDeclaration':
    case 'TSTypeAliasDeclaration':
      return nameOf(node['id']);
    default:
      return undefined;
  }
}

/** Where a name comes from. */
interface Imported {
  readonly path: string;
  readonly name: string;
}

/** A file of this project. */
class Module {
  readonly path: string;
  readonly #declared = new Map<string, Node[]>();
  readonly #imported = new Map<string, Imported>();
  readonly #tests = new Map<string, Node[]>();

  constructor(path: string) {
    this.path = path;
    const tree = parseAst(readFileSync(join(ROOT, path), 'utf8'), { lang: 'ts' });
    for (const node of within(tree as unknown as Node)) this.#note(node);
  }

  #note(node: Node): void {
    const declared = declares(node);
    if (declared !== undefined) push(this.#declared, declared, node);
    if (node.type === 'ImportDeclaration') this.#noteImport(node);
    const title = titleOf(node);
    if (title !== undefined) push(this.#tests, title, node);
  }

  #noteImport(node: Node): void {
    const source = nameOf(node['source']) ?? '';
    if (!source.startsWith('.')) return;
    const path = join(dirname(this.path), source);
    for (const its of node['specifiers'] as readonly Node[]) {
      const local = nameOf(its['local']);
      if (local !== undefined) {
        this.#imported.set(local, { path, name: nameOf(its['imported']) ?? local });
      }
    }
  }

  declared = (name: string): readonly Node[] => this.#declared.get(name) ?? [];
  imported = (name: string): Imported | undefined => this.#imported.get(name);
  tests = (title: string): readonly Node[] => this.#tests.get(title) ?? [];
}

function push<V>(map: Map<string, V[]>, key: string, value: V): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else known.push(value);
}

/** The identifier that a callee starts with: `test` of `test.each([…])`. */
function rootOf(callee: unknown): string | undefined {
  if (!isNode(callee)) return undefined;
  if (callee.type === 'Identifier') return nameOf(callee);
  return rootOf(callee['object'] ?? callee['callee'] ?? callee['tag']);
}

/** What a test or a group of tests is called. */
function titleOf(node: Node): string | undefined {
  if (node.type !== 'CallExpression') return undefined;
  if (!['test', 'it', 'describe'].includes(rootOf(node['callee']) ?? '')) return undefined;
  const [title] = node['arguments'] as readonly unknown[];
  return isNode(title) && title.type === 'Literal' && typeof title['value'] === 'string'
    ? title['value']
    : undefined;
}

const modules = new Map<string, Module>();

function moduleAt(path: string): Module {
  const found = modules.get(path) ?? new Module(path);
  modules.set(path, found);
  return found;
}

/** Whether a file declares a name. */
export const declaresName = (path: string, name: string): boolean =>
  moduleAt(path).declared(name).length > 0;

/** How many tests, or groups of tests, of a file have this title. */
export const testsCalled = (path: string, title: string): number =>
  moduleAt(path).tests(title).length;

/** What a test comes by: the strings in it, and the project’s files that it takes things from. */
export interface Reach {
  readonly strings: ReadonlySet<string>;
  readonly files: ReadonlySet<string>;
}

/** What a test comes by in its file and in the helpers of tests that it calls. */
export function reachOf(path: string, title: string): Reach {
  const strings = new Set<string>();
  const files = new Set<string>();
  const visited = new Set<Node>();
  const visit = (its: Module, node: Node): void => {
    if (visited.has(node)) return;
    visited.add(node);
    for (const part of within(node)) {
      if (part.type === 'Literal' && typeof part['value'] === 'string') strings.add(part['value']);
      const name = part.type === 'Identifier' ? nameOf(part) : undefined;
      if (name !== undefined) follow(its, name);
    }
  };
  const follow = (its: Module, name: string): void => {
    for (const node of its.declared(name)) visit(its, node);
    const from = its.imported(name);
    if (from === undefined) return;
    files.add(from.path);
    if (!from.path.startsWith('test/')) return;
    const there = moduleAt(from.path);
    for (const node of there.declared(from.name)) visit(there, node);
  };
  const its = moduleAt(path);
  for (const node of its.tests(title)) visit(its, node);
  return { strings, files };
}
