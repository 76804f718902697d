// Do the policies answer alerts that there are? Their names and labels against the rules that Prometheus loads.
import { glob } from 'node:fs/promises';
import { z } from 'zod';
import { readYaml } from '../exporter/config/loader.ts';
import type { Problem } from '../exporter/config/places.ts';
import { listed } from '../exporter/config/suggest.ts';
import { ConfigError } from '../exporter/runtime/errors.ts';
import type { PolicyFile } from './guard.ts';

const rulesFile = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({ alert: z.string().optional(), labels: z.record(z.string(), z.coerce.string()).default({}) }),
      ),
    }),
  ),
});

interface KnownAlert {
  readonly name: string;
  /** Static ones; a template gives any value. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Labels of alerts that the shipped route leaves to people. */
const leftToPeople: ReadonlySet<string> = new Set(['human', 'none']);

/** One for each policy whose alert no rule raises. Nothing when policies.yml names no rules. */
export async function unansweredAlerts({
  policies,
  rules,
}: Pick<PolicyFile, 'policies' | 'rules'>): Promise<readonly Problem[]> {
  if (rules.length === 0) return [];
  const { alerts, problems } = await alertsIn(rules);
  // Without any alert the globs are wrong, not the policies.
  if (alerts.length === 0 && problems.length > 0) return problems;
  const names = [...new Set(alerts.map((a) => a.name))].sort();
  const found = policies.flatMap(({ match }, i): Problem[] => {
    const at = (label: string, reason: string): Problem => ({ path: ['policies', i, 'match', label], reason });
    const alertname = match['alertname'];
    const named = alerts.filter((a) => alertname === undefined || a.name === alertname);
    if (named.length === 0) {
      return [at('alertname', `no rule raises ${alertname ?? 'an alert'}. Name one of: ${listed(names, alertname)}`)];
    }
    // A rule without the label is the user's own, and so is the route that brings it.
    if (named.every((a) => leftToPeople.has(a.labels['remediation'] ?? ''))) {
      const reason = `${alertname ?? 'every alert'} has the label remediation: human, so the route of deploy/alertmanager.yml never brings it here. Write remediation: auto in its rule, or name another alert`;
      return [at('alertname', reason)];
    }
    return Object.entries(match).flatMap(([label, wanted]) => {
      if (label === 'alertname' || named.some((a) => mayHave(a, label, wanted))) return [];
      const values = [...new Set(named.map((a) => a.labels[label] ?? ''))].join(', ');
      const reason = `${wanted} is never the value of this label of ${alertname ?? 'any alert'}: it is ${values}. Write that, or take the label out`;
      return [at(label, reason)];
    });
  });
  return [...problems, ...found];
}

/** A label that the rule does not set comes from the series. */
function mayHave({ labels }: KnownAlert, label: string, wanted: string): boolean {
  const value = labels[label];
  return value === undefined || value === wanted || value.includes('{{');
}

async function alertsIn(
  globs: readonly string[],
): Promise<{ readonly alerts: readonly KnownAlert[]; readonly problems: readonly Problem[] }> {
  const alerts: KnownAlert[] = [];
  const problems: Problem[] = [];
  for (const [i, pattern] of globs.entries()) {
    const files: string[] = [];
    for await (const file of glob(pattern)) files.push(file);
    files.sort();
    const wrong = (reason: string): void => void problems.push({ path: ['rules', i], reason });
    if (files.length === 0) wrong(`no file fits ${pattern}. Write a glob of rule files`);
    for (const file of files) {
      try {
        const read = rulesFile.parse(await readYaml(file));
        for (const { alert, labels } of read.groups.flatMap((g) => g.rules)) {
          if (alert !== undefined) alerts.push({ name: alert, labels });
        }
      } catch (error) {
        const why = error instanceof ConfigError ? error.problems.join('; ') : 'it does not hold groups with rules';
        wrong(`${file}: ${why}. Leave it out, or mend it`);
      }
    }
  }
  return { alerts, problems };
}
