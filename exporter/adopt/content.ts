// What a file holds: rules, dashboards, scrape configurations, by themselves, in resources of Kubernetes, or somewhere inside.
import { gunzipSync } from 'node:zlib';
import { dashboardIn, isDashboardWithin, queriesOf } from './dashboards.ts';
import { isObject, kindOf, listOf, textOf, type Json, type Part } from './found.ts';
import { maxBytes, parse, type Opened } from './read.ts';
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

/** What the Prometheus Operator makes a scrape configuration of. */
export const kindsOfOperator = [
  'ServiceMonitor',
  'PodMonitor',
  'Probe',
  'ScrapeConfig',
  'Prometheus',
  'PrometheusAgent',
];

/** What is in the documents of one file; undefined when it is nothing that is judged. */
export function contentOf({ text, documents }: Opened, depth = 0): Content | undefined {
  const unfolded = documents.flatMap((document) =>
    isObject(document) && Array.isArray(document['items']) && textOf(document['kind'])?.endsWith('List') === true
      ? listOf(document['items'])
      : [document],
  );
  const found = [groupsIn(unfolded, text), configsIn(unfolded), dashboardsIn(unfolded)];
  if (depth > 0) return merged(found);
  found.push(textsIn(unfolded));
  const inner = unfolded.filter((document) => !isJudged(document)).map(partsWithin);
  const documentsWithin = inner.flatMap(({ found: of }) => of);
  found.push(contentOf({ text, documents: documentsWithin }, 1));
  const problems = inner.flatMap((one) => one.problems);
  if (problems.length > 0) found.push({ kind: 'unreadable', parts: [{ ...nothing, problems }], jobs: [] });
  const all = merged(found);
  const notes = [...(inner.some(({ isCut }) => isCut) ? [cutNote] : []), ...unfolded.flatMap(operatorNote)];
  return all === undefined || notes.length === 0 ? all : { ...all, parts: [...all.parts, { ...nothing, notes }] };
}

const nothing: Part = { expressions: [], problems: [], notes: [] };

/** Whether a document is one of those that are judged as a whole. */
function isJudged(document: unknown): boolean {
  if (!isObject(document)) return scrapeConfigsIn(document) !== undefined;
  return (
    groupsOf(document) !== undefined ||
    scrapeConfigsIn(document) !== undefined ||
    dashboardIn(document) !== undefined ||
    kindsOfTexts.includes(textOf(document['kind']) ?? '')
  );
}

