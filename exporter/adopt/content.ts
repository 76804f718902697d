// What a file holds: rules, dashboards, scrape configurations, by themselves, in resources of Kubernetes, or somewhere inside.
import { dashboardIn, queriesOf } from './dashboards.ts';
import { isObject, listOf, textOf, type Json, type Part } from './found.ts';
import { parse, type Opened } from './read.ts';
import type { FileReport } from './report.ts';
import { isRuleGroups, linesOfExpr, rulesOf } from './rule-files.ts';
import { jobsOf, scrapeConfigsIn, type Job } from './scrape-configs.ts';

export interface Content {
  readonly kind: FileReport['kind'];
  readonly parts: readonly Part[];
  readonly jobs: readonly Job[];
}

export function broken(problem: string): Content {
  return { kind: 'unreadable', parts: [{ expressions: [], problems: [problem], notes: [] }], jobs: [] };
}

/** What is in the documents of one file; undefined when it is nothing that is judged. */
export function contentOf({ text, documents }: Opened, depth = 0): Content | undefined {
  const unfolded = documents.flatMap((document) =>
    isObject(document) && Array.isArray(document['items']) && textOf(document['kind'])?.endsWith('List') === true
      ? listOf(document['items'])
      : [document],
  );
  const found = [groupsIn(unfolded, text), configsIn(unfolded), dashboardsIn(unfolded)];
  if (depth === 0) found.push(textsIn(unfolded));
  const all = merged(found);
  if (all !== undefined || depth > 0) return all;
  const inner = unfolded.map(partsWithin);
  const content = contentOf({ text, documents: inner.flatMap(({ found: of }) => of) }, 1);
  if (content === undefined || !inner.some(({ isCut }) => isCut)) return content;
  const note = `looked through to ${maxNodes} lists and mappings, ${maxDepth} levels deep: name what is beyond that by itself`;
  return { ...content, parts: [...content.parts, { expressions: [], problems: [], notes: [note] }] };
}

function merged(found: readonly (Content | undefined)[]): Content | undefined {
  const contents = found.filter((content) => content !== undefined);
  const [first] = contents;
  if (first === undefined) return undefined;
  return {
    kind: first.kind,
    parts: contents.flatMap(({ parts }) => parts),
    jobs: contents.flatMap(({ jobs }) => jobs),
  };
}

function groupsIn(documents: readonly unknown[], text: string): Content | undefined {
  const groups = documents.flatMap((document) => {
    const inner = isObject(document) && !isRuleGroups(document) ? document['spec'] : document;
    return isRuleGroups(inner) ? [inner] : [];
  });
  if (groups.length === 0) return undefined;
  const lines = linesOfExpr(text);
  const counts = groups.map((group) =>
    listOf(group['groups']).reduce<number>((sum, g) => sum + (isObject(g) ? listOf(g['rules']).length : 0), 0),
  );
  const fits = counts.reduce((sum, count) => sum + count, 0) === lines.length;
  let from = 0;
  const parts = groups.map((group, i) => {
    const own = fits ? lines.slice(from, from + (counts[i] ?? 0)) : undefined;
    from += counts[i] ?? 0;
    return rulesOf(group, own);
  });
  return { kind: 'rules', parts, jobs: [] };
}

function configsIn(documents: readonly unknown[]): Content | undefined {
  const configs = documents.flatMap((document) => {
    const found = scrapeConfigsIn(document);
    return found === undefined ? [] : [found];
  });
  if (configs.length === 0) return undefined;
  const found = configs.map(jobsOf);
  const files = documents
    .flatMap((document) =>
      isObject(document) ? [...listOf(document['rule_files']), ...listOf(document['scrape_config_files'])] : [],
    )
    .map(String);
  const notes = files.length === 0 ? [] : [`further files are not followed; name them too: ${files.join(' ')}`];
  const part: Part = { expressions: [], problems: found.flatMap((f) => f.problems), notes };
  return { kind: 'scrape configuration', parts: [part], jobs: found.flatMap((f) => f.jobs) };
}

function dashboardsIn(documents: readonly unknown[]): Content | undefined {
  const dashboards = documents.map((document) => dashboardIn(document)).filter((found) => found !== undefined);
  return dashboards.length === 0 ? undefined : { kind: 'dashboard', parts: dashboards.map(queriesOf), jobs: [] };
}

/** A ConfigMap of Kubernetes holds files as texts, a GrafanaDashboard of the Grafana Operator one. */
function textsIn(documents: readonly unknown[]): Content | undefined {
  const texts = documents.filter(isObject).flatMap((document): [string, unknown][] => {
    const { kind, data, spec } = document;
    if (kind === 'ConfigMap' && isObject(data)) return Object.entries(data);
    return kind === 'GrafanaDashboard' && isObject(spec) ? [['spec.json', spec['json']]] : [];
  });
  const found = texts.map(([name, text]): Content | undefined => {
    if (typeof text !== 'string') return undefined;
    const opened = parse(text);
    if (typeof opened !== 'string') return contentOf(opened, 1);
    // it may hold whatever a program wants: only what is called so must be YAML or JSON
    return /\.(json|ya?ml|rules)$/.test(name) ? broken(`${name}: ${opened}`) : undefined;
  });
  const all = merged(found);
  if (all === undefined) return undefined;
  // lines are those of the inner text
  const parts = all.parts.map((part) => ({
    ...part,
    expressions: part.expressions.map((e) => ({ ...e, line: undefined })),
  }));
  return { ...all, parts };
}

/** Files of people nest no deeper, and hold no more than this; aliases of YAML are walked once. */
const maxDepth = 8;
const maxNodes = 20_000;

/** Values of a chart, variables of a playbook, an agent's file: rules and scrape configurations under whatever keys. */
function partsWithin(document: unknown): { readonly found: readonly Json[]; readonly isCut: boolean } {
  const found: Json[] = [];
  const seen = new Set<unknown>();
  let isCut = false;
  const walk = (value: unknown, depth: number): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    if (depth > maxDepth || seen.size >= maxNodes) {
      isCut = true;
      return;
    }
    seen.add(value);
    if (Array.isArray(value)) {
      const items = value.filter(isObject);
      if (items.length > 0 && items.every((item) => 'job_name' in item)) found.push({ scrape_configs: value });
      else if (items.length > 0 && items.every((item) => 'expr' in item && ('alert' in item || 'record' in item)))
        found.push({ groups: [{ name: '', rules: value }] });
      else for (const item of value) walk(item, depth + 1);
    } else if (isRuleGroups(value) && listOf(value['groups']).some((group) => isObject(group) && 'rules' in group)) {
      found.push(value);
    } else for (const inner of Object.values(value)) walk(inner, depth + 1);
  };
  walk(document, 0);
  return { found, isCut };
}
