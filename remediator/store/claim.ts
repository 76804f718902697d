// The right to act on a target: won by one transaction, or by nobody.
import { approvalFault, useApproval } from './approvals.ts';
import { writeJournal } from './journal.ts';
import { int, runOf, text } from './rows.ts';
import { ConstraintError, LostCommitError, type Db, type Tx } from './db.ts';
import { writeAudit } from './people.ts';
import { StoreError, type Claim, type ClaimResult, type Hold } from './store.ts';

export function scopeOf(target: string): string {
  return `target:${target}`;
}

/**
 * One transaction: locks first (here BEGIN IMMEDIATE is the lock), then the clock, then the counts. Reading the clock or
 * counting before the lock let 12 processes overrun a budget of 3 up to 13 times.
 */
export async function claimIn(db: Db, claim: Claim, nowMs: () => number): Promise<ClaimResult> {
  const scope = scopeOf(claim.target);
  const scopes = [...new Set(['global', scope, ...claim.budgets.map((b) => b.scope)])].sort();
  try {
    await makeLeases(db, scopes);
    return await db.transact(async (db): Promise<ClaimResult> => {
      const locked = await db.all(
        `SELECT scope FROM lease WHERE scope IN (${marksOf(scopes)}) ORDER BY scope${db.forUpdate}`,
        ...scopes,
      );
      if (locked.length !== scopes.length) throw new StoreError('broken', 'a lease has vanished from the store');
      const t = await db.now(nowMs);
      const refusal = await refusalOf(db, claim, scopes, t);
      if (refusal !== undefined) return refusal;
      const cas = await db.run(
        `UPDATE episode SET attempts = attempts + 1, version = version + 1 WHERE id = ? AND version = ? AND state = 'open'`,
        claim.episodeId,
        claim.episodeVersion,
      );
      if (cas !== 1) return lost('stale', 'the episode has changed since it was decided on');
      // Nothing may stay of a claim that loses here: thrown, so that it is rolled back.
      if (!(await useApproval(db, claim, t)))
        throw new LostClaim(lost('approval', 'another claim has used the approval up'));
      const fence = await takeLease(db, scope, claim.holder, claim.runId, t, claim.ttlMs);
      await insertRun(db, claim, fence, t);
      const hold: Hold = { runId: claim.runId, target: claim.target, holder: claim.holder, fence };
      const suffix = isHuman(claim) ? '/human' : '';
      for (const s of scopes) {
        await db.run(
          `INSERT INTO budget_entry(scope, run_id, at_ms, state) VALUES(?, ?, ?, 'held')`,
          s + suffix,
          claim.runId,
          t,
        );
      }
      const data = { action: claim.action, target: claim.target, params: claim.params, actor: claim.actor };
      await writeJournal(db, hold, { kind: 'claimed', step: '', attempt: claim.attempt, data }, t);
      await writeAudit(db, {
        atMs: t,
        actor: claim.actor,
        via: claim.holder,
        verb: 'claim',
        object: claim.runId,
        detail: data,
      });
      const row = await db.get('SELECT * FROM run WHERE id = ?', claim.runId);
      if (row === undefined) throw new StoreError('broken', 'a run vanished within its transaction');
      return { won: true, run: runOf(row), hold };
    });
  } catch (error) {
    if (error instanceof LostClaim) return error.lost;
    if (error instanceof LostCommitError) return await claimedAfterAll(db, claim, error);
    // UNIQUE(episode_id, attempt) or active_key
    if (error instanceof ConstraintError) return lost('stale', 'this attempt was made already');
    throw error;
  }
}

/** Made before they are locked: of two that lock a row that is not there, both would go on. */
async function makeLeases(db: Db, scopes: readonly string[]): Promise<void> {
  const there = await db.all(`SELECT scope FROM lease WHERE scope IN (${marksOf(scopes)})`, ...scopes);
  const known = new Set(there.map((row) => text(row, 'scope')));
  for (const scope of scopes) {
    if (known.has(scope)) continue;
    try {
      await db.run('INSERT INTO lease(scope, fence, expires_ms) VALUES(?, 0, 0)', scope);
    } catch (error) {
      if (!(error instanceof ConstraintError)) throw error; // another process was faster
    }
  }
}

/** The answer to COMMIT was lost, and the session that sent it is gone: the run is there, or it never will be. */
async function claimedAfterAll(db: Db, claim: Claim, cause: Error): Promise<ClaimResult> {
  const row = await db.get('SELECT * FROM run WHERE id = ?', claim.runId);
  if (row === undefined) throw new StoreError('broken', 'the claim was not stored', { cause });
  const run = runOf(row);
  return { won: true, run, hold: { runId: run.id, target: run.target, holder: claim.holder, fence: run.fence } };
}

