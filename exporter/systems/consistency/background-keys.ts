// Compares a sample of keys of a Redis primary with a copy, beside the sweeps: without SCAN and without KEYS, a few keys at a
// time, with rests in between.
import { within } from '../../runtime/deadline.ts';
import { TargetError } from '../../runtime/errors.ts';
import { globOf } from '../../runtime/glob.ts';
import { paused, repeat } from '../../runtime/repeat.ts';
import type { Call } from '../../collector.ts';
import type { RedisClient } from '../redis/client.ts';
import type { KeysPlan } from './address.ts';
import { tableReport, type TableReport } from './background-reports.ts';
import { callMs, type Work } from './background-throttle.ts';
import { openBoth, type ConsistencyClient } from './client.ts';
import { keyCommands, readDigest, readStreamPlace } from './facts-keys.ts';
import { judgeRows, type Look, type RowVerdict } from './facts-rows.ts';
import type { Both } from './facts-table.ts';
import type { ConsistencyMemory } from './state.ts';

const batchKeys = 50;
/** For one key that matches, where `match` is given. */
const triesPerKey = 20;
const lagWaitMs = 500;

interface Sampling {
  readonly client: ConsistencyClient;
  readonly plan: KeysPlan;
  readonly memory: ConsistencyMemory;
  readonly work: Work;
}

/** Runs until the signal aborts, whatever its targets do. @throws only for a fault of this program */
export async function runKeys(of: Sampling): Promise<void> {
  const { memory, plan, work } = of;
  memory.report = { state: plan.reportDir === undefined ? 'none' : 'ok', why: '' };
  await repeat({ signal: work.signal, clock: work.clock, everyMs: plan.everyMs }, async () => {
    const last = memory.run;
    try {
      await using clients = await openBoth(of.client.openKeys, callOf(of.work));
      memory.run = { state: 'checking', why: '' };
      await sample(of, clients);
      memory.run = { state: 'idle', why: '' };
      memory.keys.why = '';
    } catch (error) {
      if (work.signal.aborted) return;
      if (!(error instanceof TargetError)) throw error;
      const why = error.code === 'denied' ? `${error.message}. The user needs: %R~* ${keyCommands}` : error.message;
      memory.errors.set(error.code, (memory.errors.get(error.code) ?? 0) + 1);
      memory.run = { state: 'failed', why };
      memory.keys.why = why;
      if (last.state !== 'failed' || last.why !== why) work.log.warn({ why }, 'the comparison was broken off');
    }
  });
}

function callOf({ clock, signal }: Work): Call {
  return { clock, signal: within(callMs, signal) };
}

async function sample(of: Sampling, clients: Both<RedisClient>): Promise<void> {
  const { plan, memory, work } = of;
  const report = tableReport(plan.reportDir, `${work.target}.keys`, (why) => {
    const isNew = memory.report.state !== 'failed';
    if (why !== undefined && isNew) work.log.warn({ what: 'report', why }, 'what was found cannot be kept on disk');
    memory.report = why === undefined ? { state: 'ok', why: '' } : { state: 'failed', why };
  });
  const found = { sampled: 0, missing: 0, different: 0, undecided: 0 };
  await report.begin({ primary: plan.primary, copy: plan.copy, started: new Date(work.clock.wallMs()).toISOString() });
  while (found.sampled < plan.sampleKeys && !work.signal.aborted) {
    const beganAtMs = work.clock.monoMs();
    const keys = await randomKeys(of, clients.source, Math.min(batchKeys, plan.sampleKeys - found.sampled));
    if (keys.length === 0) break;
    const counted = await compareBatch(of, clients, keys, report);
    found.sampled += keys.length;
    for (const what of ['missing', 'different', 'undecided'] as const) found[what] += counted[what];
    memory.keys.sampled += keys.length;
    memory.keys.undecided += counted.undecided;
    memory.observedAtMs = work.clock.monoMs();
    await paused(work.clock.monoMs() - beganAtMs, work.signal);
  }
  if (work.signal.aborted) throw new TargetError('deadline', 'the comparison was ended');
  await report.finish({ ...found });
  memory.keys.last = { ...found, completedAtMs: work.clock.wallMs() };
}