function operatorNote(document: unknown): string[] {
  if (!isObject(document)) return [];
  const kind = textOf(document['kind']) ?? '';
  if (!kindsOfOperator.includes(kind)) return [];
  const name = isObject(document['metadata']) ? (textOf(document['metadata']['name']) ?? '') : '';
  return [
    `the ${kind} ${name} is not read: name the configuration that it makes too (Prometheus: /api/v1/status/config)`,
  ];
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

function groupsOf(document: unknown): Json | undefined {
  const inner = isObject(document) && !isRuleGroups(document) ? document['spec'] : document;
  return isRuleGroups(inner) ? inner : undefined;
}

function groupsIn(documents: readonly unknown[], text: string): Content | undefined {
  const groups = documents.map(groupsOf).filter((found) => found !== undefined);
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
  const jobs = found.flatMap((f) => f.jobs);
  const open = jobs.flatMap(({ placeholders }) => placeholders);
  const notes = [
    ...(files.length === 0 ? [] : [`further files are not followed; name them too: ${files.join(' ')}`]),
    ...(open.length === 0
      ? []
      : [`targets that somebody else is to fill in: ${open.join(', ')}. Name the file that is made of it`]),
  ];
  const wrong = documents.flatMap((document) => {
    const list: unknown = isObject(document) ? (document['scrape_configs'] ?? []) : [];
    return Array.isArray(list) ? [] : [`scrape_configs: ${kindOf(list)}, not a list`];
  });
  if (wrong.length === 0 && configs.every((list) => list.length === 0)) notes.push('it has no scrape_configs');
  const part: Part = { expressions: [], problems: [...wrong, ...found.flatMap((f) => f.problems)], notes };
  return { kind: 'scrape configuration', parts: [part], jobs };
}

function dashboardsIn(documents: readonly unknown[]): Content | undefined {
  const dashboards = documents.map((document) => dashboardIn(document)).filter((found) => found !== undefined);
  return dashboards.length === 0 ? undefined : { kind: 'dashboard', parts: dashboards.map(queriesOf), jobs: [] };
}

const kindsOfTexts: readonly string[] = ['ConfigMap', 'Secret', 'GrafanaDashboard'];

interface Held {
  readonly name: string;
  readonly text: unknown;
  readonly isSecret: boolean;
}

const isFile = (name: string): boolean => /\.(json|ya?ml|rules)$/.test(name);

/** A ConfigMap of Kubernetes holds files as texts, a Secret too, a GrafanaDashboard of the Grafana Operator one. */
function heldBy({ kind, data, stringData, spec }: Json): readonly Held[] {
  const entries = (of: unknown): [string, unknown][] => (isObject(of) ? Object.entries(of) : []);
  if (kind === 'GrafanaDashboard' && isObject(spec)) {
    const text = spec['json'] ?? unpacked(spec['gzipJson']);
    return [{ name: 'spec.json', text, isSecret: false }];
  }
  if (kind === 'ConfigMap') return entries(data).map(([name, text]) => ({ name, text, isSecret: false }));
  if (kind !== 'Secret') return [];
  // the Prometheus Operator takes additional scrape configurations from one; nothing else in it is looked at
  const coded = entries(data).map(([name, code]): [string, unknown] => [name, decoded(code)]);
  return [...coded, ...entries(stringData)]
    .filter(([name, text]) => isFile(name) && typeof text === 'string' && looksJudged.test(text))
    .map(([name, text]) => ({ name, text, isSecret: true }));
}

function textsIn(documents: readonly unknown[]): Content | undefined {
  const texts = documents.filter(isObject).flatMap(heldBy);
  const found = texts.map(({ name, text, isSecret }): Content | undefined => {
    if (typeof text !== 'string') return undefined;
    const opened = parse(text);
    if (typeof opened !== 'string') return contentOf(opened, 1);
    if (isSecret) return broken(`${name} of a Secret: neither JSON nor YAML`); // the reason repeats what is in it
    // it may hold whatever a program wants: only what is called so must be YAML or JSON
    return isFile(name) ? broken(`${name}: ${opened}`) : undefined;
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

/** @returns undefined for what is none, or unfolds to more than is read */
function unpacked(code: unknown): string | undefined {
  if (typeof code !== 'string') return undefined;
  try {
    return gunzipSync(Buffer.from(code, 'base64'), { maxOutputLength: maxBytes }).toString('utf8');
  } catch {
    return undefined;
  }
}

function decoded(code: unknown): string | undefined {
  return typeof code === 'string' ? Buffer.from(code, 'base64').toString('utf8') : undefined;
}

/** Files of people nest no deeper, and hold no more than this; aliases of YAML are walked once. */
const maxDepth = 8;
const maxNodes = 20_000;

const cutNote = `looked through to ${maxNodes} lists and mappings, ${maxDepth} levels deep: name what is beyond that by itself`;

/** A text with something that is judged: `extraScrapeConfigs: |` of a chart, `content: |` of a compose file, a dashboard. */
const looksJudged =
  /^[ \t]*(-[ \t]+)?["']?(job_name|scrape_configs|alert|record|groups)["']?[ \t]*:|"(panels|rows|elements)"\s*:/m;

interface Within {
  readonly found: readonly Json[];
  readonly problems: readonly string[];
  readonly isCut: boolean;
}

/** Values of a chart, variables of a playbook, an agent's file: rules and scrape configurations under whatever keys. */
function partsWithin(document: unknown): Within {
  const found: Json[] = [];
  const problems: string[] = [];
  const seen = new Set<unknown>();
  const texts = new Set<string>();
  let isCut = false;
  const walkText = (text: string, key: string, depth: number): void => {
    if (texts.has(text) || !looksJudged.test(text)) return;
    texts.add(text); // an alias of YAML repeats it
    const opened = parse(text);
    if (typeof opened === 'string') problems.push(`${key}: ${opened}`);
    else for (const inner of opened.documents) walk(inner, key, depth + 1);
  };
  const walk = (value: unknown, key: string, depth: number): void => {
    if (typeof value === 'string') walkText(value, key, depth);
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
      else for (const item of value) walk(item, key, depth + 1);
    } else if (isRuleGroups(value) && listOf(value['groups']).some((group) => isObject(group) && 'rules' in group)) {
      found.push(value);
    } else if (isObject(value) && isDashboardWithin(value)) found.push(value);
    else for (const [name, inner] of Object.entries(value)) walk(inner, name, depth + 1);
  };
  walk(document, '', 0);
  return { found, problems, isCut };
}
