// The remediator's evaluator on a replica, with a store of its own; the test plays Alertmanager.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../../deploy/lab/ready.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { actions } from '../../remediator/actions/index.ts';
import { openLedger } from '../../remediator/clock.ts';
import { createEvaluator } from '../../remediator/evaluator.ts';
import type { Policy } from '../../remediator/guard.ts';
import { newHolder } from '../../remediator/holder.ts';
import type { Decision, Json, Run } from '../../remediator/model.ts';
import { defaultLimits } from '../../remediator/policies.ts';
import { openSqlite } from '../../remediator/store/sqlite.ts';
import { quick, target, type MysqlRepair } from './mysql-repair.ts';

export interface Alerted extends AsyncDisposable {
  readonly decided: (reason: string) => Promise<Decision>;
  readonly ended: () => Promise<Run>;
  readonly runs: () => Promise<readonly Run[]>;
}

const alertname = 'MysqlReplicationBroken';

/** An alert about the replica fires, with these labels besides. */
export async function alerted(
  repair: MysqlRepair,
  labels: Readonly<Record<string, string>>,
  params: Readonly<Record<string, Json>> = {},
): Promise<Alerted> {
  const policy: Policy = {
    name: 'replica-broken',
    mode: 'auto',
    match: { alertname },
    action: 'mysql.replica.restart-thread',
    params: { ...quick, ...params },
    pace: { maxRuns: 3, windowMs: 3_600_000, cooldownMs: 1_000, maxRelapses: 2 },
    soakMs: 500,
    relapseMs: 900_000,
    windows: [],
    approval: { role: 'operator', expiresMs: 3_600_000 },
    chain: [],
  };
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-repair-'));
  const store = openSqlite({ file: join(dir, 'store.db') });
  const clock = await openLedger(store, 3_600_000);
  const evaluator = createEvaluator({
    store,
    inventory: repair.inventory,
    policies: () => [policy],
    limits: () => defaultLimits,
    settings: { switchFile: join(dir, 'PAUSED'), evidenceDir: join(dir, 'evidence'), require: {} },
    actions,
    world: repair.world,
    clock,
    log: createLog('repair', process.env['PIPEMEDIC_TEST_LOG'] ?? 'silent'),
    metrics: { decision: () => undefined, run: () => undefined },
    holder: newHolder(),
  });
  const hook = { source: 'main', receivedMs: clock.nowMs(), receivedBy: 'test', body: Buffer.from('{}') };
  const id = await store.appendWebhook({ ...hook, alertCount: 1, truncatedCount: 0 });
  const alert = {
    status: 'firing',
    labels: { alertname, target, ...labels },
    annotations: {},
    startsWallMs: Date.now(),
    endsWallMs: undefined,
    fingerprint: 'f',
  } as const;
  const [change] = await store.processWebhook(id, [alert], false, clock.nowMs());
  if (change === undefined) throw new Error('the alert opened no episode');
  const { episodeId } = change;
  const runs = (): Promise<readonly Run[]> => store.runsOf({ target, limit: 20 });
  let last = '';
  const until = <T>(what: string, condition: () => Promise<T | undefined>): Promise<T> =>
    waitFor(
      async () => {
        await store.setAlertState(episodeId, 'active', 'test', clock.nowMs());
        const episode = await store.episode(episodeId);
        await store.scheduleEval(episodeId, episode?.nextEvalMs, clock.nowMs());
        await evaluator.tick();
        const decisions = await store.decisionsOf(episodeId);
        last = decisions.map((d) => `${d.reasonKey}: ${d.because}`).join('\n');
        return await condition();
      },
      { deadlineMs: 60_000, what, intervalMs: 300, detail: () => last },
    );
  return {
    runs,
    decided: (reason) =>
      until(`the decision ${reason}`, async () =>
        (await store.decisionsOf(episodeId)).findLast((d) => d.reasonKey === reason),
      ),
    ended: () => until('the end of a run', async () => (await runs()).find((run) => run.state === 'ended')),
    [Symbol.asyncDispose]: async () => {
      await evaluator.drain(AbortSignal.timeout(20_000));
      await store[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
