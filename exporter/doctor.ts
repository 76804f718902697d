// Looks at each target once, as a scrape would, and tells people what a scrape only counts: why, and what mends it.
import type { Call, CollectorCall, Peers } from './collector.ts';
import type { Inventory, Target } from './config/inventory.ts';
import { placesOf } from './doctor/places.ts';
import type { CollectorReport, TargetReport } from './doctor/report.ts';
import { limitFindings } from './doctor/series-limit.ts';
import { FactBoard, SharedFacts } from './facts.ts';
import type { Families, Sample } from './families.ts';
import type { Finding } from './findings.ts';
import type { Clock } from './runtime/clock.ts';
import { pause, until, within } from './runtime/deadline.ts';
import { SeriesGuard } from './scrape/guard.ts';
import { sourcesOf } from './scrape/rounds.ts';
import { failureOf, type Failure } from './scrape/outcome.ts';
import { labelsOf } from './scrape/target-labels.ts';
import { SampleWriter, type Block } from './scrape/writer.ts';
import type { BoundCollector, BoundTarget, Place, TargetClient } from './system.ts';

interface Examining {
  readonly clock: Clock;
  /** For all of it: open, look twice, examine. */
  readonly deadlineMs: number;
  /** Between the two looks: some numbers are made of two of them (what moves, what grows). */
  readonly betweenMs?: number;
}

interface Opened {
  readonly target: Target;
  readonly bound: BoundTarget;
  readonly down: Failure | undefined;
  /** Undefined when nothing can be asked. */
  readonly client: TargetClient | undefined;
}

/** All targets at once, in the order of the inventory. Never rejects for what a target does. */
export async function examineAll(inventory: Inventory, how: Examining): Promise<readonly TargetReport[]> {
  const { clock, deadlineMs, betweenMs = 1000 } = how;
  const signal = AbortSignal.timeout(deadlineMs);
  // A third for each step: one target that hangs in it must not take the time of the others' next one.
  const third = (): AbortSignal => within(deadlineMs / 3, signal);
  const opening = { signal: third(), clock };
  const opened = await Promise.all([...inventory.targets.values()].map((target) => open(target, opening)));
  try {
    const facts = new SharedFacts();
    const sources = sourcesOf(inventory);
    const look = (only: readonly Opened[], signal_: AbortSignal): Promise<(readonly Look[])[]> => {
      const sinceMs = clock.monoMs();
      return Promise.all(
        only.map((one) =>
          lookAt(one, { clock, signal: signal_, facts, sinceMs, sources: sources.get(one.target.name) }),
        ),
      );
    };
    const first = await look(opened, third());
    const isLate = (looks: readonly Look[] = []): boolean => looks.some(({ failure }) => failure?.class === 'deadline');
    const again = opened.filter((_, i) => !isLate(first[i]));
    await pause(betweenMs, signal).catch(() => undefined);
    const places = placesOf(inventory);
    // Both looks are over: nothing is awaited
    const peersOf = (named: readonly string[] = []): Peers => ({
      sources: named,
      fact: (of, key) => facts.newest(of, key, { sinceMs: -Infinity, waitMs: 0, signal }),
    });
    const second = new Map((await look(again, signal)).map((looks, i) => [again[i], looks]));
    return await Promise.all(
      opened.map((one, i) => {
        const { name } = one.target;
        const listed = places.get(name);
        const place = listed && { ...listed, peers: peersOf(sources.get(name)) };
        return reportOf(one, second.get(one) ?? first[i] ?? [], { signal, clock, place });
      }),
    );
  } finally {
    await Promise.all(opened.map(async ({ client }) => client?.[Symbol.asyncDispose]()));
  }
}

async function open(target: Target, call: Call): Promise<Opened> {
  const bound = target.bind();
  let client: TargetClient;
  try {
    client = await until(call.signal, 'open', bound.open(call));
  } catch (error) {
    return { target, bound, down: failureOf(error, call.signal), client: undefined };
  }
  const down = await until(call.signal, 'ping', client.ping(call)).then(
    () => undefined,
    (error: unknown) => failureOf(error, call.signal),
  );
  if (down === undefined || client.collectsWhileDown === true) return { target, bound, down, client };
  await client[Symbol.asyncDispose]();
  return { target, bound, down, client: undefined };
}

interface Look {
  readonly collector: string;
  readonly failure: Failure | undefined;
  readonly samples: readonly Sample[];
  /** As a scrape would serve them, and what it would not even write. */
  readonly blocks: readonly Block[];
  readonly refused: ReadonlyMap<string, number>;
}

interface Looking extends Call {
  readonly facts: SharedFacts;
  readonly sinceMs: number;
  readonly sources: readonly string[] | undefined;
}

async function lookAt({ target, bound, client }: Opened, looking: Looking): Promise<readonly Look[]> {
  if (client === undefined) return [];
  const { clock, signal, facts, sinceMs, sources = [] } = looking;
  const shared = new FactBoard();
  return Promise.all(
    bound.collectors.map(async (collector) => {
      const board = new FactBoard(shared);
      const look = await lookBy(target, collector, client, {
        clock,
        signal,
        target: target.name,
        board,
        isExamination: true,
        peers: { sources, fact: (of, key, waitMs) => facts.newest(of, key, { sinceMs, waitMs, signal }) },
      });
      shared.take(board);
      facts.share(board, clock.monoMs());
      return look;
    }),
  );
}

