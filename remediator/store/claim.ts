// The right to act on a target: won by one transaction, or by nobody.
import { approvalFault, useApproval } from './approvals.ts';
import { writeJournal } from './journal.ts';
import { int, runOf, text } from './rows.ts';
import { isConstraint, type Db } from './sqlite-db.ts';
import { writeAudit } from './sqlite-people.ts';
import { StoreError, type Claim, type ClaimResult, type Hold } from './store.ts';

export function scopeOf(target: string): string {
  return `target:${target}`;
}

/**
 * One transaction: locks first (here BEGIN IMMEDIATE is the lock), then the clock, then the counts. Reading the clock or
 * counting before the lock let 12 processes overrun a budget of 3 up to 13 times.
 */
export function claimIn(db: Db, claim: Claim, nowMs: () => number): ClaimResult {
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
      // Nothing may stay of a claim that loses here: thrown, so that it is rolled back.
      if (!useApproval(db, claim, t)) throw new LostClaim(lost('approval', 'another claim has used the approval up'));
      const fence = takeLease(db, scope, claim.holder, claim.runId, t, claim.ttlMs);
      insertRun(db, claim, fence, t);
      const hold: Hold = { runId: claim.runId, target: claim.target, holder: claim.holder, fence };
      const suffix = isHuman(claim) ? '/human' : '';
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
    if (error instanceof LostClaim) return error.lost;
    // UNIQUE(episode_id, attempt) or active_key
    if (isConstraint(error)) return lost('stale', 'this attempt was made already');
    throw error;
  }
}

type Lost = Extract<ClaimResult, { won: false }>;

class LostClaim extends Error {
  readonly lost: Lost;
  constructor(result: Lost) {
    super(result.because);
    this.lost = result;
  }
}

function lost(code: Lost['code'], because: string): Lost {
  return { won: false, code, because };
}

function refusalOf(db: Db, claim: Claim, scopes: readonly string[], t: number): Lost | undefined {
  const scope = scopeOf(claim.target);
  const watched = [...new Set([...scopes, ...(claim.pipelines ?? []).map((p) => `pipeline:${p}`)])];
  const held = heldBack(db, claim, watched, t);
  if (held !== undefined) return held;
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
  if (claim.maxConcurrent !== undefined) {
    const running = countOf(db, `SELECT count(*) AS n FROM run WHERE state = 'running'`);
    if (!(running < claim.maxConcurrent)) {
      return lost('active', `${running} of at most ${claim.maxConcurrent} runs at a time are under way elsewhere`);
    }
  }
  for (const { scope: counted, max, windowMs } of isHuman(claim) ? [] : claim.budgets) {
    const n = used(db, counted, t - windowMs);
    if (!(n < max)) return lost('budget', `${n} of ${max} runs of ${counted} within ${windowMs / 60_000} min are used`);
  }
  const fault = approvalFault(db, claim, t);
  return fault === undefined ? undefined : lost('approval', fault);
}

/** The switch, latches, maintenance, a demoted policy, a storm: read again here, whatever the guards saw before. */
function heldBack(db: Db, claim: Claim, scopes: readonly string[], t: number): Lost | undefined {
  const marks = scopes.map(() => '?').join(', ');
  const pauses = db.all(`SELECT * FROM pause_switch WHERE scope IN (${marks})`, ...scopes);
  if (!pauses.some((p) => p['scope'] === 'global')) return lost('paused', 'the switch in the store is missing');
  const pause = pauses.find((p) => p['paused'] !== 0 && (p['until_ms'] === null || int(p, 'until_ms') > t));
  if (pause !== undefined) {
    return lost('paused', `${text(pause, 'scope')} is paused by ${text(pause, 'set_by')}: ${text(pause, 'reason')}`);
  }
  const latch = db.get(`SELECT * FROM latch WHERE open_key IN (${marks}) LIMIT 1`, ...scopes);
  if (latch !== undefined) return lost('latched', `${text(latch, 'scope')}: ${text(latch, 'reason')}`);
  const work = db.get(
    `SELECT * FROM maintenance WHERE scope IN (${marks}) AND starts_ms <= ? AND ends_ms > ? AND ended_ms IS NULL LIMIT 1`,
    ...[...scopes, t, t],
  );
  if (work !== undefined) {
    return lost('maintenance', `${text(work, 'owner')} works on ${text(work, 'scope')}: ${text(work, 'reason')}`);
  }
  // What a person starts is that person's own decision, as before a demotion or in a storm.
  if (isHuman(claim)) return undefined;
  const demotion = db.get(
    'SELECT * FROM demotion WHERE policy = ? AND target = ?',
    ...[policyNameOf(claim), claim.target],
  );
  if (demotion !== undefined && (demotion['mode'] !== 'approve' || claim.approval === undefined)) {
    return lost(
      'demoted',
      `${text(demotion, 'policy')} is held at ${text(demotion, 'mode')}: ${text(demotion, 'reason')}`,
    );
  }
  const storm = db.get(`SELECT * FROM storm WHERE scope = 'global' AND state <> 'calm'`);
  return storm === undefined ? undefined : lost('storm', 'many targets alert at once: the cause is elsewhere');
}

function isHuman({ actor }: Claim): boolean {
  return actor.startsWith('human:');
}

function policyNameOf({ policy }: Claim): string {
  const name = typeof policy === 'object' && policy !== null && 'name' in policy ? policy['name'] : undefined;
  return typeof name === 'string' ? name : '';
}

export function used(db: Db, scope: string, sinceMs: number): number {
  return countOf(
    db,
    `SELECT count(*) AS n FROM budget_entry WHERE scope = ? AND at_ms > ? AND state <> 'released'`,
    ...[scope, sinceMs],
  );
}

function countOf(db: Db, sql: string, ...values: readonly (string | number)[]): number {
  const row = db.get(sql, ...values);
  if (row === undefined) throw new StoreError('broken', 'no count');
  return int(row, 'n');
}

export function takeLease(db: Db, scope: string, holder: string, runId: string, t: number, ttlMs: number): number {
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
