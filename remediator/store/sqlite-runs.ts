// Claim, lease, journal: who may act, proven at every write.
import { randomUUIDv7 } from 'node:crypto';
import { proveDead } from '../holder.ts';
import type { JournalEntry, Json, Run } from '../model.ts';
import { int, journalEntryOf, maybe, runOf, text } from './rows.ts';
import { isConstraint, type Db, type Row } from './sqlite-db.ts';
import { settle } from './sqlite-intake.ts';
import { writeAudit } from './sqlite-people.ts';
import { StoreError, type Claim, type ClaimResult, type Hold, type NewJournalEntry, type Store } from './store.ts';

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
  const read = (sql: string, ...values: readonly (string | number | null)[]): readonly Run[] =>
    db.all(sql, ...values).map(runOf);
  return {
    claim: (claim, nowMs) => settle(() => claimIn(db, claim, nowMs)),
    run: (id) => settle(() => read('SELECT * FROM run WHERE id = ?', id)[0]),
    activeRuns: () => settle(() => read(`SELECT * FROM run WHERE state <> 'ended' ORDER BY claimed_ms, id`)),
    activeRunOf: (target) => settle(() => read('SELECT * FROM run WHERE active_key = ?', target)[0]),
    runsOf: ({ episodeId, target, limit }) =>
      settle(() =>
        read(
          `SELECT * FROM run WHERE (? IS NULL OR episode_id = ?) AND (? IS NULL OR target = ?)
           ORDER BY claimed_ms DESC, id DESC LIMIT ?`,
          ...[episodeId ?? null, episodeId ?? null, target ?? null, target ?? null, limit],
        ),
      ),
    budgetUsed: (scope, sinceMs) => settle(() => used(db, scope, sinceMs)),
    appendJournal: (hold, entry, nowMs) =>
      settle(() =>
        db.transact(() => {
          const atMs = requireLease(db, hold, nowMs);
          if (entry.kind === 'intent') {
            db.run('UPDATE run SET first_mutation_ms = coalesce(first_mutation_ms, ?) WHERE id = ?', atMs, hold.runId);
            db.run(`UPDATE budget_entry SET state = 'spent' WHERE run_id = ? AND state = 'held'`, hold.runId);
          }
          return writeJournal(db, hold, entry, atMs);
        }),
      ),
    journalOf: (runId) =>
      settle(() => db.all('SELECT * FROM journal WHERE run_id = ? ORDER BY n', runId).map(journalEntryOf)),
    renewLease: (hold, ttlMs, nowMs) =>
      settle(() =>
        db.transact(() => {
          const t = nowMs();
          if (leaseFault(db, hold, t) !== undefined) return false;
          db.run('UPDATE lease SET expires_ms = ? WHERE scope = ?', t + ttlMs, scopeOf(hold.target));
          return true;
        }),
      ),
    adopt: (runId, holder, ttlMs, nowMs) => settle(() => adoptIn(db, runId, holder, ttlMs, nowMs)),
    setRun: (hold, change, nowMs) =>
      settle(() => {
        db.transact(() => {
          requireLease(db, hold, nowMs);
          db.run(
            'UPDATE run SET state = coalesce(?, state), evidence_path = coalesce(?, evidence_path) WHERE id = ?',
            change.state ?? null,
            change.evidencePath ?? null,
            hold.runId,
          );
        });
      }),
    endRun: (hold, end, nowMs) =>
      settle(() => {
        db.transact(() => {
          const atMs = requireLease(db, hold, nowMs);
          const data = { because: end.because, ...(end.latch === undefined ? {} : { latch: end.latch }) };
          writeJournal(db, hold, { kind: 'ended', step: '', attempt: 0, outcome: end.outcome, data }, atMs);
          db.run(
            `UPDATE run SET state = 'ended', active_key = NULL, ended_ms = ?, cooldown_until_ms = ?, outcome = ?,
               because = ? WHERE id = ?`,
            ...[atMs, atMs + end.cooldownMs, end.outcome, end.because, hold.runId],
          );
          // An entry that no intent has spent by now was of a run that changed nothing.
          db.run(`UPDATE budget_entry SET state = 'released' WHERE run_id = ? AND state = 'held'`, hold.runId);
          // The row stays, with its fence: deleted, the next fence would begin anew below one that a target has seen.
          db.run('UPDATE lease SET holder = NULL, run_id = NULL, expires_ms = 0 WHERE scope = ?', scopeOf(hold.target));
          const latch = end.latch ?? (end.outcome === 'outcome_unknown' ? end.because : undefined);
          if (latch !== undefined) setLatch(db, scopeOf(hold.target), latch, hold.runId, atMs);
        });
      }),
  };
}

function scopeOf(target: string): string {
  return `target:${target}`;
}

/**
 * One transaction: locks first (here BEGIN IMMEDIATE is the lock), then the clock, then the counts. Reading the clock or
 * counting before the lock let 12 processes overrun a budget of 3 up to 13 times.
 */
