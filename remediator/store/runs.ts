// Claim, lease, journal: who may act, proven at every write.
import { randomUUIDv7 } from 'node:crypto';
import { proveDead } from '../holder.ts';
import type { Json, Run } from '../model.ts';
import { int, journalEntryOf, maybe, runOf, text } from './rows.ts';
import { claimIn, scopeOf, takeLease, used } from './claim.ts';
import type { Db, Row, Tx } from './db.ts';
import { writeJournal } from './journal.ts';
import { writeAudit } from './people.ts';
import { StoreError, type Hold, type Store } from './store.ts';

type Runs = Pick<
  Store,
  | 'claim'
  | 'run'
  | 'activeRuns'
  | 'activeRunOf'
  | 'runsOf'
  | 'budgetUsed'
  | 'appendJournal'
  | 'journalOf'
  | 'renewLease'
  | 'adopt'
  | 'setRun'
  | 'endRun'
>;

export function runsIn(db: Db): Runs {
  const read = async (sql: string, ...values: readonly (string | number | null)[]): Promise<readonly Run[]> =>
    (await db.all(sql, ...values)).map(runOf);
  return {
    claim: async (claim, nowMs) => await claimIn(db, claim, nowMs),
    run: async (id) => (await read('SELECT * FROM run WHERE id = ?', id))[0],
    activeRuns: () => read(`SELECT * FROM run WHERE state <> 'ended' ORDER BY claimed_ms, id`),
    activeRunOf: async (target) => (await read('SELECT * FROM run WHERE active_key = ?', target))[0],
    runsOf: ({ episodeId, target, limit }) =>
      read(
        `SELECT * FROM run WHERE (? IS NULL OR episode_id = ?) AND (? IS NULL OR target = ?)
           ORDER BY claimed_ms DESC, id DESC LIMIT ?`,
        ...[episodeId ?? null, episodeId ?? null, target ?? null, target ?? null, limit],
      ),
    budgetUsed: (scope, sinceMs) => used(db, scope, sinceMs),
    appendJournal: async (hold, entry, nowMs) =>
      await db.transact(async (db) => {
        const atMs = await requireLease(db, hold, nowMs);
        if (entry.kind === 'intent') {
          await db.run(
            'UPDATE run SET first_mutation_ms = coalesce(first_mutation_ms, ?) WHERE id = ?',
            atMs,
            hold.runId,
          );
          await db.run(`UPDATE budget_entry SET state = 'spent' WHERE run_id = ? AND state = 'held'`, hold.runId);
        }
        return await writeJournal(db, hold, entry, atMs);
      }),
    journalOf: async (runId) =>
      (await db.all('SELECT * FROM journal WHERE run_id = ? ORDER BY n', runId)).map(journalEntryOf),
    renewLease: async (hold, ttlMs, nowMs) =>
      await db.transact(async (db) => {
        const lease = await lockedLease(db, hold.target);
        const t = await db.now(nowMs);
        if (leaseFault(lease, hold, t) !== undefined) return false;
        await db.run('UPDATE lease SET expires_ms = ? WHERE scope = ?', t + ttlMs, scopeOf(hold.target));
        return true;
      }),
    adopt: async (runId, holder, ttlMs, nowMs, graceMs = 0) => await adoptIn(db, runId, holder, ttlMs, nowMs, graceMs),
    setRun: async (hold, change, nowMs) => {
      await db.transact(async (db) => {
        await requireLease(db, hold, nowMs);
        await db.run(
          'UPDATE run SET state = coalesce(?, state), evidence_path = coalesce(?, evidence_path) WHERE id = ?',
          change.state ?? null,
          change.evidencePath ?? null,
          hold.runId,
        );
      });
    },
    endRun: async (hold, end, nowMs) => {
      await db.transact(async (db) => {
        const atMs = await requireLease(db, hold, nowMs);
        const data = { because: end.because, ...(end.latch === undefined ? {} : { latch: end.latch }) };
        await writeJournal(db, hold, { kind: 'ended', step: '', attempt: 0, outcome: end.outcome, data }, atMs);
        await db.run(
          `UPDATE run SET state = 'ended', active_key = NULL, ended_ms = ?, cooldown_until_ms = ?, outcome = ?,
               because = ? WHERE id = ?`,
          ...[atMs, atMs + end.cooldownMs, end.outcome, end.because, hold.runId],
        );
        // An entry that no intent has spent by now was of a run that changed nothing.
        await db.run(`UPDATE budget_entry SET state = 'released' WHERE run_id = ? AND state = 'held'`, hold.runId);
        // The row stays, with its fence: deleted, the next fence would begin anew below one that a target has seen.
        await db.run(
          'UPDATE lease SET holder = NULL, run_id = NULL, expires_ms = 0 WHERE scope = ?',
          scopeOf(hold.target),
        );
        const latch = end.latch ?? (end.outcome === 'outcome_unknown' ? end.because : undefined);
        if (latch !== undefined) await setLatch(db, scopeOf(hold.target), latch, hold.runId, atMs);
      });
    },
  };
}

