// Whether Prometheus evaluates the rules of this version, all of them, without error and in time.
import { z } from 'zod';
import type { Call } from '../collector.ts';
import type { Finding } from '../findings.ts';
import { TargetError } from '../runtime/errors.ts';
import type { PrometheusApi } from './prometheus-api.ts';
import type { LoadedGroup, LoadedRule, PrometheusFacts } from './prometheus-facts.ts';
import { plainExpression, rangesMs, type ShippedGroup, type ShippedRule } from './shipped-rules.ts';
import { cannotKnow, duration, right, some, wrong } from './wording.ts';

/** A rule that is loaded under the name of a shipped one, with another expression in its text. */
export interface Suspect {
  readonly name: string;
  readonly shipped: string;
  readonly loaded: string;
}

/** Rules of the remediator look at series of another job, which is there only where a remediator is. */
const remediatorGroup = 'pipemedic-remediator';
const remediatorJob = 'pipemedic-remediator';

/** Of the rules that are loaded, or else of those that are shipped. */
export function shortestRangeMs(shipped: readonly ShippedGroup[], { rules }: PrometheusFacts): number | undefined {
  const names = new Set(shipped.map(({ name }) => name));
  const loaded = rules.known ? rules.value.filter(({ name }) => names.has(name)) : [];
  const ranges =
    loaded.length > 0
      ? loaded.filter(({ name }) => name !== remediatorGroup).flatMap((g) => g.rules.flatMap((r) => rangesMs(r.query)))
      : shipped.filter(({ name }) => name !== remediatorGroup).flatMap((g) => g.rules.flatMap((r) => rangesMs(r.expr)));
  return ranges.length === 0 ? undefined : Math.min(...ranges);
}

const pairs = (shipped: readonly ShippedGroup[], loaded: readonly LoadedGroup[]) =>
  shipped.flatMap((group) => {
    const found = loaded.filter(({ name }) => name === group.name);
    if (found.length === 0) return [];
    const rules = found.flatMap((g) => g.rules);
    return group.rules.map((rule) => ({ rule, found: rules.filter((r) => isSameRule(rule, r)) }));
  });

/** Two rules may have one name: they differ in their severity. */
function isSameRule(shipped: ShippedRule, loaded: LoadedRule): boolean {
  return shipped.name === loaded.name && shipped.labels['severity'] === loaded.labels['severity'];
}

export function suspectsIn(shipped: readonly ShippedGroup[], loaded: readonly LoadedGroup[]): readonly Suspect[] {
  return pairs(shipped, loaded).flatMap(({ rule, found }) => {
    const plain = plainExpression(rule.expr);
    if (found.length === 0 || found.some(({ query }) => plainExpression(query) === plain)) return [];
    return [{ name: rule.name, shipped: rule.expr, loaded: found[0]?.query ?? '' }];
  });
}

export interface Compared {
  readonly differing: readonly Suspect[];
  /** What could not be compared, and why. */
  readonly untold?: { readonly names: readonly string[]; readonly why: string };
}

/** Prometheus' own parser is the judge: it writes equal expressions equally. Since 2.38; others than Prometheus have none. */
export async function reallyDiffering(
  api: Pick<PrometheusApi, 'get'>,
  suspects: readonly Suspect[],
  call: Call,
): Promise<Compared> {
  const format = (query: string): Promise<string> =>
    api.get(`/api/v1/format_query?${new URLSearchParams({ query }).toString()}`, z.string(), call);
  const differing: Suspect[] = [];
  for (const [i, suspect] of suspects.entries()) {
    try {
      if ((await format(suspect.shipped)) !== (await format(suspect.loaded))) differing.push(suspect);
    } catch (error) {
      if (!(error instanceof TargetError)) throw error;
      return { differing, untold: { names: suspects.slice(i).map(({ name }) => name), why: error.message } };
    }
  }
  return { differing };
}

interface RulesKnown extends Compared {
  readonly shipped: readonly ShippedGroup[];
  readonly version: string;
  /** Where the shipped files lie. */
  readonly folder: string;
  /** Of Prometheus, by its own clock. */
  readonly nowMs: number;
}