function claimIn(db: Db, claim: Claim, nowMs: () => number): ClaimResult {
  const scope = scopeOf(claim.target);
  const scopes = [...new Set(['global', scope, ...claim.budgets.map((b) => b.scope)])].sort();
  try {
    return db.transact((): ClaimResult => {
      for (const s of scopes) {
        if (db.get('SELECT scope FROM lease WHERE scope = ?', s) !== undefined) continue;
        db.run('INSERT INTO lease(scope, fence, expires_ms) VALUES(?, 0, 0)', s);
      }
      const t = nowMs();
      const refusal = refusalOf(db, claim, scopes, t);
      if (refusal !== undefined) return refusal;
      const cas = db.run(
        `UPDATE episode SET attempts = attempts + 1, version = version + 1 WHERE id = ? AND version = ? AND state = 'open'`,
        claim.episodeId,
        claim.episodeVersion,
      );
      if (cas !== 1) return lost('stale', 'the episode has changed since it was decided on');
      const fence = takeLease(db, scope, claim.holder, claim.runId, t, claim.ttlMs);
      insertRun(db, claim, fence, t);
      const hold: Hold = { runId: claim.runId, target: claim.target, holder: claim.holder, fence };
      const suffix = claim.actor.startsWith('human:') ? '/human' : '';
      for (const s of scopes) {
        db.run(
          `INSERT INTO budget_entry(scope, run_id, at_ms, state) VALUES(?, ?, ?, 'held')`,
          s + suffix,
          claim.runId,
          t,
        );
      }
      const data = { action: claim.action, target: claim.target, params: claim.params, actor: claim.actor };
      writeJournal(db, hold, { kind: 'claimed', step: '', attempt: claim.attempt, data }, t);
      writeAudit(db, {
        atMs: t,
        actor: claim.actor,
        via: claim.holder,
        verb: 'claim',
        object: claim.runId,
        detail: data,
      });
      const row = db.get('SELECT * FROM run WHERE id = ?', claim.runId);
      if (row === undefined) throw new StoreError('broken', 'a run vanished within its transaction');
      return { won: true, run: runOf(row), hold };
    });
  } catch (error) {
    // UNIQUE(episode_id, attempt) or active_key
    if (isConstraint(error)) return lost('stale', 'this attempt was made already');
    throw error;
  }
}

type Lost = Extract<ClaimResult, { won: false }>;
function lost(code: Lost['code'], because: string): Lost {
  return { won: false, code, because };
}

function refusalOf(db: Db, claim: Claim, scopes: readonly string[], t: number): Lost | undefined {
  const scope = scopeOf(claim.target);
  const marks = scopes.map(() => '?').join(', ');
  const pauses = db.all(`SELECT * FROM pause_switch WHERE scope IN (${marks})`, ...scopes);
  if (!pauses.some((p) => p['scope'] === 'global')) return lost('paused', 'the switch in the store is missing');
  const pause = pauses.find((p) => p['paused'] !== 0 && (p['until_ms'] === null || int(p, 'until_ms') > t));
  if (pause !== undefined) {
    return lost('paused', `${text(pause, 'scope')} is paused by ${text(pause, 'set_by')}: ${text(pause, 'reason')}`);
  }
  const latch = db.get(`SELECT * FROM latch WHERE open_key IN (${marks}) LIMIT 1`, ...scopes);
  if (latch !== undefined) return lost('latched', `${text(latch, 'scope')}: ${text(latch, 'reason')}`);
  const cooling = db.get(
    'SELECT id, cooldown_until_ms FROM run WHERE target = ? AND cooldown_until_ms > ? LIMIT 1',
    claim.target,
    t,
  );
  if (cooling !== undefined) {
    const leftSeconds = Math.ceil((int(cooling, 'cooldown_until_ms') - t) / 1000);
    return lost('cooldown', `run ${text(cooling, 'id')} ended a short time ago: ${leftSeconds} s left`);
  }
  const active = db.get('SELECT id FROM run WHERE active_key = ?', claim.target);
  if (active !== undefined) return lost('active', `run ${text(active, 'id')} is not over`);
  const lease = db.get('SELECT * FROM lease WHERE scope = ?', scope);
  if (lease === undefined || (lease['holder'] !== null && int(lease, 'expires_ms') > t)) {
    return lost(
      'leased',
      `${claim.target} is held by ${lease === undefined ? 'nobody knows whom' : text(lease, 'holder')}`,
    );
  }
  if (claim.actor.startsWith('human:')) return undefined;
  for (const { scope: counted, max, windowMs } of claim.budgets) {
    const n = used(db, counted, t - windowMs);
    if (!(n < max)) return lost('budget', `${n} of ${max} runs of ${counted} within ${windowMs / 60_000} min are used`);
  }
  return undefined;
}

function used(db: Db, scope: string, sinceMs: number): number {
  const row = db.get(
    `SELECT count(*) AS n FROM budget_entry WHERE scope = ? AND at_ms > ? AND state <> 'released'`,
    scope,
    sinceMs,
  );
  if (row === undefined) throw new StoreError('broken', 'no count');
  return int(row, 'n');
}

