// A real store, a clock that can be moved, and a claimed run on the service in memory.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { known } from '../../../exporter/runtime/known.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import type { Action } from '../../../remediator/action.ts';
import { asJson, hashOf } from '../../../remediator/canonical.ts';
import type { LedgerClock } from '../../../remediator/clock.ts';
import type { JournalEntry, Run } from '../../../remediator/model.ts';
import { createRunner, planHash, type Ending, type Runner, type RunnerDeps } from '../../../remediator/runner.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import type { Hold, Store } from '../../../remediator/store/store.ts';
import { policy as basePolicy } from './scenario.ts';

export const policy = {
  ...basePolicy,
  action: 'fake.restart',
  soakMs: 30,
  pace: { maxRuns: 3, windowMs: 3_600_000, cooldownMs: 1_000, maxRelapses: 2 },
};
const target = 'svc1';

export class MovableClock implements LedgerClock {
  aheadMs = 0;
  readonly monoMs = (): number => performance.now() + this.aheadMs;
  readonly wallMs = (): number => Math.floor(1_800_000_000_000 + this.monoMs());
  readonly nowMs = (): number => Math.floor(1_700_000_000_000 + this.monoMs());
  readonly steady = (): ReturnType<LedgerClock['steady']> => known('steady', this.nowMs());
  readonly wallOf = (ms: number): number => ms;
}

export interface Harness extends AsyncDisposable {
  readonly store: Store;
  readonly clock: MovableClock;
  readonly evidenceDir: string;
  readonly episodeId: string;
  readonly endings: Ending[];
  /** Claims a run for the episode as the evaluator would. */
  readonly claim: (action: Action<unknown>, holder?: string) => Promise<{ run: Run; hold: Hold; evidenceHash: string }>;
  readonly runner: (action: Action<unknown>, change?: Partial<RunnerDeps<unknown>>) => Runner;
  readonly onlyRun: () => Promise<Run>;
  readonly journal: () => Promise<readonly JournalEntry[]>;
}

export async function harness(): Promise<Harness> {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-run-'));
  const store = openSqlite({ file: join(dir, 'store.db') });
  const clock = new MovableClock();
  const evidenceDir = join(dir, 'evidence');
  const endings: Ending[] = [];
  const hookId = await store.appendWebhook({
    source: 'main',
    receivedMs: clock.nowMs(),
    receivedBy: 'test',
    body: Buffer.from('{}'),
    alertCount: 1,
    truncatedCount: 0,
  });
  const [opened] = await store.processWebhook(
    hookId,
    [
      {
        status: 'firing',
        labels: { alertname: 'ServiceSick', target },
        annotations: {},
        startsWallMs: clock.wallMs(),
        endsWallMs: undefined,
        fingerprint: 'f',
      },
    ],
    false,
    clock.nowMs(),
  );
  assert.ok(opened);
  const { episodeId } = opened;
  await store.setAlertState(episodeId, 'active', '', clock.nowMs());
  return {
    store,
    clock,
    evidenceDir,
    episodeId,
    endings,
    claim: async (action, holder = 'h1') => {
      const episode = await store.episode(episodeId);
      assert.ok(episode);
      const look = await action.look(target, {}, undefined, AbortSignal.timeout(1_000));
      const evidenceHash = hashOf(look.evidence);
      const { decision } = await store.recordDecision(
        {
          episodeId,
          episodeVersion: episode.version,
          policy: policy.name,
          policyHash: 'p',
          action: action.name,
          target,
          params: {},
          verdict: 'act',
          reasonKey: 'act',
          because: 'test',
          trace: [],
          evidenceHash,
          advice: [],
        },
        clock.nowMs(),
      );
      const claimed = await store.claim(
        {
          runId: `run-${episode.attempts + 1}`,
          episodeId,
          episodeVersion: episode.version,
          attempt: episode.attempts + 1,
          decisionId: decision.id,
          action: action.name,
          planHash: planHash(action.name, action.steps(target, {}, undefined), {}),
          policy: asJson(policy),
          params: {},
          target,
          actor: 'auto',
          holder,
          ttlMs: 30_000,
          budgets: [{ scope: `target:${target}`, max: 3, windowMs: 3_600_000 }],
        },
        clock.nowMs,
      );
      assert.ok(claimed.won, claimed.won ? '' : claimed.because);
      return { ...claimed, evidenceHash };
    },
    runner: (action, change = {}) =>
      createRunner<unknown>({
        store,
        clock,
        log: createLog('test', 'silent'),
        holder: 'h1',
        actions: [action],
        world: undefined,
        evidenceDir,
        policies: () => [policy],
        paused: () => Promise.resolve(undefined),
        alertFreshMs: 90_000,
        ended: (_run, end) => {
          endings.push(end);
          return Promise.resolve();
        },
        ...change,
      }),
    onlyRun: async () => {
      const runs = await store.runsOf({ target, limit: 10 });
      const [run] = runs;
      assert.ok(run && runs.length === 1);
      return run;
    },
    journal: async () => {
      const [run] = await store.runsOf({ target, limit: 1 });
      return run === undefined ? [] : await store.journalOf(run.id);
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** As in `stop:intent stop:result=done verify…`, for reading at a glance. */
export function story(entries: readonly JournalEntry[]): string {
  return entries
    .map((e) => `${e.step === '' ? '' : `${e.step}:`}${e.kind}${e.outcome === undefined ? '' : `=${e.outcome}`}`)
    .join(' ');
}
