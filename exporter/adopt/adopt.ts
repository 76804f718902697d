// `adopt`: reads what people have for other exporters, and says of each expression what becomes of it with pipemedic.
import type { Inventory } from '../config/inventory.ts';
import { broken, contentOf, kindsOfOperator, type Content } from './content.ts';
import { isObject, textOf, type Found } from './found.ts';
import { judge, metricsOf } from './judge.ts';
import { isOurName, peersNamed } from './knowledge.ts';
import { inputsOf, openFile, type Opened } from './read.ts';
import type { FileReport, Judged } from './report.ts';
import type { Job } from './scrape-configs.ts';
import { targetsOf, type Setting } from './setting.ts';
import { summaryOf, type Summary } from './summary.ts';
import { isServed, worst, type Reason } from './verdict.ts';

export interface AdoptReport {
  readonly files: readonly FileReport[];
  /** Met in folders, and nothing that is judged here. */
  readonly passedOver: readonly string[];
  readonly summary: Summary;
}

/** @param names files, folders and patterns */
export async function adopt(
  names: readonly string[],
  options: { readonly inventory?: Inventory | undefined } = {},
): Promise<AdoptReport> {
  const { inputs, problems } = await inputsOf(names);
  const read: { file: string; content: Content }[] = problems.map(({ file, text }) => ({
    file,
    content: broken(text),
  }));
  const passedOver: string[] = [];
  for (const { file, isNamed } of inputs) {
    const opened = await openFile(file);
    const content = typeof opened === 'string' ? broken(opened) : contentOf(opened);
    if (content !== undefined) read.push({ file, content });
    else if (isNamed) {
      read.push({ file, content: broken(whatInstead(opened)) });
    } else passedOver.push(file);
  }
  return reportOf(read, passedOver, options.inventory);
}

/** Of a file that the user named and that is nothing that is judged here. */
function whatInstead(opened: Opened | string): string {
  if (typeof opened === 'string') return opened;
  const kinds = opened.documents.filter(isObject).map((document) => textOf(document['kind']) ?? '');
  const operators = kinds.find((kind) => kindsOfOperator.includes(kind));
  if (operators !== undefined)
    return `a ${operators} of the Prometheus Operator is not read: name the configuration that it makes (Prometheus: /api/v1/status/config)`;
  if (kinds.includes('GrafanaDashboard'))
    return 'a GrafanaDashboard whose dashboard is elsewhere, or cannot be unpacked: export the dashboard and name its file';
  const lists = opened.documents.flat().filter(isObject);
  if (lists.length > 0 && lists.every((item) => Array.isArray(item['targets'])))
    return 'a list of targets for file_sd_configs: name the Prometheus configuration that reads it';
  if (opened.documents.some((document) => isObject(document) && Array.isArray(document['tests'])))
    return 'tests of rules (promtool test rules): name the rules themselves';
  if (opened.text.split('\n').every((line) => /^\s*(#|---|$)/.test(line))) return 'nothing is in it';
  if (/^[ \t]*ALERT[ \t]+\w+\s+IF\b/m.test(opened.text))
    return 'rules in the form of Prometheus 1: make YAML of them with promtool of Prometheus 2.0 (promtool update rules FILE)';
  return 'neither rules, nor a dashboard, nor a Prometheus configuration';
}

function reportOf(
  read: readonly { readonly file: string; readonly content: Content }[],
  passedOver: readonly string[],
  inventory: Inventory | undefined,
): AdoptReport {
  const found = read.flatMap(({ content }) => content.parts.flatMap((part) => part.expressions));
  const jobs = read.flatMap(({ content }) => content.jobs);
  const setting = settingOf(found, jobs, inventory);
  const judgements = new Map<string, ReturnType<typeof judge>>();
  const judged = ({ promql, ...rest }: Found): Judged => {
    const judgement = judgements.get(promql) ?? judge(promql, setting);
    judgements.set(promql, judgement); // bundles repeat themselves
    const { metrics } = judgement;
    const reasons = [...judgement.reasons, ...recordReasons(rest.record)];
    return { ...rest, verdict: worst(reasons), reasons, metrics };
  };
  const files = read.map(({ file, content: { kind, parts, jobs: own } }): FileReport => ({
    file,
    kind,
    expressions: parts.flatMap((part) => part.expressions.map(judged)),
    jobs: own,
    problems: parts.flatMap((part) => part.problems),
    notes: parts.flatMap((part) => part.notes),
  }));
  return { files, passedOver, summary: summaryOf(files, setting) };
}

/** A rule and a scrape under one name: who reads it gets both. */
function recordReasons(record: string | undefined): Reason[] {
  if (record === undefined || !isOurName(record)) return [];
  const text = `pipemedic serves ${record} itself: what is recorded would mix with it`;
  return [{ verdict: 'breaks', metric: record, text, fix: 'take the rule out once the old exporter is off' }];
}

function settingOf(found: readonly Found[], jobs: readonly Job[], inventory: Inventory | undefined): Setting {
  const own = jobs.filter(({ door }) => door !== undefined);
  const records = new Map<string, Found[]>();
  for (const expression of found) {
    if (expression.record === undefined) continue;
    records.set(expression.record, [...(records.get(expression.record) ?? []), expression]);
  }
  const known = new Map<string, Reason[]>();
  const sourcesOf = (name: string, seen: ReadonlySet<string> = new Set()): readonly string[] => {
    const rules = seen.has(name) ? undefined : records.get(name);
    if (rules === undefined) return [name];
    const deeper = new Set([...seen, name]);
    return [...new Set(rules.flatMap((rule) => metricsOf(rule.promql)).flatMap((metric) => sourcesOf(metric, deeper)))];
  };
  const made = new Map<string, readonly string[]>();
  const setting: Setting = {
    sourcesOf: (name) => {
      const before = made.get(name) ?? sourcesOf(name);
      made.set(name, before);
      return before;
    },
    inventory: inventory === undefined ? undefined : targetsOf(inventory),
    recorded: (name) => {
      const rules = records.get(name);
      if (rules === undefined) return undefined;
      const before = known.get(name);
      if (before !== undefined) return before;
      known.set(name, []); // one that reads itself adds nothing
      const reasons = rules.flatMap((rule) => judge(rule.promql, setting).reasons);
      // a record is as good as what it is made of; what it says of labels is said at the rule itself
      const through = reasons
        .filter(({ verdict }) => verdict !== 'note' && verdict !== 'raw')
        .map((reason): Reason => ({ ...reason, text: `${name} is recorded in these files: ${reason.text}` }))
        .slice(0, 3);
      known.set(name, through);
      return through;
    },
    peersOfJob: (job) =>
      (jobs.find((j) => j.job === job) ?? jobs.find((j) => j.jobsOfUp.includes(job)))?.peers ?? peersNamed(job),
    ownJobs: own.flatMap((job) => [job.job, ...job.jobsOfUp, ...job.jobsOfSeries]),
    ownUpJobs: own.filter(({ door }) => door === 'probe').flatMap((job) => [job.job, ...job.jobsOfUp]),
    doors: own.flatMap(({ door }) => door ?? []),
  };
  return setting;
}

/** 0: all is served. 1: something is not. 2: something could not be read. */
export function exitStatusOf({ files, summary }: AdoptReport): 0 | 1 | 2 {
  if (files.length === 0 || files.some((file) => file.problems.length > 0)) return 2;
  const isRaw = summary.doors.some(({ door }) => door === 'raw');
  const isDone = files.every((file) =>
    file.expressions.every(({ verdict }) => isServed(verdict) && !(isRaw && verdict === 'raw')),
  );
  return isDone ? 0 : 1;
}
