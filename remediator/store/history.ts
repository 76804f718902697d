// What was done, over time: how a policy has fared, who did what.
import type { Json } from '../model.ts';
import { int, json, maybe, text } from './rows.ts';
import type { Db } from './db.ts';
import { StoreError, type Store } from './store.ts';

/** Healed so soon without a repair: the repair would have been needless. */
const needlessMs = 600_000;

export function historyIn(db: Db): Pick<Store, 'policyCounts' | 'auditOf'> {
  const count = async (sql: string, ...values: readonly (string | number | null)[]): Promise<number> => {
    const row = await db.get(`SELECT count(*) AS n FROM (${sql}) AS counted`, ...values);
    if (row === undefined) throw new StoreError('broken', 'no count');
    return int(row, 'n');
  };
  return {
    policyCounts: async (policy, target, actions = []) => {
      const of = [policy, target ?? null, target ?? null, ...actions];
      const named = actions.length === 0 ? '' : ` IN (${actions.map(() => '?').join(', ')})`;
      const by = (action: string): string => (named === '' ? '' : ` AND ${action}${named}`);
      const decisions = `FROM decision d WHERE d.policy = ? AND (? IS NULL OR d.target = ?)${by('d.action')}`;
      const approvals = `SELECT id FROM approval a WHERE a.policy = ? AND (? IS NULL OR a.target = ?)${by('a.action')}`;
      const runs = `FROM run r JOIN decision d ON d.id = r.decision_id WHERE d.policy = ? AND (? IS NULL OR r.target = ?)${by('d.action')}`;
      const ended = (outcome: string): Promise<number> =>
        count(`SELECT r.id ${runs} AND r.outcome = ?`, ...of, outcome);
      const first = await db.get(`SELECT min(d.first_ms) AS ms ${decisions}`, ...of);
      return {
        // By episode: one that changes its reason twice would have acted once.
        wouldAct: await count(`SELECT DISTINCT d.episode_id ${decisions} AND d.verdict = 'would_act'`, ...of),
        needless: await count(
          `SELECT e.id FROM episode e WHERE e.outcome = 'healed' AND e.closed_ms - ? <=
               (SELECT min(d.first_ms) ${decisions} AND d.verdict = 'would_act' AND d.episode_id = e.id)
               AND NOT EXISTS (SELECT 1 FROM run x WHERE x.episode_id = e.id AND x.first_mutation_ms IS NOT NULL)`,
          needlessMs,
          ...of,
        ),
        approved: await count(`${approvals} AND a.decided_by IS NOT NULL AND a.state <> 'rejected'`, ...of),
        rejected: await count(`${approvals} AND a.state = 'rejected'`, ...of),
        verified: await ended('verified'),
        approvedVerified: await count(
          `SELECT r.id ${runs} AND r.outcome = 'verified' AND r.actor LIKE 'human:%'`,
          ...of,
        ),
        failed: await ended('failed'),
        unknownOutcome: await ended('outcome_unknown'),
        relapses: await count(
          `SELECT e.id FROM episode e WHERE e.relapse_of IN (SELECT r.episode_id ${runs} AND r.outcome = 'verified')`,
          ...of,
        ),
        firstSeenMs: first === undefined ? undefined : maybe(int, first, 'ms'),
      };
    },
    auditOf: async ({ object, limit }) =>
      (
        await db.all(
          'SELECT * FROM audit WHERE ? IS NULL OR object = ? ORDER BY id DESC LIMIT ?',
          ...[object ?? null, object ?? null, limit],
        )
      ).map((row) => ({
        atMs: int(row, 'at_ms'),
        actor: text(row, 'actor'),
        via: text(row, 'via'),
        verb: text(row, 'verb'),
        object: text(row, 'object'),
        detail: json(row, 'detail') as Json,
      })),
  };
}
