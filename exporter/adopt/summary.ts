// What becomes of each exporter, in the order in which they can be switched off.
import { knownOf } from './knowledge.ts';
import { peerOf, peers, type Peer } from './peers.ts';
import type { FileReport } from './report.ts';
import type { Door } from './scrape-configs.ts';
import type { Setting } from './setting.ts';
import { verdicts, type Reason, type Verdict } from './verdict.ts';

export interface ExporterFate {
  readonly exporter: string;
  /**
   * ready: nothing is in the way. after_changes: expressions must be changed, or something switched on, first. needed: names
   * that are not served here are used. page: the program stays, its scrape job can go. stays: pipemedic is none in its place.
   */
  readonly fate: 'ready' | 'after_changes' | 'needed' | 'page' | 'stays';
  /** Scrape jobs of the configurations given. */
  readonly jobs: readonly string[];
  /** Of its names, those that are used and served here under the same name. */
  readonly served: readonly string[];
  readonly renamed: readonly string[];
  readonly missing: readonly string[];
  /** Of names like its own, those that it is not known to have either. */
  readonly doubtful: readonly string[];
  /** Expressions that must be changed first: `file: place`. */
  readonly changes: readonly string[];
  readonly why: string | undefined;
}

export interface Summary {
  readonly counts: Readonly<Record<Verdict, number>>;
  /** In the order in which they can be switched off. */
  readonly exporters: readonly ExporterFate[];
  /** What must be switched on for the expressions given. */
  readonly toSwitchOn: readonly string[];
  /** Doors through which pipemedic is scraped, by the configurations given. */
  readonly doors: readonly { readonly job: string; readonly door: Door }[];
  /** Values of `instance` that are scraped, and that no target of the inventory has. */
  readonly instances: readonly { readonly job: string; readonly instance: string }[];
  /** What in the scrape configurations makes names or labels other than an exporter's own. */
  readonly warnings: readonly string[];
}

const order: readonly ExporterFate['fate'][] = ['ready', 'after_changes', 'needed', 'page', 'stays'];

export function summaryOf(files: readonly FileReport[], setting: Setting): Summary {
  const expressions = files.flatMap((file) =>
    file.expressions.map((expression) => ({ file: file.file, ...expression })),
  );
  const jobs = files.flatMap((file) => file.jobs);
  const counts = Object.fromEntries(
    verdicts.map((verdict) => [verdict, expressions.filter((e) => e.verdict === verdict).length]),
  ) as Record<Verdict, number>; // fromEntries forgets the keys
  const used = new Map<string, { peer: Peer; names: Set<string>; changes: Set<string> }>();
  const entryOf = (peer: Peer) => {
    const before = used.get(peer.name) ?? { peer, names: new Set<string>(), changes: new Set<string>() };
    used.set(peer.name, before);
    return before;
  };
  for (const { file, place, metrics, verdict, reasons } of expressions) {
    const peersHere = new Set<Peer>();
    for (const metric of metrics) {
      const known = knownOf(metric);
      const peer = known.is === 'served' ? known.peer : peerOf(metric);
      if (peer === undefined || setting.recorded(metric) !== undefined) continue;
      entryOf(peer).names.add(metric);
      peersHere.add(peer);
    }
    for (const { exporter } of reasons) {
      const peer = peers.find(({ name }) => name === exporter);
      if (peer !== undefined) peersHere.add(peer);
    }
    if (!['off', 'breaks', 'renamed', 'unclear', 'not_served'].includes(verdict)) continue;
    const told = reasons.filter((reason) => reason.verdict !== 'note' && reason.verdict !== 'raw');
    for (const peer of peersHere) {
      const isAbout = told.some(
        ({ metric, exporter }) =>
          exporter === peer.name ||
          (exporter === undefined && (metric === undefined || (peerOf(metric) === peer && !isMissing(metric)))),
      );
      if (isAbout) entryOf(peer).changes.add(`${file}: ${place}`);
    }
  }
  for (const peer of jobs.flatMap((job) => job.peers)) entryOf(peer);
  const exporters = [...used.values()].map(({ peer, names, changes }): ExporterFate => {
    const list = [...names].sort();
    const served = list.filter((name) => knownOf(name).is === 'served');
    const renamed = list.filter((name) => knownOf(name).is === 'renamed');
    const missing = list.filter(isMissing);
    const doubtful = list.filter((name) => knownOf(name).is === 'elsewhere' && !isMissing(name));
    return {
      exporter: peer.name,
      fate: fateOf(peer, missing.length, renamed.length + changes.size),
      jobs: jobs.filter((job) => job.peers.includes(peer)).map(({ job }) => job),
      served,
      renamed,
      missing,
      doubtful,
      changes: [...changes],
      why: peer.why,
    };
  });
  exporters.sort(
    (a, b) =>
      order.indexOf(a.fate) - order.indexOf(b.fate) ||
      a.missing.length - b.missing.length ||
      a.changes.length - b.changes.length ||
      (a.exporter < b.exporter ? -1 : 1),
  );
  const isBySd = setting.doors.length === 0 || setting.doors.includes('probe');
  const has = new Set(setting.inventory?.map((target) => (isBySd ? target.instance : undefined) ?? target.name));
  const replaced = jobs.filter((job) => job.peers.some(({ fate }) => fate === 'program'));
  return {
    counts,
    exporters,
    toSwitchOn: neededBy(expressions.flatMap((e) => e.reasons)),
    doors: jobs.flatMap(({ job, door }) => (door === undefined ? [] : [{ job, door }])),
    instances: replaced.flatMap(({ job, instances }) =>
      instances.filter((instance) => !has.has(instance)).map((instance) => ({ job, instance })),
    ),
    warnings: replaced.flatMap(({ job, renames, drops, labels }) => [
      ...(renames
        ? [
            `the job ${job} gives metrics other names (metric_relabel_configs): the same rule belongs to pipemedic's job`,
          ]
        : []),
      ...(drops
        ? [
            `the job ${job} drops series by name (metric_relabel_configs): pipemedic's job does not unless it has the rule too`,
          ]
        : []),
      ...(labels.length > 0
        ? [
            `the job ${job} adds the labels ${labels.join(', ')}: put them under labels: of the targets in the inventory`,
          ]
        : []),
    ]),
  };
}

/** One line for each thing to do, with the names that want it. */
function neededBy(reasons: readonly Reason[]): string[] {
  const needs = new Map<string, Set<string>>();
  for (const { isNeed, metric, fix } of reasons) {
    if (isNeed !== true || fix === undefined || metric === undefined) continue;
    needs.set(fix, (needs.get(fix) ?? new Set()).add(metric));
  }
  return [...needs].map(([fix, names]) => `${fix}, for ${[...names].sort().join(', ')}`);
}

/** Its exporter has it for sure, and nobody here. */
function isMissing(metric: string): boolean {
  const known = knownOf(metric);
  return known.is === 'elsewhere' && known.isSure;
}

function fateOf(peer: Peer, missing: number, changes: number): ExporterFate['fate'] {
  if (peer.fate !== 'program') return peer.fate;
  if (missing > 0) return 'needed';
  return changes > 0 ? 'after_changes' : 'ready';
}
