// Looks at each target once, as a scrape would, and tells people what a scrape only counts: why, and what mends it.
import type { CollectorCall } from './collector.ts';
import type { Inventory, Target } from './config/inventory.ts';
import { FactBoard } from './facts.ts';
import type { Families, Sample } from './families.ts';
import type { Finding } from './findings.ts';
import type { Clock } from './runtime/clock.ts';
import { until } from './runtime/deadline.ts';
import { classOf, messageOf } from './runtime/errors.ts';
import type { BoundCollector, TargetClient } from './system.ts';

export interface CollectorReport {
  readonly collector: string;
  /** Undefined when it succeeded. */
  readonly failure: FailureReport | undefined;
  readonly series: number;
  /** Numeric families without a sample whose state family says why. */
  readonly absent: readonly { readonly family: string; readonly because: string }[];
}

export interface FailureReport {
  readonly class: string;
  readonly why: string;
}

export interface TargetReport {
  readonly target: string;
  readonly kind: string;
  /** Undefined when it answered. */
  readonly down: FailureReport | undefined;
  readonly collectors: readonly CollectorReport[];
  readonly findings: readonly Finding[];
}

interface Examining {
  readonly clock: Clock;
  /** For each target: open, ask once, examine. */
  readonly deadlineMs: number;
}

/** All targets at once, in the order of the inventory. Never rejects for what a target does. */
export async function examineAll(inventory: Inventory, how: Examining): Promise<readonly TargetReport[]> {
  return Promise.all([...inventory.targets.values()].map((target) => examineTarget(target, how)));
}

async function examineTarget(target: Target, { clock, deadlineMs }: Examining): Promise<TargetReport> {
  const bound = target.bind();
  const call: CollectorCall = {
    signal: AbortSignal.timeout(deadlineMs),
    clock,
    target: target.name,
    board: new FactBoard(),
  };
  const report = { target: target.name, kind: target.kind };
  let client: TargetClient;
  try {
    client = await until(call.signal, 'open', bound.open(call));
  } catch (error) {
    return { ...report, down: failureOf(error, call.signal), collectors: [], findings: [] };
  }
  try {
    const down = await client.ping(call).then(
      () => undefined,
      (error: unknown) => failureOf(error, call.signal),
    );
    if (down !== undefined && client.collectsWhileDown !== true) {
      return { ...report, down, collectors: [], findings: [] };
    }
    const looks = await Promise.all(bound.collectors.map((collector) => lookBy(collector, client, call)));
    const samples = looks.flatMap((look) => look.samples); // a state family may be another collector's
    const collectors = looks.map(({ collector, failure, samples: { length: series } }) => {
      const families = target.system.collectors.find(({ name }) => name === collector)?.families ?? {};
      return { collector, failure, series, absent: absentOf(families, samples) };
    });
    return { ...report, down, collectors, findings: await findingsOf(bound.examine(client, call), call.signal) };
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

interface Look {
  readonly collector: string;
  readonly failure: FailureReport | undefined;
  readonly samples: readonly Sample[];
}

async function lookBy(collector: BoundCollector, client: TargetClient, call: CollectorCall): Promise<Look> {
  const samples: Sample[] = [];
  try {
    const work = collector.collect(client, (sample) => samples.push(sample), call);
    await until(call.signal, collector.name, work);
    return { collector: collector.name, failure: undefined, samples };
  } catch (error) {
    const failure = failureOf(error, call.signal);
    const instead: Sample[] = [];
    collector.unknown(failure.why, (sample) => instead.push(sample), call);
    return { collector: collector.name, failure, samples: instead };
  }
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
    return [{ check: 'examination', ok: 'unknown', text: `${found}: ${why}` }];
  }
}

function failureOf(error: unknown, signal: AbortSignal): FailureReport {
  return { class: signal.aborted ? 'deadline' : classOf(error), why: messageOf(error) };
}

/** Is there something that a person should mend? */
export function isHealthy(reports: readonly TargetReport[]): boolean {
  return reports.every(
    ({ down, collectors, findings }) =>
      down === undefined &&
      collectors.every(({ failure }) => failure === undefined) &&
      findings.every(({ ok }) => ok !== false),
  );
}

/** For eyes. What is wrong has a line of its own with what mends it; families that are absent together share one. */
export function doctorText(reports: readonly TargetReport[]): string {
  return reports.map(targetText).join('\n');
}

function targetText({ target, kind, down, collectors, findings }: TargetReport): string {
  const lines = [`${target} (${kind}): ${down === undefined ? 'answers' : `DOWN, ${down.class}: ${down.why}`}`];
  for (const { check, ok, text, fix } of findings) {
    lines.push(`  ${ok === true ? 'ok     ' : ok === false ? 'WRONG  ' : 'unknown'} ${check}: ${text}`);
    if (fix !== undefined) lines.push(`          to mend it: ${fix}`);
  }
  for (const { collector, failure, series, absent } of collectors) {
    if (failure === undefined) lines.push(`  ok      collector ${collector}: ${String(series)} series`);
    else lines.push(`  FAILED  collector ${collector}, ${failure.class}: ${failure.why}`);
    for (const because of new Set(absent.map((a) => a.because))) {
      const names = absent.filter((a) => a.because === because).map(({ family }) => family);
      const shown =
        names.length > 4 ? `${names.slice(0, 3).join(', ')} and ${String(names.length - 3)} more` : names.join(', ');
      lines.push(`          absent: ${shown}: ${because}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