function marksOf(values: readonly unknown[]): string {
  return values.map(() => '?').join(', ');
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

async function refusalOf(db: Tx, claim: Claim, scopes: readonly string[], t: number): Promise<Lost | undefined> {
  const scope = scopeOf(claim.target);
  const watched = [...new Set([...scopes, ...(claim.pipelines ?? []).map((p) => `pipeline:${p}`)])];
  const held = await heldBack(db, claim, watched, t);
  if (held !== undefined) return held;
  const cooling = await db.get(
    'SELECT id, cooldown_until_ms FROM run WHERE target = ? AND cooldown_until_ms > ? LIMIT 1',
    claim.target,
    t,
  );
  if (cooling !== undefined) {
    const leftSeconds = Math.ceil((int(cooling, 'cooldown_until_ms') - t) / 1000);
    return lost('cooldown', `run ${text(cooling, 'id')} ended a short time ago: ${leftSeconds} s left`);
  }
  const active = await db.get('SELECT id FROM run WHERE active_key = ?', claim.target);
  if (active !== undefined) return lost('active', `run ${text(active, 'id')} is not over`);
  const lease = await db.get('SELECT * FROM lease WHERE scope = ?', scope);
  if (lease === undefined || (lease['holder'] !== null && int(lease, 'expires_ms') > t)) {
    return lost(
      'leased',
      `${claim.target} is held by ${lease === undefined ? 'nobody knows whom' : text(lease, 'holder')}`,
    );
  }
  if (claim.maxConcurrent !== undefined) {
    const running = await countOf(db, `SELECT count(*) AS n FROM run WHERE state = 'running'`);
    if (!(running < claim.maxConcurrent)) {
      return lost('active', `${running} of at most ${claim.maxConcurrent} runs at a time are under way elsewhere`);
    }
  }
  for (const { scope: counted, max, windowMs } of isHuman(claim) ? [] : claim.budgets) {
    const n = await used(db, counted, t - windowMs);
    if (!(n < max)) return lost('budget', `${n} of ${max} runs of ${counted} within ${windowMs / 60_000} min are used`);
  }
  const fault = await approvalFault(db, claim, t);
  return fault === undefined ? undefined : lost('approval', fault);
}

/** The switch, latches, maintenance, a demoted policy, a storm: read again here, whatever the guards saw before. */
async function heldBack(db: Tx, claim: Claim, scopes: readonly string[], t: number): Promise<Lost | undefined> {
  const marks = marksOf(scopes);
  const pauses = await db.all(`SELECT * FROM pause_switch WHERE scope IN (${marks})`, ...scopes);
  if (!pauses.some((p) => p['scope'] === 'global')) return lost('paused', 'the switch in the store is missing');
  const pause = pauses.find((p) => p['paused'] !== 0 && (p['until_ms'] === null || int(p, 'until_ms') > t));
  if (pause !== undefined) {
    return lost('paused', `${text(pause, 'scope')} is paused by ${text(pause, 'set_by')}: ${text(pause, 'reason')}`);
  }
  const latch = await db.get(`SELECT * FROM latch WHERE open_key IN (${marks}) LIMIT 1`, ...scopes);
  if (latch !== undefined) return lost('latched', `${text(latch, 'scope')}: ${text(latch, 'reason')}`);
  const work = await db.get(
    `SELECT * FROM maintenance WHERE scope IN (${marks}) AND starts_ms <= ? AND ends_ms > ? AND ended_ms IS NULL LIMIT 1`,
    ...[...scopes, t, t],
  );
  if (work !== undefined) {
    return lost('maintenance', `${text(work, 'owner')} works on ${text(work, 'scope')}: ${text(work, 'reason')}`);
  }
  const demotion = await db.get(
    'SELECT * FROM demotion WHERE policy = ? AND target = ?',
    ...[policyNameOf(claim), claim.target],
  );
  if (demotion !== undefined && (demotion['mode'] !== 'approve' || claim.approval === undefined)) {
    return lost(
      'demoted',
      `${text(demotion, 'policy')} is held at ${text(demotion, 'mode')}: ${text(demotion, 'reason')}`,
    );
  }
  const storm = await db.get(`SELECT * FROM storm WHERE scope = 'global' AND state <> 'calm'`);
  return storm === undefined ? undefined : lost('storm', 'many targets alert at once: the cause is elsewhere');
}

function isHuman({ actor }: Claim): boolean {
  return actor.startsWith('human:');
}

function policyNameOf({ policy }: Claim): string {
  const name = typeof policy === 'object' && policy !== null && 'name' in policy ? policy['name'] : undefined;
  return typeof name === 'string' ? name : '';
}

export async function used(db: Tx, scope: string, sinceMs: number): Promise<number> {
  return await countOf(
    db,
    `SELECT count(*) AS n FROM budget_entry WHERE scope = ? AND at_ms > ? AND state <> 'released'`,
    ...[scope, sinceMs],
  );
}

async function countOf(db: Tx, sql: string, ...values: readonly (string | number)[]): Promise<number> {
  const row = await db.get(sql, ...values);
  if (row === undefined) throw new StoreError('broken', 'no count');
  return int(row, 'n');
}

export async function takeLease(
  db: Tx,
  scope: string,
  holder: string,
  runId: string,
  t: number,
  ttlMs: number,
): Promise<number> {
  await db.run(
    `UPDATE lease SET fence = fence + 1, holder = ?, run_id = ?, acquired_ms = ?, expires_ms = ? WHERE scope = ?`,
    ...[holder, runId, t, t + ttlMs, scope],
  );
  const row = await db.get('SELECT fence FROM lease WHERE scope = ?', scope);
  if (row === undefined) throw new StoreError('broken', `the lease of ${scope} is missing`);
  return int(row, 'fence');
}

async function insertRun(db: Tx, c: Claim, fence: number, t: number): Promise<void> {
  await db.run(
    `INSERT INTO run(id, episode_id, attempt, decision_id, action, plan_hash, policy_json, params, target, active_key,
       actor, fence, state, claimed_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?)`,
    ...[c.runId, c.episodeId, c.attempt, c.decisionId, c.action, c.planHash, JSON.stringify(c.policy)],
    ...[JSON.stringify(c.params), c.target, c.target, c.actor, fence, t],
  );
}