/** Written as for a scrape, so that what would fail there, a series that is there twice, fails here. */
async function lookBy(
  { name, labels, seriesLimit }: Target,
  collector: BoundCollector,
  client: TargetClient,
  call: CollectorCall,
): Promise<Look> {
  const samples: Sample[] = [];
  const writer = new SampleWriter({ level: 'target', constant: labelsOf({ name, labels }) });
  const { put, refused } = new SeriesGuard(seriesLimit, (sample) => {
    writer.put(sample);
    samples.push(sample);
  });
  try {
    await until(call.signal, collector.name, collector.collect(client, put, call));
    return { collector: collector.name, failure: undefined, samples, blocks: writer.finish(), refused };
  } catch (error) {
    const { fault } = writer;
    const failure = fault === undefined ? failureOf(error, call.signal) : { class: 'bug' as const, why: fault.message };
    const instead: Sample[] = [];
    collector.unknown(failure.why, (sample) => instead.push(sample), call);
    return { collector: collector.name, failure, samples: instead, blocks: [], refused: new Map() };
  }
}

async function reportOf(
  { target, bound, down, client }: Opened,
  looks: readonly Look[],
  { place, ...call }: Call & { readonly place: Place | undefined },
): Promise<TargetReport> {
  const samples = looks.flatMap((look) => look.samples); // a state family may be another collector's
  const collectors = looks.map(({ collector, failure, samples: { length: series } }) => {
    const { families = {}, keeps } = target.system.collectors.find(({ name }) => name === collector) ?? {};
    return { collector, failure, series, absent: absentOf(families, samples), keeps };
  });
  const examined = client === undefined ? [] : await findingsOf(bound.examine(client, call, place), call.signal);
  return {
    target: target.name,
    kind: target.kind,
    down,
    collectors,
    findings: [...examined, ...wrongIn(target.name, samples), ...limitFindings(target, looks)],
  };
}

/** States that are faults of the target, besides those that its system examines itself; each has an alert. */
export const wrongStates: ReadonlyMap<string, readonly string[]> = new Map([
  ['mysql_replication_distance_state', ['files_gone']],
  ['redis_replication_state', ['replica_down']],
  ['redis_replication_topology_state', ['wrong']],
  ['redis_replica_next_sync_state', ['full']],
  ['backup_state', ['stale', 'incomplete', 'never']],
  ['backup_verify_memory_state', ['failed']],
  ['backup_size_state', ['small']],
  ['backup_writing_state', ['stalled']],
  ['backup_latest_link_state', ['stale']],
  ['backup_chain_state', ['broken', 'orphaned']],
  ['backup_pitr_state', ['lost']],
  ['backup_restore_state', ['failed', 'differs']],
]);

/** By state family: the family that says why, with the same labels and one more. */
export const reasonFamilies: ReadonlyMap<string, readonly [family: string, label: string]> = new Map([
  ['backup_state', ['backup_verdict_info', 'verdict']],
  ['backup_chain_state', ['backup_chain_reason', 'reason']],
  ['backup_pitr_state', ['backup_pitr_reason', 'reason']],
]);

/** Numbers that must be 0. */
export const wrongAboveZero: readonly string[] = [
  'mysql_gtid_errant_transactions',
  'mysql_gtid_missing_purged_transactions',
];

export function wrongIn(target: string, samples: readonly Sample[]): readonly Finding[] {
  return samples.flatMap(({ family, value, labels }): Finding[] => {
    const { state, ...others } = labels;
    const which = Object.entries(others)
      .filter(([, text]) => text !== '')
      .map(([name, text]) => `${name}=${JSON.stringify(text)} `)
      .join('');
    if (state !== undefined && value === 1 && wrongStates.get(family.name)?.includes(state) === true) {
      const why = reasonOf(family.name, others, samples);
      const text = `${which}${state}${why === undefined ? '' : ` (${why})`}. ${family.help}`;
      if (family.name !== 'backup_state' || state !== 'incomplete') return [{ check: family.name, ok: false, text }];
      const fix = `pipemedic-exporter verify-backup ${target} --config.file=… shows what of the newest one is wrong`;
      return [{ check: family.name, ok: false, text, fix }];
    }
    if (value > 0 && wrongAboveZero.includes(family.name)) {
      return [{ check: family.name, ok: false, text: `${which}${String(value)}. ${family.help}` }];
    }
    return [];
  });
}

function reasonOf(state: string, labels: Sample['labels'], samples: readonly Sample[]): string | undefined {
  const [name, label] = reasonFamilies.get(state) ?? [];
  if (name === undefined || label === undefined) return undefined;
  const found = samples.find(
    (s) =>
      s.family.name === name && s.value === 1 && Object.entries(labels).every(([key, text]) => s.labels[key] === text),
  );
  return found?.labels[label];
}

/** A state family has one series per state, 1 for the present one. */
function absentOf(families: Families, samples: readonly Sample[]): CollectorReport['absent'] {
  const seen = new Set(samples.map(({ family }) => family.name));
  return Object.values(families).flatMap(({ name, state }) => {
    if (state === undefined || seen.has(name)) return [];
    const present = samples.filter(({ family, value }) => family.name === state && value === 1);
    const texts = present.map(({ labels }) => JSON.stringify(labels));
    if (texts.length > 0) return [{ family: name, because: `${state} is ${[...new Set(texts)].join(', ')}` }];
    return seen.has(state) ? [{ family: name, because: `${state} is 0` }] : [];
  });
}

async function findingsOf(examination: Promise<readonly Finding[]>, signal: AbortSignal): Promise<readonly Finding[]> {
  try {
    return await until(signal, 'examination', examination);
  } catch (error) {
    const { class: found, why } = failureOf(error, signal);
    // Nobody has looked: that is not well.
    return [{ check: 'examination', ok: false, text: `it ended before it had looked at everything, ${found}: ${why}` }];
  }
}
