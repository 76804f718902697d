// What one stored notification does to episodes, within the transaction of the caller.
import { randomUUIDv7 } from 'node:crypto';
import { alertStateAfterFiring, identOf, transitionOf, type ClosedEpisode } from '../episodes.ts';
import type { Episode, IncomingAlert } from '../model.ts';
import { episodeOf, int, text } from './rows.ts';
import type { Tx } from './db.ts';
import { StoreError, type EpisodeChange, type ReadWebhook } from './store.ts';

/** @param relapseMs how soon after its end a new episode of the same identity is a relapse */
export async function processOne(
  { db, relapseMs }: { readonly db: Tx; readonly relapseMs: number },
  { id, alerts, truncated }: ReadWebhook,
  nowMs: number,
): Promise<readonly EpisodeChange[]> {
  const hook = await db.get(
    `SELECT source, received_ms FROM webhook WHERE id = ? AND processed_ms IS NULL${db.forUpdate}`,
    id,
  );
  if (hook === undefined) return []; // done before
  const source = text(hook, 'source');
  const receivedMs = int(hook, 'received_ms');
  // Two alerts that differ in a replica label only are one episode: if one of them fires, it fires.
  const ordered = [...(alerts ?? [])].sort((a, b) => Number(a.status === 'firing') - Number(b.status === 'firing'));
  const changes: EpisodeChange[] = [];
  const linked = new Set<string>();
  for (const alert of ordered) {
    const change = await applyOne({ db, relapseMs }, { id, source, receivedMs, truncated, nowMs, linked }, alert);
    if (change !== undefined) changes.push(change);
  }
  const outcome = alerts === undefined ? 'poison' : 'ok';
  await db.run('UPDATE webhook SET processed_ms = ?, outcome = ? WHERE id = ?', nowMs, outcome, id);
  return changes;
}

interface Delivery {
  readonly id: number;
  readonly source: string;
  readonly receivedMs: number;
  readonly truncated: boolean;
  readonly nowMs: number;
  /** Episodes that this delivery has touched: one that was not processed has none from before. */
  readonly linked: Set<string>;
}

async function applyOne(
  { db, relapseMs }: { readonly db: Tx; readonly relapseMs: number },
  delivery: Delivery,
  alert: IncomingAlert,
): Promise<EpisodeChange | undefined> {
  const { source, receivedMs, truncated, nowMs } = delivery;
  const ident = identOf(source, alert.labels);
  const open = await openOf(db, ident);
  const closed = open === undefined ? await closedOf(db, ident) : undefined;
  const transition = transitionOf(alert, open, closed, nowMs, relapseMs);
  switch (transition.is) {
    case 'ignore':
      return undefined;
    case 'late':
      await link(db, transition.id, delivery, alert);
      return { episodeId: transition.id, change: 'late_copy' };
    case 'open': {
      const episodeId = await insertEpisode(db, {
        ...{ source, ident, receivedMs, nowMs, truncated, relapseOf: transition.relapseOf },
        ...{ labels: alert.labels, annotations: alert.annotations, startsWallMs: alert.startsWallMs },
      });
      await link(db, episodeId, delivery, alert);
      return { episodeId, change: 'opened' };
    }
    case 'refresh':
    case 'hint': {
      if (open === undefined) throw new StoreError('broken', 'an open episode vanished within a transaction');
      if (transition.is === 'refresh') await refresh(db, open, alert, truncated, receivedMs);
      else await hint(db, open, receivedMs);
      await link(db, open.id, delivery, alert);
      return { episodeId: open.id, change: transition.is === 'refresh' ? 'refreshed' : 'resolved_hint' };
    }
  }
}

/** Locked: what is written next rests on what is read here. */
export async function openOf(db: Tx, ident: string): Promise<Episode | undefined> {
  const row = await db.get(`SELECT * FROM episode WHERE open_key = ?${db.forUpdate}`, ident);
  return row === undefined ? undefined : episodeOf(row);
}

