// Renders the generated parts of docs/machines.md from the machines, routes and invariants. Pure:
// whoever calls it brings the modules, so that a test can hand in the sources and the script what
// was built.

/** @typedef {{ from: string, signal: string, guard: string, target: string | undefined, actions: string[] }} Edge */

const listOf = (one) => (one === undefined ? [] : Array.isArray(one) ? one : [one]);

const asTransition = (one) => (typeof one === 'string' ? { target: one } : one);

/** A target as the path of its state, seen from the state at `path`. */
const resolve = (path, target) =>
  target.startsWith('.')
    ? [...path, ...target.slice(1).split('.')]
    : [...path.slice(0, -1), ...target.split('.')];

/** All transitions of a region, the region itself as `any`. */
function edgesOf(config, path = []) {
  const own = Object.entries(config.on ?? {}).flatMap(([signal, transitions]) =>
    listOf(transitions)
      .map(asTransition)
      .map(({ guard, target, actions }, index, all) => ({
        from: path.length === 0 ? 'any' : path.join('.'),
        signal,
        guard: guard ?? (index > 0 && index === all.length - 1 ? 'else' : ''),
        target: target === undefined ? undefined : resolve(path, target).join('.'),
        actions: listOf(actions),
      })),
  );
  const inner = Object.entries(config.states ?? {}).flatMap(([name, state]) =>
    edgesOf(state, [...path, name]),
  );
  return [...own, ...inner];
}

const idOf = (path) => path.replaceAll('.', '_');

/** States as Mermaid declares them, nested ones inside. */
function statesOf(config, indent, path = []) {
  const lines = [];
  if (config.initial !== undefined)
    lines.push(`${indent}[*] --> ${idOf([...path, config.initial].join('.'))}`);
  for (const [name, state] of Object.entries(config.states ?? {})) {
    const id = idOf([...path, name].join('.'));
    if (state.states === undefined) {
      if (path.length > 0) lines.push(`${indent}${id} : ${name}`);
      else lines.push(`${indent}${id}`);
    } else {
      lines.push(
        `${indent}state ${id} {`,
        ...statesOf(state, `${indent}  `, [...path, name]),
        `${indent}}`,
      );
    }
  }
  return lines;
}

const labelOf = ({ signal, guard }) => (guard === '' ? signal : `${signal} [${guard}]`);

/** One region as a state diagram: what moves it. */
function diagram(region) {
  const edges = edgesOf(region).filter(({ target }) => target !== undefined);
  const any = edges.some(({ from }) => from === 'any') ? ['  any : in any state'] : [];
  const arrows = edges.map(
    (edge) => `  ${idOf(edge.from)} --> ${idOf(edge.target)} : ${labelOf(edge)}`,
  );
  return ['```mermaid', 'stateDiagram-v2', ...statesOf(region, '  '), ...any, ...arrows, '```'];
}

const code = (text) => (text === '' ? '' : `\`${text}\``);

/** One region as a table: everything that it reacts to, first match first. */
function table(region) {
  const rows = edgesOf(region).map(
    ({ from, signal, guard, target, actions }) =>
      `| ${from} | \`${signal}\` | ${guard === 'else' ? 'else' : code(guard)} | ${actions.map(code).join(', ')} | ${target ?? ''} |`,
  );
  if (rows.length === 0) return [];
  return ['| in | signal | if | then | to |', '|---|---|---|---|---|', ...rows];
}

/** The regions of a machine; one that is not parallel is its only region. */
const regionsOf = (config) =>
  config.type === 'parallel' ? Object.entries(config.states) : [[config.id, config]];

/** A machine: each region drawn and told. */
export function renderMachine({ config }) {
  const root =
    config.type === 'parallel' && config.on !== undefined ? table({ on: config.on }) : [];
  const regions = regionsOf(config).map(([name, region]) =>
    [`#### \`${config.id}\`: ${name}`, '', ...diagram(region), '', ...table(region)]
      .join('\n')
      .trimEnd(),
  );
  return [...regions, ...(root.length > 0 ? [root.join('\n')] : [])].join('\n\n');
}

/** The signals of a machine and what they mean. */
export const renderSignals = (signals) =>
  [
    '| signal | meaning |',
    '|---|---|',
    ...Object.entries(signals).map(([name, doc]) => `| \`${name}\` | ${doc} |`),
  ].join('\n');

