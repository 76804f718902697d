// Webhooks and episodes.
import { randomUUIDv7 } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { alertStateAfterFiring, identOf, transitionOf } from '../episodes.ts';
import type { Episode, IncomingAlert } from '../model.ts';
import { bytes, episodeOf, int, text } from './rows.ts';
import type { Db, Row } from './sqlite-db.ts';
import { StoreError, type EpisodeChange, type NewWebhook, type Store } from './store.ts';

type Intake = Pick<
  Store,
  | 'appendWebhook'
  | 'pendingWebhooks'
  | 'processWebhook'
  | 'webhooksOf'
  | 'openEpisodes'
  | 'dueEpisodes'
  | 'episode'
  | 'findEpisodes'
  | 'setAlertState'
  | 'scheduleEval'
  | 'reopen'
  | 'closeEpisode'
>;

interface Context {
  readonly db: Db;
  readonly wallMs: () => number;
  /** A new episode within this time after the former one of the same identity closed is its relapse. */
  readonly relapseMs: number;
}

const compress = promisify(gzip);
const decompress = promisify(gunzip);
const largestBodyBytes = 64 * 1024 * 1024;

export function intakeOf({ db, wallMs, relapseMs }: Context): Intake {
  const append = groupCommit(db);
  return {
    appendWebhook: async (hook) => append(hook, await compress(hook.body, { level: 1 })),
    pendingWebhooks: async (limit) => {
      const rows = db.all('SELECT * FROM webhook WHERE processed_ms IS NULL ORDER BY id LIMIT ?', limit);
      return Promise.all(
        rows.map(async (row) => ({
          id: int(row, 'id'),
          source: text(row, 'source'),
          receivedMs: int(row, 'received_ms'),
          receivedBy: text(row, 'received_by'),
          body: await unpacked(bytes(row, 'body_gz')),
          alertCount: int(row, 'alert_count'),
          truncatedCount: int(row, 'truncated_count'),
        })),
      );
    },
    processWebhook: (id, alerts, truncated, nowMs) =>
      settle(() => db.transact(() => processOne({ db, wallMs, relapseMs }, id, alerts, truncated, nowMs))),
    webhooksOf: (episodeId) =>
      settle(() =>
        db
          .all(
            `SELECT w.id, w.received_ms, w.received_by, e.status FROM episode_webhook e JOIN webhook w ON w.id = e.webhook_id
             WHERE e.episode_id = ? ORDER BY w.id`,
            episodeId,
          )
          .map((row) => ({
            id: int(row, 'id'),
            receivedMs: int(row, 'received_ms'),
            receivedBy: text(row, 'received_by'),
            status: text(row, 'status'),
          })),
      ),
    openEpisodes: () =>
      settle(() => db.all(`SELECT * FROM episode WHERE state = 'open' ORDER BY first_seen_ms, id`).map(episodeOf)),
    dueEpisodes: (nowMs) =>
      settle(() =>
        db
          .all(
            `SELECT * FROM episode WHERE state = 'open' AND (next_eval_ms IS NULL OR next_eval_ms <= ?)
             ORDER BY next_eval_ms, id`,
            nowMs,
          )
          .map(episodeOf),
      ),
    episode: (id) =>
      settle(() => {
        const row = db.get('SELECT * FROM episode WHERE id = ?', id);
        return row === undefined ? undefined : episodeOf(row);
      }),
    findEpisodes: ({ alertname, limit }) =>
      settle(() =>
        db
          .all(
            'SELECT * FROM episode WHERE ? IS NULL OR alertname = ? ORDER BY first_seen_ms DESC, id DESC LIMIT ?',
            alertname ?? null,
            alertname ?? null,
            limit,
          )
          .map(episodeOf),
      ),
    setAlertState: (episodeId, state, detail, seenMs) =>
      settle(() => {
        db.transact(() => {
          const row = db.get(`SELECT * FROM episode WHERE id = ? AND state = 'open'`, episodeId);
          if (row === undefined) return;
          const before = episodeOf(row);
          const certain = state === 'silenced' || state === 'inhibited';
          if (!certain && before.alertSeenMs !== undefined && before.alertSeenMs > seenMs) return;
          const blind = state === 'unreachable' || state === 'unknown';
          const seen = blind ? before.alertSeenMs : Math.max(seenMs, before.alertSeenMs ?? seenMs);
          const changed = before.alertState !== state;
          db.run(
            `UPDATE episode SET am_state = ?, am_detail = ?, am_seen_ms = ?, version = version + ?,
               next_eval_ms = CASE WHEN ? THEN min(coalesce(next_eval_ms, ?), ?) ELSE next_eval_ms END WHERE id = ?`,
            ...[state, detail, seen ?? null, Number(changed), Number(changed), seenMs, seenMs, episodeId],
          );
        });
      }),
    scheduleEval: (episodeId, oldMs, nextMs) =>
      settle(
        () =>
          db.run(
            `UPDATE episode SET next_eval_ms = ? WHERE id = ? AND state = 'open' AND next_eval_ms IS ?`,
            nextMs,
            episodeId,
            oldMs ?? null,
          ) === 1,
      ),
    reopen: (episodeId, startsWallMs, nowMs) =>
      settle(() =>
        db.transact(() => {
          const row = db.get(`SELECT * FROM episode WHERE id = ? AND state = 'closed'`, episodeId);
          if (row === undefined) return undefined;
          const closed = episodeOf(row);
          if (openOf(db, closed.ident) !== undefined) return undefined;
          return insertEpisode(db, {
            ...closed,
            ...{ startsWallMs, nowMs, receivedMs: nowMs, truncated: false, relapseOf: closed.id },
          });
        }),
      ),
    closeEpisode: (episodeId, version, outcome, nowMs) =>
      settle(
        () =>
          db.run(
            `UPDATE episode SET state = 'closed', open_key = NULL, closed_ms = ?, closed_wall_ms = ?, outcome = ?,
               next_eval_ms = NULL, version = version + 1
             WHERE id = ? AND version = ? AND state = 'open'
               AND NOT EXISTS (SELECT 1 FROM run WHERE run.episode_id = episode.id AND run.state <> 'ended')`,
            nowMs,
            Math.floor(wallMs()),
            outcome,
            episodeId,
            version,
          ) === 1,
      ),
  };
}

