// What was decided, with the guard trace.
import { randomUUIDv7 } from 'node:crypto';
import type { Decision } from '../model.ts';
import { decisionOf, guardResultOf, text } from './rows.ts';
import type { Db, Row, Tx } from './db.ts';
import type { Store } from './store.ts';

export function decisionsIn(db: Db): Pick<Store, 'recordDecision' | 'decisionsOf'> {
  const read = async (db: Tx, row: Row): Promise<Decision> => {
    const trace = await db.all('SELECT * FROM guard_result WHERE decision_id = ? ORDER BY ord', text(row, 'id'));
    return decisionOf(row, trace.map(guardResultOf));
  };
  const byId = async (db: Tx, id: string): Promise<Decision | undefined> => {
    const row = await db.get('SELECT * FROM decision WHERE id = ?', id);
    return row === undefined ? undefined : await read(db, row);
  };
  return {
    recordDecision: async (decision, nowMs) =>
      await db.transact(async (db) => {
        const last = await db.get(
          `SELECT id, reason_key, verdict, EXISTS(SELECT 1 FROM run WHERE run.decision_id = decision.id) AS used
             FROM decision WHERE episode_id = ? ORDER BY last_ms DESC, id DESC LIMIT 1`,
          decision.episodeId,
        );
        // What a run was started on stays as it was then.
        const same =
          last !== undefined &&
          last['reason_key'] === decision.reasonKey &&
          last['verdict'] === decision.verdict &&
          last['used'] === 0;
        const id = same ? text(last, 'id') : randomUUIDv7();
        if (same) await repeat(db, id, decision, nowMs);
        else await insert(db, id, decision, nowMs);
        const stored = await byId(db, id);
        if (stored === undefined) throw new Error('a decision vanished within its transaction');
        return { decision: stored, changed: !same };
      }),
    decisionsOf: async (episodeId) => {
      const rows = await db.all('SELECT * FROM decision WHERE episode_id = ? ORDER BY first_ms, id', episodeId);
      return Promise.all(rows.map((row) => read(db, row)));
    },
  };
}

type NewDecision = Parameters<Store['recordDecision']>[0];

async function insert(db: Tx, id: string, d: NewDecision, nowMs: number): Promise<void> {
  await db.run(
    `INSERT INTO decision(id, episode_id, episode_version, policy, policy_hash, action, target, params, verdict,
       reason_key, because, evidence_hash, advice, first_ms, last_ms, repeats)
     VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
    ...[id, d.episodeId, d.episodeVersion, d.policy ?? null, d.policyHash, d.action ?? null, d.target ?? null],
    ...[JSON.stringify(d.params), d.verdict, d.reasonKey, d.because, d.evidenceHash ?? null],
    ...[JSON.stringify(d.advice), nowMs, nowMs],
  );
  await writeTrace(db, id, d);
}

/** The row shows the newest evaluation: the closing of an episode reads from it what the facts say now. */
async function repeat(db: Tx, id: string, d: NewDecision, nowMs: number): Promise<void> {
  await db.run(
    `UPDATE decision SET repeats = repeats + 1, last_ms = ?, episode_version = ?, policy = ?, policy_hash = ?, action = ?,
       target = ?, params = ?, because = ?, evidence_hash = ?, advice = ? WHERE id = ?`,
    ...[nowMs, d.episodeVersion, d.policy ?? null, d.policyHash, d.action ?? null, d.target ?? null],
    ...[JSON.stringify(d.params), d.because, d.evidenceHash ?? null, JSON.stringify(d.advice), id],
  );
  await db.run('DELETE FROM guard_result WHERE decision_id = ?', id);
  await writeTrace(db, id, d);
}

async function writeTrace(db: Tx, id: string, { trace }: NewDecision): Promise<void> {
  for (const [ord, g] of trace.entries()) {
    await db.run(
      'INSERT INTO guard_result(decision_id, ord, guard, result, code, because, inputs) VALUES(?, ?, ?, ?, ?, ?, ?)',
      ...[id, ord, g.guard, g.result, g.code, g.because, JSON.stringify(g.inputs)],
    );
  }
}
