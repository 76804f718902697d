// The shipped files, read and checked for shape.
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { load } from 'js-yaml';
import { z } from 'zod';

export const repo = join(import.meta.dirname, '..');

const labels = z.record(z.string(), z.string());
const record = z.strictObject({ record: z.string(), expr: z.string() });
const alert = z.strictObject({
  alert: z.string(),
  expr: z.string(),
  for: z.string().optional(),
  keep_firing_for: z.string().optional(),
  labels: z.strictObject({
    severity: z.enum(['critical', 'warning', 'info', 'none']),
    priority: z.enum(['P0', 'P1', 'P2', 'P3', 'none']),
    remediation: z.enum(['auto', 'approve', 'human', 'none']),
    /** self: pipemedic's own parts; none: the heartbeat */
    scope: z.enum(['target', 'pipeline', 'group', 'inhibitor', 'self', 'none']),
  }),
  annotations: z.strictObject({
    summary: z.string(),
    description: z.string(),
    runbook_url: z.string(),
    dashboard_url: z.string(),
  }),
});
export type Alert = z.output<typeof alert>;
export type RecordRule = z.output<typeof record>;

const rulesFile = z.strictObject({
  groups: z.array(z.strictObject({ name: z.string(), rules: z.array(z.union([alert, record])) })),
});

const matrixEntry = z.union([
  z.strictObject({ remediation: z.enum(['auto', 'approve']), action: z.string(), key: z.array(z.string()) }),
  z.strictObject({ remediation: z.enum(['human', 'none']), because: z.string(), key: z.array(z.string()) }),
]);
export type MatrixEntry = z.output<typeof matrixEntry>;

const testFile = z.object({
  rule_files: z.array(z.string()),
  tests: z.array(
    z.object({
      name: z.string(),
      input_series: z.array(z.object({ series: z.string(), values: z.string() })),
      alert_rule_test: z.array(
        z.object({
          eval_time: z.string(),
          alertname: z.string(),
          exp_alerts: z.array(z.object({ exp_labels: labels, exp_annotations: labels })),
        }),
      ),
    }),
  ),
});
export type RuleTest = z.output<typeof testFile>['tests'][number];

const matcherList = z.array(z.string());
const alertmanagerFile = z.object({
  inhibit_rules: z.array(
    z.object({ source_matchers: matcherList, target_matchers: matcherList, equal: z.array(z.string()) }),
  ),
  receivers: z.array(z.object({ name: z.string() })),
});
export type InhibitRule = z.output<typeof alertmanagerFile>['inhibit_rules'][number];

export interface Bundle {
  readonly alerts: readonly Alert[];
  readonly records: readonly RecordRule[];
  readonly matrix: Readonly<Record<string, MatrixEntry>>;
  readonly tests: readonly RuleTest[];
  /** Text by alert name. */
  readonly runbooks: ReadonlyMap<string, string>;
  readonly inhibitRules: readonly InhibitRule[];
  readonly receivers: readonly string[];
  /** The scrape interval that deploy/prometheus.yml declares. */
  readonly scrapeInterval: string;
}

function yaml(file: string): unknown {
  return load(readFileSync(file, 'utf8'));
}

export function rulesFiles(): string[] {
  return globSync(join(repo, 'rules/*.rules.yml')).sort();
}

export function testFiles(): string[] {
  return globSync(join(repo, 'rules/tests/*.test.yml')).sort();
}

export function readBundle(): Bundle {
  const rules = rulesFiles().flatMap((file) => rulesFile.parse(yaml(file)).groups.flatMap((group) => group.rules));
  const alertmanager = alertmanagerFile.parse(yaml(join(repo, 'deploy/alertmanager.yml')));
  const prometheus = z
    .object({ global: z.object({ scrape_interval: z.string() }) })
    .parse(yaml(join(repo, 'deploy/prometheus.yml')));
  return {
    alerts: rules.filter((rule) => 'alert' in rule),
    records: rules.filter((rule) => 'record' in rule),
    matrix: z.record(z.string(), matrixEntry).parse(yaml(join(repo, 'rules/matrix.yml'))),
    tests: testFiles().flatMap((file) => testFile.parse(yaml(file)).tests),
    runbooks: new Map(
      globSync(join(repo, 'rules/runbooks/*.md')).map((file) => [basename(file, '.md'), readFileSync(file, 'utf8')]),
    ),
    inhibitRules: alertmanager.inhibit_rules,
    receivers: alertmanager.receivers.map((receiver) => receiver.name),
    scrapeInterval: prometheus.global.scrape_interval,
  };
}