/** What stands over the phases that a phase holds. */
function headOf(phase) {
  if ('call' in phase) return `${phase.call}:`;
  if ('each' in phase) return `for each ${phase.each === 'vm' ? 'VM' : 'vCPU'}`;
  return `${phase.holds ? 'if' : 'unless'} ${phase.when}`;
}

/** A route as indented lines. */
function routeLines(route, indent) {
  return route.flatMap((phase) => {
    if (!('phases' in phase)) return [`${indent}${phase.level}: ${phase.signal}`];
    return [`${indent}${headOf(phase)}`, ...routeLines(phase.phases, `${indent}    `)];
  });
}

const routeBlock = (route) => ['```text', ...routeLines(route, ''), '```'].join('\n');

/** Each input, what it is, and its way. */
export function renderRoutes({ INPUTS, ROUTES }) {
  return Object.entries(ROUTES)
    .map(([type, route]) => `#### \`${type}\`\n\n${INPUTS[type].doc}\n\n${routeBlock(route)}`)
    .join('\n\n');
}

/** The same for writes to MSRs, by who writes. */
export function renderMsrRoutes({ MSRS, MSR_ROUTES }) {
  const nameOf = (index) => Object.entries(MSRS).find(([, number]) => number === index)?.[0];
  const groups = new Map();
  for (const [index, { wrmsr, KVM_SET_MSRS }] of MSR_ROUTES) {
    const guest = routeBlock(wrmsr);
    const host = routeBlock(KVM_SET_MSRS);
    const text =
      guest === host
        ? guest
        : `By the guest (\`wrmsr\`):\n\n${guest}\n\nBy the VMM (\`KVM_SET_MSRS\`):\n\n${host}`;
    groups.set(text, [...(groups.get(text) ?? []), nameOf(index)]);
  }
  return [...groups]
    .map(([text, names]) => `#### ${names.map((name) => `\`${name}\``).join(', ')}\n\n${text}`)
    .join('\n\n');
}

/** VMMs' policies: what becomes of time, and where the order of ioctls is from. */
export const renderPolicies = (policies) =>
  [
    '| policy | | TSC | kvmclock | source |',
    '|---|---|---|---|---|',
    ...Object.entries(policies).map(
      ([id, { title, tsc, kvmclock, source }]) =>
        `| \`${id}\` | ${title} | ${tsc} | ${kvmclock} | ${source} |`,
    ),
  ].join('\n');

/** What must hold, with its bound. */
export const renderInvariants = (invariants) =>
  [
    '| | what must hold | bound | source |',
    '|---|---|---|---|',
    ...invariants.map(
      ({ id, name, statement, bound, source }) =>
        `| ${id} | **${name}.** ${statement} | ${bound} | ${source} |`,
    ),
  ].join('\n');

/** Every generated part by name: `machine vm`, `signals vm`, `routes`, … */
export function renderParts({ machines, events, engine, check }) {
  const parts = new Map();
  for (const [name, value] of Object.entries(machines)) {
    const machine = /^(\w+)Machine$/.exec(name)?.[1];
    if (machine !== undefined) parts.set(`machine ${machine}`, renderMachine(value));
    const signals = /^([A-Z_]+)_SIGNALS$/.exec(name)?.[1];
    if (signals !== undefined) {
      const camel = signals.toLowerCase().replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
      parts.set(`signals ${camel}`, renderSignals(value));
    }
  }
  parts.set('routes', renderRoutes({ ...events, ...engine }));
  parts.set('msr routes', renderMsrRoutes({ ...events, ...engine }));
  parts.set('vmm policies', renderPolicies(engine.VMM_POLICIES));
  parts.set('invariants', renderInvariants(check.INVARIANTS));
  return parts;
}

const MARKED = /<!-- generated: ([^>]*) -->\n[\s\S]*?<!-- end of generated -->/g;

/**
 * The page with its generated parts renewed.
 *
 * @throws Error for a marker of nothing, and for a part that the page has no marker for.
 */
export function renew(page, parts) {
  const used = new Set();
  const text = page.replace(MARKED, (_whole, name) => {
    const part = parts.get(name);
    if (part === undefined) throw new Error(`docs/machines.md: nothing makes "${name}"`);
    used.add(name);
    return `<!-- generated: ${name} -->\n\n${part}\n\n<!-- end of generated -->`;
  });
  const missing = [...parts.keys()].filter((name) => !used.has(name));
  if (missing.length > 0) throw new Error(`docs/machines.md: no place for ${missing.join(', ')}`);
  return text;
}
