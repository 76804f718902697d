// A person's leave for one repair: asked for, given or not, used up by one claim.
import { randomUUIDv7 } from 'node:crypto';
import type { Approval } from '../model.ts';
import { approvalOf } from './rows.ts';
import type { Db, Tx } from './db.ts';
import { writeAudit } from './people.ts';
import { StoreError, type Claim, type Store } from './store.ts';

/** Those of an older version have no plan. */
const selectApproval = `SELECT approval.*, approval_plan.plan_hash, approval_plan.plan
  FROM approval LEFT JOIN approval_plan ON approval_plan.approval_id = approval.id`;

type Approvals = Pick<Store, 'requestApproval' | 'approval' | 'approvals' | 'decideApproval'>;
type Asked = Parameters<Store['requestApproval']>[0];

export function approvalsIn(db: Db): Approvals {
  return {
    requestApproval: async (asked, nowMs) => await db.transact(async (db) => await request(db, asked, nowMs)),
    approval: async (id) => await byId(db, id),
    approvals: async ({ episodeId, open, nowMs, limit }) =>
      (
        await db.all(
          `${selectApproval} WHERE (? IS NULL OR approval.episode_id = ?)
               AND (? = 0 OR (open_key IS NOT NULL AND expires_ms > ? AND NOT EXISTS
                 (SELECT 1 FROM episode e WHERE e.id = approval.episode_id AND e.state = 'closed')))
             ORDER BY requested_ms DESC, id DESC LIMIT ?`,
          ...[episodeId ?? null, episodeId ?? null, Number(open ?? false), nowMs, limit],
        )
      ).map((row) => asOf(approvalOf(row), nowMs)),
    decideApproval: async (id, verdict, by, comment, nowMs) =>
      await db.transact(async (db) => {
        const before = await byId(db, id);
        if (before === undefined) return { decided: false, because: `there is no request ${id}` };
        const { state } = asOf(before, nowMs);
        if (state !== 'requested') return { decided: false, because: `it is ${state}${decider(before)}` };
        const openKey = verdict === 'approved' ? keyOf(before) : null;
        const decided = await db.run(
          `UPDATE approval SET state = ?, open_key = ?, decided_by = ?, decided_ms = ?, comment = ?
             WHERE id = ? AND state = 'requested'`,
          ...[verdict, openKey, by, nowMs, comment, id],
        );
        const after = await byId(db, id);
        if (decided !== 1 || after === undefined) return { decided: false, because: 'somebody else was faster' };
        const verb = verdict === 'approved' ? 'approve' : 'reject';
        const { episodeId, target, action } = before;
        await writeAudit(db, {
          ...{ atMs: nowMs, actor: by, via: 'store', verb, object: id },
          detail: { comment, episodeId, target, action },
        });
        return { decided: true, approval: after };
      }),
  };
}

/** Why the approval that a claim brings does not carry it, if so. */
export async function approvalFault(db: Tx, claim: Claim, t: number): Promise<string | undefined> {
  if (claim.approval === undefined) return undefined;
  const stored = await byId(db, claim.approval.id);
  if (stored === undefined) return 'there is no such approval';
  const { state } = asOf(stored, t);
  if (state !== 'approved') return `the approval is ${state}`;
  if (stored.episodeId !== claim.episodeId || stored.target !== claim.target || stored.action !== claim.action) {
    return 'the approval is for another repair';
  }
  const { policyHash, evidenceHash, paramsHash, planHash } = claim.approval;
  if (stored.policyHash !== policyHash) return 'the policy has changed since it was approved';
  if (stored.evidenceHash !== evidenceHash) return 'the facts have changed since it was approved';
  if (stored.paramsHash !== paramsHash) return 'the parameters have changed since it was approved';
  if (stored.planHash !== planHash) return 'the plan has changed since it was approved';
  return undefined;
}