function takeLease(db: Db, scope: string, holder: string, runId: string, t: number, ttlMs: number): number {
  const row = db.get(
    `UPDATE lease SET fence = fence + 1, holder = ?, run_id = ?, acquired_ms = ?, expires_ms = ? WHERE scope = ?
     RETURNING fence`,
    ...[holder, runId, t, t + ttlMs, scope],
  );
  if (row === undefined) throw new StoreError('broken', `the lease of ${scope} is missing`);
  return int(row, 'fence');
}

function insertRun(db: Db, c: Claim, fence: number, t: number): void {
  db.run(
    `INSERT INTO run(id, episode_id, attempt, decision_id, action, plan_hash, policy_json, params, target, active_key,
       actor, fence, state, claimed_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?)`,
    ...[c.runId, c.episodeId, c.attempt, c.decisionId, c.action, c.planHash, JSON.stringify(c.policy)],
    ...[JSON.stringify(c.params), c.target, c.target, c.actor, fence, t],
  );
}

/** Why this hold may not write, if so. */
function leaseFault(db: Db, hold: Hold, t: number): string | undefined {
  const row = db.get('SELECT * FROM lease WHERE scope = ?', scopeOf(hold.target));
  if (row === undefined) return 'the lease is missing';
  if (row['holder'] !== hold.holder || row['run_id'] !== hold.runId || row['fence'] !== hold.fence) {
    return `the lease is with ${maybe(text, row, 'holder') ?? 'nobody'}, fence ${int(row, 'fence')}`;
  }
  return int(row, 'expires_ms') > t ? undefined : 'the lease is over';
}

/** @returns the time, read under the lock. @throws StoreError `fenced` */
function requireLease(db: Db, hold: Hold, nowMs: () => number): number {
  const t = nowMs();
  const fault = leaseFault(db, hold, t);
  if (fault !== undefined) throw new StoreError('fenced', `run ${hold.runId}, fence ${hold.fence}: ${fault}`);
  return t;
}

function writeJournal(db: Db, hold: Hold, entry: NewJournalEntry, atMs: number): JournalEntry {
  const row: Row | undefined = db.get(
    `INSERT INTO journal(run_id, n, kind, step, attempt, outcome, fence, holder, at_ms, data)
     SELECT ?, coalesce(max(n), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ? FROM journal WHERE run_id = ? RETURNING *`,
    ...[hold.runId, entry.kind, entry.step, entry.attempt, entry.outcome ?? null, hold.fence, hold.holder, atMs],
    ...[JSON.stringify(entry.data), hold.runId],
  );
  if (row === undefined) throw new StoreError('broken', 'the journal took no entry');
  return journalEntryOf(row);
}

/**
 * A run is taken over when its lease is over, when it is this holder's own, or when its holder is proven dead: a
 * process of this machine whose pid is gone or belongs to a later start. The proof is kept in the audit.
 */
function adoptIn(db: Db, runId: string, holder: string, ttlMs: number, nowMs: () => number): Hold | undefined {
  return db.transact(() => {
    const row = db.get(`SELECT target FROM run WHERE id = ? AND state <> 'ended'`, runId);
    if (row === undefined) return undefined;
    const target = text(row, 'target');
    const lease = db.get('SELECT * FROM lease WHERE scope = ?', scopeOf(target));
    if (lease === undefined) return undefined;
    const t = nowMs();
    const evidence = mayTake(lease, holder, t);
    if (evidence === undefined) return undefined;
    const fence = takeLease(db, scopeOf(target), holder, runId, t, ttlMs);
    db.run('UPDATE run SET fence = ? WHERE id = ?', fence, runId);
    const detail: Json = { target, fence, formerHolder: maybe(text, lease, 'holder') ?? null, evidence };
    writeAudit(db, { atMs: t, actor: 'auto', via: holder, verb: 'adopt', object: runId, detail });
    return { runId, target, holder, fence };
  });
}

function mayTake(lease: Row, holder: string, t: number): string | undefined {
  const former = maybe(text, lease, 'holder');
  if (former === undefined) return 'nobody held the lease';
  if (former === holder) return 'the same holder';
  if (int(lease, 'expires_ms') <= t) return `the lease ended at ${int(lease, 'expires_ms')}`;
  const proof = proveDead(former);
  return proof.is === 'dead' ? proof.evidence : undefined;
}

/** An open latch keeps its first reason. */
function setLatch(db: Db, scope: string, reason: string, runId: string, atMs: number): void {
  if (db.get('SELECT id FROM latch WHERE open_key = ?', scope) !== undefined) return;
  db.run(
    'INSERT INTO latch(id, open_key, scope, reason, run_id, set_ms) VALUES(?, ?, ?, ?, ?, ?)',
    ...[randomUUIDv7(), scope, scope, reason, runId, atMs],
  );
}