/** A body that cannot be unpacked is empty, so that it is found to be poison instead of holding up the others. */
function unpacked(bodyGz: Uint8Array): Promise<Buffer> {
  return decompress(bodyGz, { maxOutputLength: largestBodyBytes }).catch(() => Buffer.alloc(0));
}

/** What throws synchronously below becomes a rejection. */
export function settle<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}

interface Waiting {
  readonly hook: NewWebhook;
  readonly bodyGz: Uint8Array;
  readonly resolve: (id: number) => void;
  readonly reject: (error: unknown) => void;
}

/** One COMMIT, thus one fsync, for all that arrived in this turn of the event loop. */
function groupCommit(db: Db): (hook: NewWebhook, bodyGz: Uint8Array) => Promise<number> {
  let waiting: Waiting[] = [];
  const insert = ({ hook, bodyGz }: Waiting): number =>
    db.insertId(
      `INSERT INTO webhook(source, received_ms, received_by, body_gz, alert_count, truncated_count)
       VALUES(?, ?, ?, ?, ?, ?)`,
      ...[hook.source, hook.receivedMs, hook.receivedBy, bodyGz, hook.alertCount, hook.truncatedCount],
    );
  const commit = (group: readonly Waiting[]): void => {
    try {
      const ids = db.transact(() => group.map(insert));
      for (const [i, one] of group.entries()) {
        const id = ids[i];
        if (id === undefined) one.reject(new Error('no id for a stored webhook'));
        else one.resolve(id);
      }
    } catch (error) {
      if (group.length === 1) group[0]?.reject(error);
      else for (const one of group) commit([one]); // a large one may not fit where a small one does
    }
  };
  const flush = (): void => {
    const group = waiting;
    waiting = [];
    commit(group);
  };
  return (hook, bodyGz) =>
    new Promise((resolve, reject) => {
      waiting.push({ hook, bodyGz, resolve, reject });
      if (waiting.length === 1) setImmediate(flush);
    });
}

function processOne(
  { db, relapseMs }: Context,
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

function openOf(db: Db, ident: string): Episode | undefined {
  const row = db.get('SELECT * FROM episode WHERE open_key = ?', ident);
  return row === undefined ? undefined : episodeOf(row);
}

function closedOf(
  db: Db,
  ident: string,
): { id: string; startsWallMs: number; closedMs: number; closedWallMs: number } | undefined {
  const row: Row | undefined = db.get(
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

function insertEpisode(db: Db, e: NewEpisode): string {
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
  if (open.resolvedHintMs !== undefined) return;
  db.run('UPDATE episode SET resolved_hint_ms = ?, version = version + 1 WHERE id = ?', receivedMs, open.id);
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