/** @returns whether it was there to be used: exactly once, also when two claim with it */
export async function useApproval(db: Tx, claim: Claim, t: number): Promise<boolean> {
  if (claim.approval === undefined) {
    // What was asked for is done now without an answer: neither question nor yes stays over for another repair.
    await db.run(`UPDATE approval SET state = 'void', open_key = NULL WHERE open_key = ?`, keyOf(claim));
    return true;
  }
  const { id, policyHash, evidenceHash, paramsHash, planHash } = claim.approval;
  const used = await db.run(
    `UPDATE approval SET state = 'used', used_by_run = ?, open_key = NULL
     WHERE id = ? AND state = 'approved' AND policy_hash = ? AND evidence_hash = ? AND params_hash = ? AND expires_ms > ?
       AND EXISTS (SELECT 1 FROM approval_plan p WHERE p.approval_id = approval.id AND p.plan_hash = ?)`,
    ...[claim.runId, id, policyHash, evidenceHash, paramsHash, t, planHash],
  );
  return used === 1;
}

async function byId(db: Tx, id: string): Promise<Approval | undefined> {
  const row = await db.get(`${selectApproval} WHERE approval.id = ?`, id);
  return row === undefined ? undefined : approvalOf(row);
}

/** Nobody writes that a request has expired until the next one is asked for. */
function asOf(approval: Approval, nowMs: number): Approval {
  const open = approval.state === 'requested' || approval.state === 'approved';
  return open && approval.expiresMs <= nowMs ? { ...approval, state: 'expired' } : approval;
}

function keyOf({ episodeId, target }: Pick<Approval, 'episodeId' | 'target'>): string {
  return `${episodeId}/${target}`;
}

function decider({ decidedBy }: Approval): string {
  return decidedBy === undefined ? '' : ` (${decidedBy})`;
}

function isSame(a: Approval, b: Asked): boolean {
  return (
    a.policy === b.policy &&
    a.action === b.action &&
    a.policyHash === b.policyHash &&
    a.evidenceHash === b.evidenceHash &&
    a.paramsHash === b.paramsHash &&
    a.planHash === b.planHash
  );
}

async function request(
  db: Tx,
  asked: Asked,
  nowMs: number,
): Promise<{ readonly approval: Approval; readonly isNew: boolean }> {
  const newest = (
    await db.all(
      `${selectApproval} WHERE approval.episode_id = ? AND target = ? ORDER BY requested_ms DESC, id DESC LIMIT 20`,
      ...[asked.episodeId, asked.target],
    )
  ).map(approvalOf);
  // The guard holds a no until the facts change; here the same question is not asked anew while a yes would have held.
  const rejected = newest.find((a) => a.state === 'rejected' && a.expiresMs > nowMs && isSame(a, asked));
  const openRow = await db.get(`${selectApproval} WHERE open_key = ?${db.forUpdate}`, keyOf(asked));
  const open = openRow === undefined ? undefined : approvalOf(openRow);
  if (open !== undefined) {
    const { state } = asOf(open, nowMs);
    if (state !== 'expired' && isSame(open, asked)) return { approval: open, isNew: false };
    const ended = state === 'expired' ? 'expired' : 'void';
    await db.run('UPDATE approval SET state = ?, open_key = NULL WHERE id = ?', ended, open.id);
  }
  if (rejected !== undefined) return { approval: rejected, isNew: false };
  const id = randomUUIDv7();
  await db.run(
    `INSERT INTO approval(id, open_key, episode_id, decision_id, policy, action, target, policy_hash, evidence_hash,
       params_hash, role, requested_ms, expires_ms, state) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'requested')`,
    ...[id, keyOf(asked), asked.episodeId, asked.decisionId, asked.policy, asked.action, asked.target],
    ...[asked.policyHash, asked.evidenceHash, asked.paramsHash, asked.role, nowMs, asked.expiresMs],
  );
  await db.run(
    'INSERT INTO approval_plan(approval_id, episode_id, plan_hash, plan) VALUES(?, ?, ?, ?)',
    ...[id, asked.episodeId, asked.planHash, JSON.stringify(asked.plan)],
  );
  const approval = await byId(db, id);
  if (approval === undefined) throw new StoreError('broken', 'a request vanished within its transaction');
  return { approval, isNew: true };
}
