// Prometheus rule files, the same inside a PrometheusRule of the Prometheus Operator, and Grafana's provisioned alert rules.
import { isPrometheus } from './dashboards.ts';
import { expandTemplate } from './template.ts';
import {
  isObject,
  kindOf,
  listOf,
  maxExpressions,
  maxLength,
  textOf,
  type Found,
  type Json,
  type Part,
} from './found.ts';

export function isRuleGroups(document: unknown): document is Json {
  return isObject(document) && Array.isArray(document['groups']);
}

/** @param lines where each `expr` stands, in order, if that can be told */
export function rulesOf(document: Json, lines: readonly number[] | undefined): Part {
  const expressions: Found[] = [];
  const problems: string[] = [];
  const notes: string[] = [];
  let seen = 0;
  for (const [g, group] of listOf(document['groups']).entries()) {
    const name = isObject(group) ? (textOf(group['name']) ?? textOf(group['title']) ?? `groups[${g}]`) : `groups[${g}]`;
    if (isEmptyGroup(group)) continue;
    const type = isObject(group) ? textOf(group['type']) : undefined;
    if (type !== undefined && type !== 'prometheus') {
      notes.push(`the group ${name} is of the type ${type}: no PromQL, not judged`);
      seen += listOf(isObject(group) ? group['rules'] : []).length;
      continue;
    }
    if (!isObject(group) || !Array.isArray(group['rules'])) {
      problems.push(`groups[${g}]: rules is ${kindOf(isObject(group) ? group['rules'] : group)}, not a list`);
      continue;
    }
    for (const [r, rule] of group['rules'].entries()) {
      const path = `groups[${g}].rules[${r}]`;
      if (seen >= maxExpressions) {
        problems.push(`${path}: more than ${maxExpressions} rules; the rest is not read`);
        return { expressions, problems, notes };
      }
      seen += 1;
      if (!isObject(rule)) {
        problems.push(`${path}: ${kindOf(rule)}, not a rule`);
        continue;
      }
      if (Array.isArray(rule['data'])) {
        expressions.push(...managed(rule, name));
        continue;
      }
      const line = lines?.[seen - 1];
      const found = ruleOf(rule, name, path, line);
      if (typeof found === 'string') problems.push(found);
      else expressions.push(found);
    }
  }
  return { expressions, problems, notes };
}

const ofGroups = ['name', 'rules', 'interval', 'query_offset', 'limit', 'labels', 'partial_response_strategy'];

/** Prometheus takes a group without rules. One that has something else in their place is of another form. */
function isEmptyGroup(group: unknown): boolean {
  if (!isObject(group) || (group['rules'] ?? undefined) !== undefined) return false;
  return 'name' in group && Object.keys(group).every((key) => ofGroups.includes(key));
}

function ruleOf(rule: Json, group: string, path: string, line: number | undefined): Found | string {
  const record = textOf(rule['record']);
  const name = record ?? textOf(rule['alert']);
  const { expr } = rule;
  const place = group === '' ? (name ?? path) : `${group} / ${name ?? path}`;
  // YAML makes a number of `expr: 1`; Prometheus reads the text
  const text = typeof expr === 'number' ? String(expr) : expr;
  if (typeof text !== 'string') return `${path}.expr (${place}): ${kindOf(expr)}, not an expression`;
  if (text.length > maxLength) return `${path}.expr (${place}): longer than ${maxLength} characters`;
  if (name === undefined) return `${path}: neither alert nor record`;
  const mark = /\{\{.{0,40}|\{%.{0,40}/.exec(text)?.[0];
  if (mark !== undefined)
    return `${path}.expr (${place}): holds a template, ${mark}; render the file first and name the result`;
  return {
    use: record === undefined ? 'alert' : 'record',
    place,
    line,
    expr: text,
    promql: text,
    ...(record === undefined ? {} : { record }),
  };
}

/** Grafana's own rules: several queries, and expressions over them that are no PromQL. */
function managed(rule: Json, group: string): Found[] {
  return listOf(rule['data']).flatMap((query) => {
    const model = isObject(query) ? query['model'] : undefined;
    const expr = isObject(model) && isPrometheus(model['datasource']) ? textOf(model['expr']) : undefined;
    if (expr === undefined || expr === '' || expr.length > maxLength) return [];
    const refId = isObject(query) ? (textOf(query['refId']) ?? '') : '';
    return [
      {
        use: 'alert' as const,
        place: [group, textOf(rule['title']) ?? textOf(rule['name']) ?? '', refId]
          .filter((part) => part !== '')
          .join(' / '),
        line: undefined,
        expr,
        promql: expandTemplate(expr, new Map()),
      },
    ];
  });
}

/**
 * Lines on which a key `expr` stands. They fit the rules only when there are as many; the word may stand in a text, and
 * an alias repeats what stands elsewhere.
 */
export function linesOfExpr(text: string): readonly number[] {
  const lines: number[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (/^\s*#/.test(line)) continue;
    for (const _ of line.matchAll(/(?:^|[\s{,-])["']?expr["']?\s*:(?=\s|$)/g)) lines.push(i + 1);
  }
  return lines;
}
