// What must hold for the shipped rules beyond what promtool checks. Each check returns one line per problem.
import { durationMs } from '../exporter/fields.ts';
import { parsePromql, selectorsOf, type Expression } from '../exporter/promql.ts';
import type { Alert, Bundle } from './bundle.ts';
import { inventoryLabels, labelsIn, transportLabels, type Metric } from './metrics.ts';
import { analyse, windowsMs, type Analysis } from './promql.ts';

export type Metrics = ReadonlyMap<string, Metric>;

/** A change of these must not make a new alert out of an old one. */
const changing = ['state', 'stage', 'version', 'method', 'server_id', 'master_host', 'master_uuid', 'class'];

/** Needs that follow from what an alert is: a heartbeat and what says "there is nothing" fire without data. */
function firesWithoutData(alert: Pick<Alert, 'expr'>): boolean {
  return /^(absent|vector)\(/.test(alert.expr);
}

/** Labels of recording rules follow from their expressions; a metric that nobody declares has none. */
function labelResolver(bundle: Pick<Bundle, 'records'>, metrics: Metrics): (metric: string) => ReadonlySet<string> {
  const known = new Map<string, ReadonlySet<string>>();
  const resolve = (name: string): ReadonlySet<string> => {
    const before = known.get(name);
    if (before !== undefined) return before;
    known.set(name, new Set()); // a record that reads itself yields nothing
    const rules = bundle.records.filter((rule) => rule.record === name);
    const metric = metrics.get(name);
    const labels =
      rules.length > 0
        ? new Set(rules.flatMap((rule) => [...analyse(parsePromql(rule.expr), resolve).labels]))
        : metric === undefined
          ? new Set<string>()
          : labelsIn(metric);
    known.set(name, labels);
    return labels;
  };
  return resolve;
}

/** Unknown metrics, labels that no series has, short windows, counters read as gauges: for any expression. */
export function expressionProblems(
  where: string,
  text: string,
  bundle: Pick<Bundle, 'records' | 'scrapeInterval'>,
  metrics: Metrics,
): string[] {
  let expression: Expression;
  try {
    expression = parsePromql(text);
  } catch (error) {
    return [`${where}: ${error instanceof Error ? error.message : String(error)}`];
  }
  const labelsOf = labelResolver(bundle, metrics);
  const problems: string[] = [];
  for (const selector of selectorsOf(expression)) {
    const metric = metrics.get(selector.metric);
    if (metric === undefined && !bundle.records.some((rule) => rule.record === selector.metric)) {
      problems.push(`${where}: nobody serves ${selector.metric}`);
      continue;
    }
    const labels = labelsOf(selector.metric);
    for (const matcher of selector.matchers) {
      if (!labels.has(matcher.label) && !(matcher.label === 'target' && matcher.value === '')) {
        problems.push(`${where}: ${selector.metric} has no label ${matcher.label}`);
      }
    }
    if (metric?.type === 'counter' && !selector.inside.some((name) => counterFunctions.has(name))) {
      problems.push(`${where}: the counter ${selector.metric} is read without rate or increase`);
    }
  }
  const fourScrapesMs = 4 * durationMs.parse(bundle.scrapeInterval);
  for (const windowMs of windowsMs(expression)) {
    if (windowMs < fourScrapesMs) problems.push(`${where}: a window of ${windowMs} ms is less than four scrapes`);
  }
  for (const { kind, labels, operands } of analyse(expression, labelsOf).groupings) {
    for (const label of labels) {
      if ((transportLabels as readonly string[]).includes(label) && kind === 'without') continue;
      if (operands.some((operand) => !operand.has(label))) problems.push(`${where}: ${kind} (${label}): no such label`);
    }
  }
  return problems;
}

const counterFunctions = new Set(['rate', 'irate', 'increase', 'resets', 'changes', 'absent', 'count', 'group']);

function outputOf(alert: Alert, bundle: Bundle, metrics: Metrics): Analysis {
  return analyse(parsePromql(alert.expr), labelResolver(bundle, metrics));
}

/** The query inside a template: printf with %q where a label value goes. */
export function annotationQueries(text: string): string[] {
  const printed = [...text.matchAll(/printf `([^`]+)`[^|}]*\| query/g)].map(([, query = '']) =>
    query.replaceAll('%q', '"x"'),
  );
  const plain = [...text.matchAll(/(?:with|range) (?:query )?`([^`]+)`/g)].map(([, query = '']) => query);
  return [...printed, ...plain];
}

export function alertProblems(alert: Alert, bundle: Bundle, metrics: Metrics): string[] {
  const where = alert.alert;
  const problems = [
    ...expressionProblems(where, alert.expr, bundle, metrics),
    ...annotationQueries(alert.annotations.description).flatMap((query) =>
      expressionProblems(`${where} (description)`, query, bundle, metrics),
    ),
  ];
  if (problems.length > 0) return problems; // the labels are not known
  const { labels } = outputOf(alert, bundle, metrics);
  const must = (holds: boolean, problem: string): void => {
    if (!holds) problems.push(`${where}: ${problem}`);
  };

  const { summary, description, runbook_url: runbook, dashboard_url: dashboard } = alert.annotations;
  must(/^[A-Z][A-Za-z]+$/.test(where), 'the name is not CamelCase');
  must(!summary.includes('{{') && summary.endsWith('.'), 'the summary is not one static sentence');
  must(/[.?]$/.test(description), 'the description is no sentence');
  must(runbook === `rules/runbooks/${where}.md`, 'runbook_url does not name its runbook');
  must(dashboard === 'dashboards/pipeline-overview.json', 'dashboard_url names no dashboard');
  for (const [, label = ''] of description.matchAll(/\$labels\.(\w+)/g)) {
    must(labels.has(label) || label in alert.labels, `the text uses ${label}, which the expression does not yield`);
  }

  for (const label of changing) must(!labels.has(label), `${label} would be part of its identity`);
  const ofScope = { target: ['target'], pipeline: ['pipeline'] }[alert.labels.scope as string] ?? [];
  for (const label of ofScope) must(labels.has(label), `scope ${alert.labels.scope} without the label ${label}`);
  if (alert.labels.scope === 'target' || alert.labels.scope === 'pipeline') {
    for (const label of transportLabels) must(!labels.has(label), `the transport label ${label} is not dropped`);
    must(
      durationMs.parse(alert.for ?? '0s') >= 60_000 || downAlerts.has(where),
      'fires before its upstream can: `for` below 1m',
    );
  }
  must(durationMs.parse(alert.keep_firing_for ?? '0s') <= 180_000, 'keep_firing_for is above 3m');
  if (downAlerts.has(where)) must(durationMs.parse(alert.for ?? '0s') <= 30_000, 'must fire before what it inhibits');
  return [...problems, ...matrixProblems(alert, labels, bundle)];
}

/** Servers that others depend on: their alert comes first. */
const downAlerts = new Set(['MysqlDown', 'KafkaDown', 'RedisDown']);

function matrixProblems(alert: Alert, labels: ReadonlySet<string>, bundle: Bundle): string[] {
  const entry = bundle.matrix[alert.alert];
  if (entry === undefined) return [`${alert.alert}: no entry in matrix.yml`];
  const wanted = new Set([...entry.key, 'cluster', inventoryLabels]);
  return [
    ...(entry.remediation === alert.labels.remediation
      ? []
      : [`${alert.alert}: remediation ${alert.labels.remediation}, but ${entry.remediation} in matrix.yml`]),
    ...(entry.remediation === 'auto' || entry.remediation === 'approve'
      ? entry.key.includes('target')
        ? []
        : [`${alert.alert}: the remediator needs target in the key`]
      : []),
    ...entry.key.filter((l) => !labels.has(l)).map((l) => `${alert.alert}: the key ${l} is not in the alert's labels`),
    ...[...labels].filter((l) => !wanted.has(l)).map((l) => `${alert.alert}: the label ${l} is not in its key`),
  ];
}

/** A number that may be absent needs an alert that says so. */
export function unknownProblems(bundle: Bundle, metrics: Metrics): string[] {
  const direct = (expr: string): ReturnType<typeof selectorsOf> => {
    const found = selectorsOf(parsePromql(expr));
    return found.flatMap((selector) => {
      const rules = bundle.records.filter((rule) => rule.record === selector.metric);
      return [selector, ...rules.flatMap((rule) => direct(rule.expr).map((s) => ({ ...s, via: selector })))];
    });
  };
  const looksAt = (state: string): boolean =>
    bundle.alerts.some((alert) => {
      const selectors = direct(alert.expr);
      if (!selectors.some((s) => s.metric === state)) return false;
      // a state family is asked for `unknown` (or `failed`, where it says what became of reading), here or through its
      // record; a success family just for 0
      const isStateSet = metrics.get(state)?.labels.includes('state') ?? false;
      return (
        !isStateSet ||
        selectors.some((s) => s.matchers.some((m) => m.label === 'state' && /\b(unknown|failed)\b/.test(m.value)))
      );
    });
  const missing = new Set<string>();
  for (const alert of bundle.alerts) {
    for (const { metric } of direct(alert.expr)) {
      const state = metrics.get(metric)?.state;
      if (state !== undefined && !looksAt(state)) missing.add(`${alert.alert}: no alert says that ${state} is unknown`);
    }
  }
  return [...missing];
}

export const runbookHeadings = ['Meaning', 'Impact', 'Diagnosis', 'Remediation', 'Repair by hand', 'Verify'] as const;

/** Tests, runbook and matrix belong to every alert, and none of them to no alert. */
export function companionProblems(bundle: Bundle): string[] {
  const names = new Set(bundle.alerts.map((alert) => alert.alert));
  const problems: string[] = [];
  for (const alert of bundle.alerts) {
    const cases = bundle.tests.flatMap((t) =>
      t.alert_rule_test.filter((c) => c.alertname === alert.alert).map((c) => ({ t, c })),
    );
    const absent = cases.filter(({ t }) => t.name.startsWith('absent:'));
    const present = cases.filter(({ t }) => !t.name.startsWith('absent:'));
    const fires = (list: typeof cases): boolean =>
      list.some(({ c }) => c.exp_alerts.some((e) => e.exp_labels['severity'] === alert.labels.severity));
    const isSilent = (list: typeof cases): boolean => list.some(({ c }) => c.exp_alerts.length === 0);
    if (!fires(cases)) problems.push(`${alert.alert} (${alert.labels.severity}): no test in which it fires`);
    if (alert.alert === 'PipemedicWatchdog') continue; // never silent
    if (!isSilent(present)) problems.push(`${alert.alert}: no test in which it is silent`);
    if (firesWithoutData(alert) ? !fires(absent) : !isSilent(absent) || fires(absent)) {
      problems.push(`${alert.alert}: no test with absent data`);
    }
  }
  for (const name of names) {
    const text = bundle.runbooks.get(name);
    if (text === undefined) {
      problems.push(`${name}: no runbook`);
      continue;
    }
    const headings = [...text.matchAll(/^## (.+)$/gm)].map(([, heading = '']) => heading);
    if (!text.startsWith(`# ${name}\n`)) problems.push(`${name}: the runbook does not begin with its name`);
    if (headings.join() !== runbookHeadings.join())
      problems.push(`${name}: headings of the runbook: ${headings.join(', ')}`);
  }
  for (const name of [...bundle.runbooks.keys(), ...Object.keys(bundle.matrix)]) {
    if (!names.has(name)) problems.push(`${name}: a runbook or a matrix entry of no alert`);
  }
  return problems;
}

/** Posted by the remediator, not by a rule. */
const posted = ['RemediationFailed', 'RemediationRefused', 'RemediationNeedsApproval', 'RemediationStorm'];

/** Labels missing on both sides count as equal, so a rule must demand one that it compares. */
export function inhibitProblems(bundle: Bundle, metrics: Metrics): string[] {
  const known = new Set([...bundle.alerts.map((alert) => alert.alert), ...posted]);
  const problems: string[] = [];
  for (const [i, rule] of bundle.inhibitRules.entries()) {
    const where = `inhibit_rules[${i}]`;
    const demanded = (matchers: readonly string[]): string[] =>
      matchers.flatMap((m) => [...m.matchAll(/^(\w+)=~"\.\+"$/g)].map(([, label = '']) => label));
    const both = demanded(rule.source_matchers).filter((label) => demanded(rule.target_matchers).includes(label));
    if (!both.some((label) => rule.equal.includes(label)))
      problems.push(`${where}: no label is demanded on both sides and compared`);
    for (const matcher of [...rule.source_matchers, ...rule.target_matchers]) {
      const [, values] = /^alertname(?:=~|!~|=|!=)"([^"]+)"$/.exec(matcher) ?? [];
      for (const name of values?.split('|') ?? []) {
        if (!known.has(name)) problems.push(`${where}: there is no alert ${name}`);
      }
    }
    if (rule.source_matchers.some((m) => m.startsWith('severity='))) {
      const twice = bundle.alerts.filter((a) => bundle.alerts.filter((b) => b.alert === a.alert).length > 1);
      const identity = new Set(twice.flatMap((alert) => [...outputOf(alert, bundle, metrics).labels]));
      identity.delete(inventoryLabels); // the same on every series of a target
      for (const label of identity)
        if (!rule.equal.includes(label)) problems.push(`${where}: ${label} is not compared`);
    }
  }
  for (const name of bundle.receivers) {
    if (!/^[A-Za-z0-9_-]+$/.test(name)) problems.push(`receiver ${name}: a metacharacter in the name`);
  }
  return problems;
}