export function ruleFindings({ rules, targets }: PrometheusFacts, known: RulesKnown): readonly Finding[] {
  if (!rules.known) return [cannotKnow('prometheus_rules', rules.why)];
  const names = new Set(known.shipped.map(({ name }) => name));
  const ours = rules.value.filter(({ name }) => names.has(name));
  const loading = `rule_files: ['${known.folder}/*.rules.yml']`;
  if (ours.length === 0) {
    const text = `none of the ${names.size} groups of rules is loaded: there are no alerts, and nothing is repaired`;
    return [wrong('prometheus_rules', 'critical', text, loading)];
  }
  const hasRemediator = targets.known ? targets.value.some(({ labels }) => labels['job'] === remediatorJob) : undefined;
  return [
    ...presence(ours, known, loading, hasRemediator),
    ...sameness(ours, known, loading),
    ...health(ours),
    ...evaluation(ours, known.nowMs),
  ];
}

function presence(
  ours: readonly LoadedGroup[],
  { shipped }: RulesKnown,
  fix: string,
  hasRemediator: boolean | undefined,
): readonly Finding[] {
  const check = 'prometheus_rules';
  const findings: Finding[] = [];
  const isLoaded = (group: string): boolean => ours.some(({ name }) => name === group);
  const wanted = shipped.filter(({ name }) => name !== remediatorGroup || hasRemediator === true);
  const absent = wanted.filter(({ name }) => !isLoaded(name));
  if (isLoaded(remediatorGroup) && hasRemediator === false) {
    const text = `the rules on the remediator are loaded, and no job ${remediatorJob} is there: RemediatorAbsent fires for ever`;
    findings.push(wrong(check, 'warning', text, 'leave out remediator.rules.yml where there is no remediator'));
  }
  if (absent.length > 0) {
    const text = `${absent.length} of ${wanted.length} groups are not loaded: ${some(absent.map((g) => `${g.name} (${g.file})`))}`;
    findings.push(wrong(check, 'warning', text, fix));
  }
  const lost = pairs(shipped, ours).filter(({ found }) => found.length === 0);
  if (lost.length > 0) {
    const text = `${lost.length} rules are missing in the groups that are loaded: ${some(lost.map(({ rule }) => rule.name))}`;
    findings.push(wrong(check, 'warning', text, fix));
  }
  const twice = [...Map.groupBy(ours, ({ name }) => name)].filter(([, of]) => of.length > 1);
  if (twice.length > 0) {
    const text = `${twice.length} groups are loaded more than once: ${some(twice.map(([name, of]) => `${name} from ${of.map(({ file }) => file).join(' and ')}`))}`;
    findings.push(wrong(check, 'warning', text, 'name each file once under rule_files'));
  }
  if (findings.length > 0) return findings;
  const count = ours.reduce((sum, { rules }) => sum + rules.length, 0);
  return [right(check, `all ${ours.length} groups are loaded, ${count} rules`)];
}

function sameness(
  ours: readonly LoadedGroup[],
  { shipped, differing, untold, version }: RulesKnown,
  fix: string,
): readonly Finding[] {
  const check = 'prometheus_rules_version';
  const changed = new Set(differing.map(({ name }) => name));
  for (const { rule, found } of pairs(shipped, ours)) {
    const [first] = found;
    if (first === undefined) continue;
    const isFor = rule.forSeconds === undefined || rule.forSeconds === first.forSeconds;
    const isLabelled = Object.entries(rule.labels).every(([name, value]) => first.labels[name] === value);
    if (!isFor || !isLabelled) changed.add(rule.name);
  }
  const known = new Set(shipped.flatMap((g) => g.rules.map(({ name }) => name)));
  const added = ours.flatMap((g) => g.rules.map(({ name }) => name)).filter((name) => !known.has(name));
  const texts = [
    ...(changed.size === 0 ? [] : [`${changed.size} rules are not as those of ${version}: ${some([...changed])}`]),
    ...(added.length === 0 ? [] : [`${added.length} are unknown to ${version}: ${some(added)}`]),
  ];
  const unknown = untold === undefined ? [] : [cannotKnow(check, `whether ${untold.names.length} rules are those of ${version} cannot be told (${some(untold.names)}): ${untold.why}`)]; // prettier-ignore
  if (texts.length === 0) return untold === undefined ? [right(check, `the rules are those of ${version}`)] : unknown;
  const text = `${texts.join('; ')}. They were edited, or are of another version`;
  return [wrong(check, 'warning', text, `${fix} (limits belong under thresholds: in the inventory)`), ...unknown];
}