async function closedOf(db: Tx, ident: string): Promise<ClosedEpisode | undefined> {
  const row = await db.get(
    `SELECT id, starts_wall_ms, closed_ms, closed_wall_ms FROM episode
     WHERE ident = ? AND closed_ms IS NOT NULL ORDER BY closed_ms DESC, id DESC LIMIT 1`,
    ident,
  );
  if (row === undefined) return undefined;
  return {
    id: text(row, 'id'),
    startsWallMs: int(row, 'starts_wall_ms'),
    closedMs: int(row, 'closed_ms'),
    closedWallMs: int(row, 'closed_wall_ms'),
  };
}

interface NewEpisode extends Pick<
  Episode,
  'source' | 'ident' | 'labels' | 'annotations' | 'startsWallMs' | 'truncated' | 'relapseOf'
> {
  readonly receivedMs: number;
  readonly nowMs: number;
}

export async function insertEpisode(db: Tx, e: NewEpisode): Promise<string> {
  const id = randomUUIDv7();
  await db.run(
    `INSERT INTO episode(id, source, ident, open_key, alertname, version, starts_wall_ms, first_seen_ms, last_firing_ms,
       truncated, am_state, am_detail, am_seen_ms, state, labels, annotations, attempts, relapse_of, next_eval_ms)
     VALUES(?, ?, ?, ?, ?, 1, ?, ?, ?, ?, 'active', 'webhook', ?, 'open', ?, ?, 0, ?, ?)`,
    ...[id, e.source, e.ident, e.ident, e.labels['alertname'] ?? '', e.startsWallMs, e.receivedMs, e.receivedMs],
    ...[Number(e.truncated), e.receivedMs, JSON.stringify(e.labels), JSON.stringify(e.annotations)],
    ...[e.relapseOf ?? null, e.nowMs],
  );
  return id;
}

async function refresh(
  db: Tx,
  open: Episode,
  alert: IncomingAlert,
  truncated: boolean,
  receivedMs: number,
): Promise<void> {
  const now = alertStateAfterFiring(open, receivedMs);
  const cleared = open.resolvedHintMs !== undefined;
  const changed = now.alertState !== open.alertState || cleared || truncated !== open.truncated;
  // The row is locked since it was read: what follows from it is computed here, in no dialect's functions.
  const nextMs = changed ? Math.min(open.nextEvalMs ?? receivedMs, receivedMs) : open.nextEvalMs;
  await db.run(
    `UPDATE episode SET last_firing_ms = ?, starts_wall_ms = ?, resolved_hint_ms = NULL, truncated = ?, annotations = ?,
       am_state = ?, am_detail = ?, am_seen_ms = ?, version = version + ?, next_eval_ms = ? WHERE id = ?`,
    ...[Math.max(open.lastFiringMs, receivedMs), Math.min(open.startsWallMs, alert.startsWallMs), Number(truncated)],
    ...[JSON.stringify(alert.annotations), now.alertState, now.alertDetail, now.alertSeenMs ?? null],
    ...[Number(changed), nextMs ?? null, open.id],
  );
}

async function hint(db: Tx, open: Episode, receivedMs: number): Promise<void> {
  // The newest counts: a poll between two peers' notifications may have seen it active at the one that had not resolved.
  const newestMs = Math.max(open.resolvedHintMs ?? receivedMs, receivedMs);
  if (newestMs === open.resolvedHintMs) return;
  await db.run('UPDATE episode SET resolved_hint_ms = ?, version = version + 1 WHERE id = ?', newestMs, open.id);
}

/** A body may name the same episode twice; what is ordered last says more. */
async function link(db: Tx, episodeId: string, { id, linked }: Delivery, alert: IncomingAlert): Promise<void> {
  const values = [alert.status, alert.startsWallMs, alert.endsWallMs ?? null];
  const isNew = !linked.has(episodeId);
  linked.add(episodeId);
  await db.run(
    isNew
      ? 'INSERT INTO episode_webhook(status, starts_wall_ms, ends_wall_ms, episode_id, webhook_id) VALUES(?, ?, ?, ?, ?)'
      : 'UPDATE episode_webhook SET status = ?, starts_wall_ms = ?, ends_wall_ms = ? WHERE episode_id = ? AND webhook_id = ?',
    ...[...values, episodeId, id],
  );
}
