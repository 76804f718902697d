// Grafana dashboards as JSON: the classic model from its beginnings (rows) to now, the resource form around it, the new
// schema (elements, variables), a library panel by itself, and the wrapper of the HTTP API.
import { expandTemplate, type Values } from './template.ts';
import { isObject, listOf, maxExpressions, maxLength, textOf, type Found, type Json, type Part } from './found.ts';

/** Panels in rows in panels: nobody nests deeper. */
const maxDepth = 30;

/** The dashboard inside whatever is around it; undefined for anything else. */
export function dashboardIn(document: unknown, depth = 0): Json | undefined {
  if (!isObject(document) || depth > 3) return undefined;
  if (isDashboard(document)) return document;
  for (const key of ['dashboard', 'spec', 'result', 'model']) {
    const inner = dashboardIn(document[key], depth + 1);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function isDashboard(document: Json): boolean {
  return (
    Array.isArray(document['panels']) ||
    Array.isArray(document['rows']) ||
    (isObject(document['elements']) && 'layout' in document) ||
    (Array.isArray(document['targets']) && 'type' in document) ||
    (isObject(document['templating']) && 'title' in document)
  );
}

/** One among other things: a table of whatever kind has rows too. */
export function isDashboardWithin(value: Json): boolean {
  const { title, model } = value;
  if (isObject(model) && Array.isArray(model['targets'])) return true; // of a library panel
  return typeof title === 'string' && isDashboard(value);
}

export function queriesOf(dashboard: Json): Part {
  const reader = new Reader(valuesOf(dashboard), sourcesOf(dashboard));
  for (const panel of listOf(dashboard['panels'])) reader.panel(panel, [], 0);
  for (const row of listOf(dashboard['rows'])) {
    const title = isObject(row) ? (textOf(row['title']) ?? '') : '';
    for (const panel of isObject(row) ? listOf(row['panels']) : []) reader.panel(panel, [title], 0);
  }
  // exported "for sharing externally": library panels travel with the dashboard
  const carried = isObject(dashboard['__elements']) ? dashboard['__elements'] : {};
  for (const element of Object.values(carried)) {
    if (isObject(element)) reader.panel(element['model'], [`library panel ${textOf(element['name']) ?? ''}`], 0);
  }
  if (Array.isArray(dashboard['targets'])) reader.panel(dashboard, [], 0);
  for (const [key, element] of Object.entries(isObject(dashboard['elements']) ? dashboard['elements'] : {})) {
    reader.element(key, element);
  }
  const templating = isObject(dashboard['templating']) ? listOf(dashboard['templating']['list']) : [];
  for (const variable of [...templating, ...listOf(dashboard['variables'])]) reader.variable(variable);
  const annotations = isObject(dashboard['annotations'])
    ? listOf(dashboard['annotations']['list'])
    : listOf(dashboard['annotations']);
  for (const annotation of annotations) reader.annotation(annotation);
  return reader.part(carried);
}

/** Values that the dashboard itself gives its variables. */
function valuesOf(dashboard: Json): Values {
  const values = new Map<string, string>();
  const templating = isObject(dashboard['templating']) ? listOf(dashboard['templating']['list']) : [];
  for (const item of [...templating, ...listOf(dashboard['variables'])]) {
    if (!isObject(item)) continue;
    const variable = isObject(item['spec']) ? item['spec'] : item;
    const type = (textOf(item['type']) ?? textOf(item['kind']) ?? '').toLowerCase().replace('variable', '');
    const name = textOf(variable['name']);
    if (name === undefined || !['constant', 'custom', 'interval', 'textbox', 'text'].includes(type)) continue;
    const value = chosen(variable);
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

/** Types of the data sources that the dashboard names by a variable or an input of its own. */
function sourcesOf(dashboard: Json): ReadonlyMap<string, string> {
  const types = new Map<string, string>();
  for (const input of listOf(dashboard['__inputs']).filter(isObject)) {
    const [name, type] = [textOf(input['name']), textOf(input['pluginId'])];
    if (name !== undefined && type !== undefined) types.set(name, type);
  }
  const templating = isObject(dashboard['templating']) ? listOf(dashboard['templating']['list']) : [];
  for (const variable of templating.filter(isObject)) {
    const [name, type] = [textOf(variable['name']), textOf(variable['query'])];
    if (variable['type'] === 'datasource' && name !== undefined && type !== undefined) types.set(name, type);
  }
  return types;
}

function chosen(variable: Json): string | undefined {
  const current = isObject(variable['current']) ? variable['current']['value'] : undefined;
  const options = listOf(variable['options']).map((option) => (isObject(option) ? option['value'] : option));
  const query = textOf(variable['query'])?.split(',')[0]?.trim();
  return [...(Array.isArray(current) ? (current as unknown[]) : [current]), ...options, query].find(
    (value): value is string => typeof value === 'string' && value !== '' && !value.startsWith('$'),
  );
}

const ofEveryTarget = new Set(['refId', 'datasource', 'hide', 'panelId', 'queryType', 'withTransforms']);

class Reader {
  readonly #values: Values;
  readonly #sources: ReadonlyMap<string, string>;
  readonly #expressions: Found[] = [];
  readonly #problems: string[] = [];
  readonly #libraries = new Map<string, string>();
  /** How many queries of which other data sources. */
  readonly #others = new Map<string, number>();
  #hasData = false;
  #isFull = false;

  constructor(values: Values, sources: ReadonlyMap<string, string>) {
    this.#values = values;
    this.#sources = sources;
  }

  part(carried: Json): Part {
    const missing = [...this.#libraries].filter(([uid]) => !(uid in carried)).map(([, name]) => name);
    const others = [...this.#others].map(([type, count]) => `${String(count)} of ${type}`);
    const notes = [
      ...(missing.length === 0
        ? []
        : [
            `queries of library panels are not in this file: ${missing.join(', ')}. Export them and name their files too`,
          ]),
      ...(others.length === 0 ? [] : [`queries of other data sources are not judged: ${others.join(', ')}`]),
      ...(this.#hasData ? ['a snapshot: its panels hold data in place of queries'] : []),
    ];
    return { expressions: this.#expressions, problems: this.#problems, notes };
  }

  panel(panel: unknown, path: readonly string[], depth: number): void {
    if (!isObject(panel)) return;
    const title = textOf(panel['title']) ?? textOf(panel['name']) ?? '';
    const place = [...path, title];
    if (depth > maxDepth) {
      this.#problems.push(`${placeOf(place)}: nested too deep; not read`);
      return;
    }
    for (const inner of listOf(panel['panels'])) this.panel(inner, place, depth + 1);
    const library = panel['libraryPanel'];
    if (isObject(library) && !Array.isArray(panel['targets'])) {
      if (isObject(library['model'])) this.panel(library['model'], path, depth + 1);
      else this.#library(library);
    }
    if (Array.isArray(panel['snapshotData'])) this.#hasData = true;
    for (const target of listOf(panel['targets'])) this.#target(target, panel['datasource'], place);
  }

  /** Of the new schema. */
  element(key: string, element: unknown): void {
    if (!isObject(element) || !isObject(element['spec'])) return;
    const { spec } = element;
    const title = textOf(spec['title']) ?? key;
    if (isObject(spec['libraryPanel'])) this.#library(spec['libraryPanel']);
    const data = isObject(spec['data']) && isObject(spec['data']['spec']) ? spec['data']['spec'] : {};
    for (const query of listOf(data['queries'])) {
      const inner = isObject(query) && isObject(query['spec']) ? query['spec'] : {};
      const { target, datasource } = queryOf(inner['query']);
      if (isObject(target)) this.#target({ ...target, refId: inner['refId'] }, datasource, [title]);
    }
  }

  variable(item: unknown): void {
    if (!isObject(item)) return;
    const variable = isObject(item['spec']) ? item['spec'] : item;
    const type = textOf(item['type']) ?? textOf(item['kind']) ?? '';
    if (type !== 'query' && type !== 'QueryVariable') return;
    const { target, datasource } = queryOf(variable['query']);
    if (!this.#isPrometheus(datasource ?? variable['datasource'])) return;
    const text = isObject(target) ? (textOf(target['query']) ?? textOf(target['expr'])) : textOf(target);
    const query = text ?? textOf(variable['definition']);
    const expr = query === undefined ? undefined : seriesOf(query);
    if (expr !== undefined) this.#put('variable', [`variable ${textOf(variable['name']) ?? ''}`], expr);
  }

  annotation(item: unknown): void {
    if (!isObject(item)) return;
    const annotation = isObject(item['spec']) ? item['spec'] : item;
    const { target, datasource } = queryOf(annotation['query']);
    const place = [`annotation ${textOf(annotation['name']) ?? ''}`];
    for (const holder of [annotation, annotation['target'], target]) {
      if (!isObject(holder) || !this.#isPrometheus(datasource ?? annotation['datasource'])) continue;
      const expr = textOf(holder['expr']);
      if (expr !== undefined) {
        this.#put('annotation', place, expr);
        return;
      }
    }
  }

  #target(target: unknown, around: unknown, place: readonly string[]): void {
    if (!isObject(target)) return;
    const datasource = target['datasource'] ?? around;
    if (!('expr' in target) || !this.#isPrometheus(datasource)) {
      this.#other(target, datasource);
      return;
    }
    const at = [...place, textOf(target['refId']) ?? ''];
    const expr = textOf(target['expr']);
    if (expr === undefined) {
      if (target['expr'] !== null) this.#problems.push(`${placeOf(at)}: expr is no text`);
    } else this.#put('panel', at, expr);
  }

  /** Grafana's own calculations, and queries of other panels, ask no data source. */
  #other(target: Json, datasource: unknown): void {
    const type = this.#typeOf(datasource) ?? 'a data source without a type';
    const isOwn = type === '__expr__' || type === 'datasource' || type === '-- Dashboard --' || 'expression' in target;
    if (!isOwn && Object.keys(target).some((key) => !ofEveryTarget.has(key)))
      this.#others.set(type, (this.#others.get(type) ?? 0) + 1);
  }

  #typeOf(datasource: unknown): string | undefined {
    return this.#byVariable(datasource) ?? textOf(isObject(datasource) ? datasource['type'] : datasource);
  }

  #byVariable(datasource: unknown): string | undefined {
    const written = isObject(datasource) ? (datasource['type'] ?? datasource['uid']) : datasource;
    const name = /^(?:\$(\w+)|\$\{(\w+)\})$/.exec(textOf(written) ?? '');
    return this.#sources.get(name?.[1] ?? name?.[2] ?? '');
  }

  #put(use: Found['use'], place: readonly string[], expr: string): void {
    if (expr.trim() === '' || this.#isFull) return;
    const at = placeOf(place);
    if (this.#expressions.length >= maxExpressions) {
      this.#isFull = true;
      this.#problems.push(`${at}: more than ${maxExpressions} queries; the rest is not read`);
    } else if (expr.length > maxLength) this.#problems.push(`${at}: longer than ${maxLength} characters`);
    else {
      const promql = expandTemplate(expr, this.#values);
      this.#expressions.push({ use, place: at, line: undefined, expr, promql });
    }
  }

  #isPrometheus(datasource: unknown): boolean {
    const type = this.#byVariable(datasource);
    return type === undefined ? isPrometheus(datasource) : isPrometheus({ type });
  }

  #library(library: Json): void {
    const uid = textOf(library['uid']) ?? '';
    this.#libraries.set(uid, textOf(library['name']) ?? uid);
  }
}

/** The new schema wraps a query: `{kind, group, datasource, spec}`. */
function queryOf(query: unknown): { readonly target: unknown; readonly datasource: unknown } {
  if (!isObject(query) || !isObject(query['spec'])) return { target: query, datasource: undefined };
  const kind = textOf(query['kind']);
  const type = kind === 'DataQuery' ? textOf(query['group']) : kind;
  return { target: query['spec'], datasource: type === undefined ? query['datasource'] : { type } };
}

/** A data source without a type is one that only Grafana knows: it may be one. */
export function isPrometheus(datasource: unknown): boolean {
  if (!isObject(datasource)) return true;
  const type = textOf(datasource['type'])?.toLowerCase();
  return type === undefined || type === '' || type.includes('prometheus') || type === 'datasource' || type === 'mixed';
}

/** Row, panel and query, whichever there are; long titles are cut. */
function placeOf(path: readonly string[]): string {
  const named = path.map((part) => part.trim().replace(/\s+/g, ' ').slice(0, 80)).filter((part) => part !== '');
  return named.length === 0 ? 'without a title' : named.join(' / ');
}

/** What a variable's query selects: label_values(SELECTOR, label), query_result(EXPRESSION), or a selector. */
function seriesOf(query: string): string | undefined {
  const text = query.trim();
  const call = /^(label_values|query_result|metrics|label_names)\s*\(/.exec(text);
  if (call === null) return text;
  const inner = text.slice(call[0].length, text.lastIndexOf(')'));
  if (call[1] === 'query_result') return inner;
  if (call[1] !== 'label_values') return undefined; // names of metrics or labels: no series
  const comma = inner.lastIndexOf(',');
  if (comma < 0 || /["'}]/.test(inner.slice(comma))) return undefined; // label_values(LABEL): of all series
  const label = inner.slice(comma + 1).trim();
  return /^[a-zA-Z_]\w*$/.test(label) ? `count by (${label}) (${inner.slice(0, comma)})` : inner.slice(0, comma);
}
