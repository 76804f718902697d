// The report for eyes: what needs a hand first, then the exporters.
import { oneLine } from '../runtime/one-line.ts';
import type { AdoptReport } from './adopt.ts';
import type { FileReport, Judged } from './report.ts';
import type { Job } from './scrape-configs.ts';
import type { ExporterFate, Summary } from './summary.ts';
import { forSd, isServed, type Verdict } from './verdict.ts';

const words: Readonly<Record<Verdict, string>> = {
  served: 'served',
  raw: 'served, but not on the bare /metrics',
  off: 'not switched on',
  breaks: 'BREAKS',
  renamed: 'OTHER NAME',
  not_served: 'NOT SERVED',
  unclear: 'UNCLEAR',
};

/** @param isVerbose also what is served as it is, and notes */
export function adoptText(report: AdoptReport, isVerbose: boolean): string {
  const { files, passedOver, summary } = report;
  const isBare = summary.doors.some(({ door }) => door === 'raw');
  const isShown = (verdict: Verdict): boolean => isVerbose || !isServed(verdict) || (isBare && verdict === 'raw');
  const isMore = files.some((file) => file.expressions.some(({ verdict }) => !isShown(verdict)));
  const lines = [
    ...files.flatMap((file) => [...fileLines(file, isShown, isVerbose), '']),
    ...(passedOver.length > 0 ? [`Passed over, being neither rules nor dashboards: ${listed(passedOver, 5)}`, ''] : []),
    ...summaryLines(summary),
    ...(isMore ? ['', '--verbose shows each expression that is served, and notes.'] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function fileLines(file: FileReport, isShown: (verdict: Verdict) => boolean, isVerbose: boolean): string[] {
  const { expressions, jobs, problems, notes } = file;
  const shown = expressions.filter(({ verdict }) => isShown(verdict));
  const fine = expressions.filter(({ verdict }) => isServed(verdict)).length;
  const what = file.kind === 'unreadable' ? 'not read' : file.kind;
  const count = expressions.length > 0 ? `, ${fine} of ${expressions.length} expressions served` : '';
  return [
    `${file.file}: ${what}${count}`,
    ...problems.map((problem) => `  ! ${clean(problem)}`),
    ...notes.map((note) => `  ${clean(note)}`),
    ...jobs.map((job) => `  job ${clean(job.job)}: ${job.door === undefined ? jobText(job) : doorText(job.door)}`),
    ...shown.flatMap((expression) => expressionLines(expression, isVerbose)),
  ];
}

function expressionLines({ place, line, expr, verdict, reasons }: Judged, isVerbose: boolean): string[] {
  const told = reasons.filter(
    (reason) => isVerbose || (reason.verdict !== 'note' && (reason.verdict !== 'raw' || verdict === 'raw')),
  );
  return [
    `  ${words[verdict]}: ${clean(place)}${line === undefined ? '' : ` (line ${line})`}`,
    ...(verdict === 'served' ? [] : [`      ${cut(clean(expr), 160)}`]),
    ...told.flatMap(({ verdict: weight, text, fix }) => [
      `    ${weight === 'note' ? '(' : '- '}${clean(text)}${weight === 'note' ? ')' : ''}`,
      ...(fix === undefined ? [] : [`      ${clean(fix)}`]),
    ]),
  ];
}

function jobText({ job, path, peers, byName, ofItself, isOpen }: Job): string {
  if (/pipemedic/.test(job)) return 'what pipemedic says of itself';
  if (path === '/federate') return 'another Prometheus: name its configuration too';
  const names = peers.map(({ name }) => name).join(', ');
  if (ofItself && names !== '') return `${names}, its own page: another job asks it for its targets`;
  if (names !== '') return byName ? `${names}, going by the name of the job` : names;
  return isOpen ? 'what service discovery finds, which the file does not tell' : 'no exporter that is known';
}

function doorText(door: 'raw' | 'relabelled' | 'probe'): string {
  if (door === 'raw')
    return 'pipemedic by /metrics WITHOUT the line that copies target to instance (deploy/prometheus.yml has it)';
  return door === 'probe' ? 'pipemedic by /probe' : 'pipemedic by /metrics, with target copied to instance';
}

function summaryLines(summary: Summary): string[] {
  const { counts, exporters, toSwitchOn, doors, instances, warnings } = summary;
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const said: readonly (readonly [number, string])[] = [
    [counts.served, 'served as they are'],
    [counts.raw, 'served through /probe, or /metrics with the line that copies target to instance'],
    [counts.off, 'wait for something to be switched on'],
    [counts.breaks, 'break, though the names are served'],
    [counts.renamed, 'need another name'],
    [counts.not_served, 'need a name that is not served'],
    [counts.unclear, 'cannot be read'],
  ];
  return [
    `${plural(total, 'expression')}${total === 0 ? '' : ':'}`,
    ...said.filter(([count]) => count > 0).map(([count, text]) => `  ${String(count).padStart(5)} ${text}`),
    ...section('To be switched on or added', toSwitchOn.map(clean)),
    ...section('Scrape configuration', [
      ...doors.filter(({ door }) => door === 'raw').map(({ job, door }) => `job ${clean(job)}: ${doorText(door)}`),
      ...warnings.map(clean),
      ...instanceLines(instances),
    ]),
    ...section(
      'Exporters, in the order in which they can be switched off',
      exporters.map((fate, i) => fateText(fate, i, total > 0)),
    ),
    ...(exporters.some(({ fate }) => fate === 'ready' || fate === 'after_changes')
      ? [
          '',
          'Run both until the comparison in exporter/MIGRATION.md is empty, then switch them off one by one in this order.',
        ]
      : []),
  ];
}

function instanceLines(instances: Summary['instances']): string[] {
  if (instances.length === 0) return [];
  const shown = instances.slice(0, 20).map(({ job, instance }) => `${clean(instance)} (${clean(job)})`);
  const rest = instances.length > shown.length ? ` and ${instances.length - shown.length} more` : '';
  return [
    `set instance: at the target in the inventory ${forSd}, so that history and silences go on: ${shown.join(', ')}${rest}`,
  ];
}

/** @param isRead there were rules or dashboards among the files */
function fateText(fate: ExporterFate, i: number, isRead: boolean): string {
  const { exporter, served, renamed, missing, doubtful, changes, jobs, why } = fate;
  const inJobs = jobs.length > 0 ? ` (${jobs.length === 1 ? 'job' : 'jobs'} ${jobs.map(clean).join(', ')})` : '';
  const head = `${i + 1}. ${exporter}${inJobs}: `;
  const used = served.length + renamed.length + missing.length;
  const doubt = doubtful.length > 0 ? `; it is not known to have ${listed(doubtful, 6)}: look whether it does` : '';
  switch (fate.fate) {
    case 'ready':
      if (!isRead) return `${head}can be replaced; name the rules and dashboards too, to know what uses its names`;
      return `${head}can be switched off: ${used === 0 ? 'none of its names is used in these files' : used === 1 ? 'the one name in use is served' : `all ${used} names in use are served`}`;
    case 'after_changes':
      return `${head}can be switched off after ${plural(changes.length, 'change')}: ${listed(changes.map(clean), 8)}${doubt}`;
    case 'needed':
      return `${head}still needed for ${listed(missing, 12)}${served.length > 0 ? `; ${plural(served.length, 'other name')} in use ${served.length === 1 ? 'is' : 'are'} served` : ''}${doubt}`;
    case 'page':
      return `${head}the program stays; its scrape job can go where nothing else of its page is used: ${why ?? ''}`;
    case 'stays':
      return `${head}stays: ${why ?? ''}`;
  }
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)];
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function listed(items: readonly string[], most: number): string {
  const rest = items.length - most;
  return rest > 0 ? `${items.slice(0, most).join(', ')} and ${rest} more` : items.join(', ');
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

function clean(text: string): string {
  return oneLine(text).replaceAll(/ {2,}/g, ' ').trim();
}