/** Nobody takes it over, renews or frees it until the end of this transaction. */
async function lockedLease(db: Tx, target: string): Promise<Row | undefined> {
  return await db.get(`SELECT * FROM lease WHERE scope = ?${db.forUpdate}`, scopeOf(target));
}

/** Why this hold may not write, if so. */
function leaseFault(row: Row | undefined, hold: Hold, t: number): string | undefined {
  if (row === undefined) return 'the lease is missing';
  if (row['holder'] !== hold.holder || row['run_id'] !== hold.runId || row['fence'] !== hold.fence) {
    return `the lease is with ${maybe(text, row, 'holder') ?? 'nobody'}, fence ${int(row, 'fence')}`;
  }
  return int(row, 'expires_ms') > t ? undefined : 'the lease is over';
}

/** @returns the time, read under the lock. @throws StoreError `fenced` */
async function requireLease(db: Tx, hold: Hold, nowMs: () => number): Promise<number> {
  const lease = await lockedLease(db, hold.target);
  const t = await db.now(nowMs);
  const fault = leaseFault(lease, hold, t);
  if (fault !== undefined) throw new StoreError('fenced', `run ${hold.runId}, fence ${hold.fence}: ${fault}`);
  return t;
}

/**
 * A run is taken over when its lease is over, when it is this holder's own, or when its holder is proven dead: a
 * process of this machine whose pid is gone or belongs to a later start. The proof is kept in the audit.
 */
async function adoptIn(
  db: Db,
  runId: string,
  holder: string,
  ttlMs: number,
  nowMs: () => number,
  graceMs: number,
): Promise<Hold | undefined> {
  return await db.transact(async (db) => {
    const row = await db.get(`SELECT target FROM run WHERE id = ? AND state <> 'ended'`, runId);
    if (row === undefined) return undefined;
    const target = text(row, 'target');
    const lease = await lockedLease(db, target);
    if (lease === undefined) return undefined;
    const t = await db.now(nowMs);
    // The run may have ended while this waited for the lock.
    const still = await db.get(`SELECT target FROM run WHERE id = ? AND state <> 'ended'`, runId);
    if (still === undefined) return undefined;
    const evidence = mayTake(lease, holder, t, graceMs);
    if (evidence === undefined) return undefined;
    const fence = await takeLease(db, scopeOf(target), holder, runId, t, ttlMs);
    await db.run('UPDATE run SET fence = ? WHERE id = ?', fence, runId);
    const detail: Json = { target, fence, formerHolder: maybe(text, lease, 'holder') ?? null, evidence };
    await writeAudit(db, { atMs: t, actor: 'auto', via: holder, verb: 'adopt', object: runId, detail });
    return { runId, target, holder, fence };
  });
}

function mayTake(lease: Row, holder: string, t: number, graceMs: number): string | undefined {
  const former = maybe(text, lease, 'holder');
  if (former === undefined) return 'nobody held the lease';
  if (former === holder) return 'the same holder';
  if (int(lease, 'expires_ms') + graceMs <= t) return `the lease ended at ${int(lease, 'expires_ms')}`;
  const proof = proveDead(former);
  return proof.is === 'dead' ? proof.evidence : undefined;
}

/** An open latch keeps its first reason. */
async function setLatch(db: Tx, scope: string, reason: string, runId: string, atMs: number): Promise<void> {
  if ((await db.get('SELECT id FROM latch WHERE open_key = ?', scope)) !== undefined) return;
  await db.run(
    'INSERT INTO latch(id, open_key, scope, reason, run_id, set_ms) VALUES(?, ?, ?, ?, ?, ?)',
    ...[randomUUIDv7(), scope, scope, reason, runId, atMs],
  );
}