/** Fewer, or none, where the database has not as many; a key may come again in another batch. */
async function randomKeys({ plan, work }: Sampling, primary: RedisClient, wanted: number): Promise<readonly string[]> {
  const pattern = plan.match === undefined ? undefined : globOf(plan.match);
  const keys = new Set<string>();
  for (let tries = 0; keys.size < wanted && tries < wanted * triesPerKey; tries += 1) {
    const key = await primary.send(callOf(work), 'RANDOMKEY');
    if (typeof key !== 'string') break;
    if (pattern === undefined || pattern(key)) keys.add(key);
    else continue;
    if (keys.size < tries / 4) break; // a small database: the same ones come again
  }
  return [...keys];
}

type Counted = Readonly<Record<'missing' | 'different' | 'undecided', number>>;

async function compareBatch(
  of: Sampling,
  clients: Both<RedisClient>,
  keys: readonly string[],
  report: TableReport,
): Promise<Counted> {
  const first = await look(of, clients, keys, true);
  const suspects = keys.filter((key) => first.source.get(key) !== first.copy.get(key));
  const counted = { missing: 0, different: 0, undecided: 0 };
  if (suspects.length === 0) return counted;
  await arrived(of, clients);
  const second = await look(of, clients, suspects, false);
  const verdicts = judgeRows(only(first, suspects), second);
  // A key that is gone on the primary has expired, or was deleted, and is no part of the sample any more
  const told = [...verdicts].filter((entry): entry is [string, Exclude<RowVerdict, 'extra'>] => entry[1] !== 'extra');
  for (const [, verdict] of told) counted[verdict] += 1;
  await report.append(told.map(([key, verdict]) => ({ key: verdict, id: key })));
  return counted;
}

function only({ source, copy }: Look, keys: readonly string[]): Look {
  const of = (all: ReadonlyMap<string, string>): ReadonlyMap<string, string> =>
    new Map([...all].filter(([key]) => keys.includes(key)));
  return { source: of(source), copy: of(copy) };
}

async function look(
  { work, memory }: Sampling,
  clients: Both<RedisClient>,
  keys: readonly string[],
  isFirst: boolean,
): Promise<Look> {
  const source = new Map<string, string>();
  const copy = new Map<string, string>();
  for (const key of keys) {
    // The primary first: what is not on the copy then was there before
    const here = await readDigest(clients.source, key, callOf(work));
    const there = await readDigest(clients.copy, key, callOf(work));
    if (here !== undefined) source.set(key, here.text);
    if (there !== undefined) copy.set(key, there.text);
    if (isFirst && here?.isPartial === true) memory.keys.partial += 1;
  }
  return { source, copy };
}

/** Until the copy has what the primary had at the first look: by its offset where it tells one in the same history. */
async function arrived(of: Sampling, clients: Both<RedisClient>): Promise<void> {
  const { plan, work, memory } = of;
  const wanted = await readStreamPlace(clients.source, callOf(work));
  await paused(3 * plan.settleMs, work.signal);
  while (!work.signal.aborted) {
    const now = await readStreamPlace(clients.copy, callOf(work));
    if (now.isLinkUp === undefined) return; // no replica: another program fills it
    const isThere = now.replid !== wanted.replid || !(now.offset < wanted.offset);
    if (now.isLinkUp && isThere) {
      if (memory.run.state === 'lag') memory.run = { state: 'checking', why: '' };
      return;
    }
    memory.run = { state: 'lag', why: now.isLinkUp ? `${plan.copy} is late` : `${plan.copy} has lost its primary` };
    await paused(lagWaitMs, work.signal);
    memory.throttledMs.set('lag', (memory.throttledMs.get('lag') ?? 0) + lagWaitMs);
  }
}