function health(ours: readonly LoadedGroup[]): readonly Finding[] {
  const check = 'prometheus_rules_health';
  const rules = ours.flatMap((g) => g.rules);
  const failed = Map.groupBy(
    rules.filter((r) => r.health === 'err'),
    ({ lastError }) => lastError,
  );
  const findings = [...failed].map(([error, of]) => {
    const text = `${of.length} rules fail (${some(of.map(({ name }) => name))}): ${error}`;
    return wrong(check, 'critical', text, mendRule(error));
  });
  if (findings.length > 0) return findings;
  const waiting = rules.filter((r) => r.health !== 'ok').length;
  if (waiting > 0) return [cannotKnow(check, `${waiting} of ${rules.length} rules were not evaluated yet`)];
  return [right(check, `all ${rules.length} rules are evaluated without error`)];
}

function mendRule(error: string): string {
  if (/many-to-many|duplicate series|same labelset/.test(error)) {
    return 'targets are crossed, or scraped twice: mend prometheus_relabelling and prometheus_targets first';
  }
  return 'the reason is Prometheus’ own: see /rules there';
}

/** Of Prometheus itself, where nothing is said. */
const usualSeconds = 60;
/** Scheduling and a busy machine. */
const slackMs = 5000;

function evaluation(ours: readonly LoadedGroup[], nowMs: number): readonly Finding[] {
  const check = 'prometheus_rules_evaluation';
  const slow = ours.filter((g) => g.evaluationSeconds > g.intervalSeconds);
  const late = ours.filter(
    (g) => g.lastEvaluationMs !== undefined && nowMs - g.lastEvaluationMs > 2000 * g.intervalSeconds + slackMs,
  );
  const findings: Finding[] = [];
  if (slow.length > 0) {
    const text = `${slow.length} groups take longer than their interval: ${some(slow.map((g) => `${g.name} ${duration(g.evaluationSeconds * 1000)} of ${duration(g.intervalSeconds * 1000)}`))}`;
    findings.push(wrong(check, 'warning', text, 'evaluation_interval: 30s under global, or more room for Prometheus'));
  }
  const rare = ours.filter((g) => g.intervalSeconds > usualSeconds);
  if (rare.length > 0) {
    const text = `${rare.length} groups are evaluated too rarely, so that alerts come late: ${some(rare.map((g) => `${g.name} every ${duration(g.intervalSeconds * 1000)}`))}`;
    findings.push(wrong(check, 'warning', text, 'evaluation_interval: 15s under global; no interval: in these groups'));
  }
  if (late.length > 0) {
    const text = `${late.length} groups are late: ${some(late.map((g) => `${g.name} was evaluated ${duration(Math.round((nowMs - (g.lastEvaluationMs ?? 0)) / 1000) * 1000)} ago, each ${duration(g.intervalSeconds * 1000)}`))}`;
    findings.push(
      wrong(check, 'critical', text, 'Prometheus does not come round to its rules: see its log and its load'),
    );
  }
  if (findings.length > 0) return findings;
  const unseen = ours.filter((g) => g.lastEvaluationMs === undefined).length;
  if (unseen > 0) return [cannotKnow(check, `${unseen} of ${ours.length} groups were not evaluated yet`)];
  const longest = Math.max(...ours.map((g) => g.evaluationSeconds));
  return [right(check, `every group is evaluated in time, the slowest in ${duration(longest * 1000)}`)];
}
