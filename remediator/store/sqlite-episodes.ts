// What one stored notification does to episodes, within the transaction of the caller.
import { randomUUIDv7 } from 'node:crypto';
import { alertStateAfterFiring, identOf, transitionOf, type ClosedEpisode } from '../episodes.ts';
import type { Episode, IncomingAlert } from '../model.ts';
import { episodeOf, int, text } from './rows.ts';
import type { Db } from './sqlite-db.ts';
import { StoreError, type EpisodeChange } from './store.ts';

/** @param relapseMs how soon after its end a new episode of the same identity is a relapse */
export function processOne(
  { db, relapseMs }: { readonly db: Db; readonly relapseMs: number },
  id: number,
  alerts: readonly IncomingAlert[] | undefined,
  truncated: boolean,
  nowMs: number,
): readonly EpisodeChange[] {
  const hook = db.get('SELECT source, received_ms FROM webhook WHERE id = ? AND processed_ms IS NULL', id);
  if (hook === undefined) return []; // done before
  const source = text(hook, 'source');
  const receivedMs = int(hook, 'received_ms');
  // Two alerts that differ in a replica label only are one episode: if one of them fires, it fires.
  const ordered = [...(alerts ?? [])].sort((a, b) => Number(a.status === 'firing') - Number(b.status === 'firing'));
  const changes = ordered.flatMap((alert): readonly EpisodeChange[] => {
    const ident = identOf(source, alert.labels);
    const open = openOf(db, ident);
    const transition = transitionOf(alert, open, closedOf(db, ident), nowMs, relapseMs);
    switch (transition.is) {
      case 'ignore':
        return [];
      case 'late':
        link(db, transition.id, id, alert);
        return [{ episodeId: transition.id, change: 'late_copy' }];
      case 'open': {
        const episodeId = insertEpisode(db, {
          ...{ source, ident, receivedMs, nowMs, truncated, relapseOf: transition.relapseOf },
          ...{ labels: alert.labels, annotations: alert.annotations, startsWallMs: alert.startsWallMs },
        });
        link(db, episodeId, id, alert);
        return [{ episodeId, change: 'opened' }];
      }
      case 'refresh':
      case 'hint': {
        if (open === undefined) throw new StoreError('broken', 'an open episode vanished within a transaction');
        if (transition.is === 'refresh') refresh(db, open, alert, truncated, receivedMs);
        else hint(db, open, receivedMs);
        link(db, open.id, id, alert);
        return [{ episodeId: open.id, change: transition.is === 'refresh' ? 'refreshed' : 'resolved_hint' }];
      }
    }
  });
  const outcome = alerts === undefined ? 'poison' : 'ok';
  db.run('UPDATE webhook SET processed_ms = ?, outcome = ? WHERE id = ?', nowMs, outcome, id);
  return changes;
}

export function openOf(db: Db, ident: string): Episode | undefined {
  const row = db.get('SELECT * FROM episode WHERE open_key = ?', ident);
  return row === undefined ? undefined : episodeOf(row);
}

function closedOf(db: Db, ident: string): ClosedEpisode | undefined {
  const row = db.get(
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

export function insertEpisode(db: Db, e: NewEpisode): string {
  const id = randomUUIDv7();
  db.run(
    `INSERT INTO episode(id, source, ident, open_key, alertname, version, starts_wall_ms, first_seen_ms, last_firing_ms,
       truncated, am_state, am_detail, am_seen_ms, state, labels, annotations, attempts, relapse_of, next_eval_ms)
     VALUES(?, ?, ?, ?, ?, 1, ?, ?, ?, ?, 'active', 'webhook', ?, 'open', ?, ?, 0, ?, ?)`,
    ...[id, e.source, e.ident, e.ident, e.labels['alertname'] ?? '', e.startsWallMs, e.receivedMs, e.receivedMs],
    ...[Number(e.truncated), e.receivedMs, JSON.stringify(e.labels), JSON.stringify(e.annotations)],
    ...[e.relapseOf ?? null, e.nowMs],
  );
  return id;
}

function refresh(db: Db, open: Episode, alert: IncomingAlert, truncated: boolean, receivedMs: number): void {
  const now = alertStateAfterFiring(open, receivedMs);
  const cleared = open.resolvedHintMs !== undefined;
  const changed = now.alertState !== open.alertState || cleared || truncated !== open.truncated;
  db.run(
    `UPDATE episode SET last_firing_ms = max(last_firing_ms, ?), starts_wall_ms = min(starts_wall_ms, ?),
       resolved_hint_ms = NULL, truncated = ?, annotations = ?, am_state = ?, am_detail = ?, am_seen_ms = ?,
       version = version + ?, next_eval_ms = CASE WHEN ? THEN min(coalesce(next_eval_ms, ?), ?) ELSE next_eval_ms END
     WHERE id = ?`,
    ...[receivedMs, alert.startsWallMs, Number(truncated), JSON.stringify(alert.annotations)],
    ...[now.alertState, now.alertDetail, now.alertSeenMs ?? null, Number(changed), Number(changed)],
    ...[receivedMs, receivedMs, open.id],
  );
}

function hint(db: Db, open: Episode, receivedMs: number): void {
  // The newest counts: a poll between two peers' notifications may have seen it active at the one that had not resolved.
  const newestMs = Math.max(open.resolvedHintMs ?? receivedMs, receivedMs);
  if (newestMs === open.resolvedHintMs) return;
  db.run('UPDATE episode SET resolved_hint_ms = ?, version = version + 1 WHERE id = ?', newestMs, open.id);
}

/** A body may name the same episode twice; what is ordered last says more. */
function link(db: Db, episodeId: string, webhookId: number, alert: IncomingAlert): void {
  const values = [alert.status, alert.startsWallMs, alert.endsWallMs ?? null];
  const updated = db.run(
    `UPDATE episode_webhook SET status = ?, starts_wall_ms = ?, ends_wall_ms = ? WHERE episode_id = ? AND webhook_id = ?`,
    ...values,
    episodeId,
    webhookId,
  );
  if (updated > 0) return;
  db.run(
    'INSERT INTO episode_webhook(status, starts_wall_ms, ends_wall_ms, episode_id, webhook_id) VALUES(?, ?, ?, ?, ?)',
    ...values,
    episodeId,
    webhookId,
  );
}
