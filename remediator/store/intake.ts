// Webhooks and episodes.
import { bytes, episodeOf, int, maybe, text } from './rows.ts';
import type { Db } from './db.ts';
import { insertEpisodes, newEpisode, openOf } from './episodes.ts';
import { packed, unpacked } from './packed.ts';
import { endEscalationsIn } from './people.ts';
import { StoreError, type NewWebhook, type Store } from './store.ts';

type Intake = Pick<
  Store,
  | 'appendWebhook'
  | 'pendingWebhooks'
  | 'processWebhook'
  | 'processWebhooks'
  | 'webhooksOf'
  | 'openEpisodes'
  | 'dueEpisodes'
  | 'episode'
  | 'findEpisodes'
  | 'setAlertState'
  | 'nextEvalMs'
  | 'scheduleEval'
  | 'lateCopies'
  | 'reopen'
  | 'closeEpisode'
>;

interface Context {
  readonly db: Db;
  readonly wallMs: () => number;
  /** A new episode within this time after the former one of the same identity closed is its relapse. */
  readonly relapseMs: () => number;
  /** Bodies that are stored may take so much; beyond it none is taken. */
  readonly webhookCapBytes: number;
}

/** Both times are read before the transactions, which may wait for each other. A copy too many is one more question. */
const lateSlackMs = 10_000;

/** Of one transaction: a file that is nearly full takes a part of them. */
const largestGroup = 200;

export function intakeOf({ db, wallMs, relapseMs, webhookCapBytes }: Context): Intake {
  const append = groupCommit(db);
  const takeRoom = roomOf(db, webhookCapBytes);
  return {
    appendWebhook: async (hook) => {
      const bodyGz = await packed(hook.body);
      await takeRoom(bodyGz.length);
      return append(hook, bodyGz);
    },
    pendingWebhooks: async (limit) => {
      const rows = await db.all('SELECT * FROM webhook WHERE processed_ms IS NULL ORDER BY id LIMIT ?', limit);
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
    processWebhook: async (id, alerts, truncated, nowMs) =>
      (await db.process({ webhooks: [{ id, alerts, truncated }], relapseMs: relapseMs(), nowMs }))[0] ?? [],
    processWebhooks: (webhooks, nowMs) => db.process({ webhooks, relapseMs: relapseMs(), nowMs }),
    webhooksOf: async (episodeId) =>
      (
        await db.all(
          `SELECT w.id, w.received_ms, w.received_by, e.status FROM episode_webhook e JOIN webhook w ON w.id = e.webhook_id
             WHERE e.episode_id = ? ORDER BY w.id`,
          episodeId,
        )
      ).map((row) => ({
        id: int(row, 'id'),
        receivedMs: int(row, 'received_ms'),
        receivedBy: text(row, 'received_by'),
        status: text(row, 'status'),
      })),
    openEpisodes: async () =>
      (await db.all(`SELECT * FROM episode WHERE state = 'open' ORDER BY first_seen_ms, id`)).map(episodeOf),
    dueEpisodes: async (nowMs) =>
      (
        await db.all(
          `SELECT * FROM episode WHERE state = 'open' AND (next_eval_ms IS NULL OR next_eval_ms <= ?)
             ORDER BY next_eval_ms, id`,
          nowMs,
        )
      ).map(episodeOf),
    episode: async (id) => {
      const row = await db.get('SELECT * FROM episode WHERE id = ?', id);
      return row === undefined ? undefined : episodeOf(row);
    },
    findEpisodes: async ({ alertname, limit }) =>
      (
        await db.all(
          'SELECT * FROM episode WHERE ? IS NULL OR alertname = ? ORDER BY first_seen_ms DESC, id DESC LIMIT ?',
          alertname ?? null,
          alertname ?? null,
          limit,
        )
      ).map(episodeOf),
    setAlertState: (episodeId, state, detail, seenMs) =>
      db.transact(async (db) => {
        const row = await db.get(`SELECT * FROM episode WHERE id = ? AND state = 'open'${db.forUpdate}`, episodeId);
        if (row === undefined) return;
        const before = episodeOf(row);
        const certain = state === 'silenced' || state === 'inhibited';
        if (!certain && before.alertSeenMs !== undefined && before.alertSeenMs > seenMs) return;
        const blind = state === 'unreachable' || state === 'unknown';
        const seen = blind ? before.alertSeenMs : Math.max(seenMs, before.alertSeenMs ?? seenMs);
        const changed = before.alertState !== state;
        const nextMs = changed ? Math.min(before.nextEvalMs ?? seenMs, seenMs) : before.nextEvalMs;
        await db.run(
          'UPDATE episode SET am_state = ?, am_detail = ?, am_seen_ms = ?, version = version + ?, next_eval_ms = ? WHERE id = ?',
          ...[state, detail, seen ?? null, Number(changed), nextMs ?? null, episodeId],
        );
      }),
    nextEvalMs: async () => {
      const row = await db.get(`SELECT min(next_eval_ms) AS ms FROM episode WHERE state = 'open'`);
      return row === undefined ? undefined : maybe(int, row, 'ms');
    },
    scheduleEval: async (episodeId, oldMs, nextMs) =>
      (await db.run(
        `UPDATE episode SET next_eval_ms = ? WHERE id = ? AND state = 'open'
           AND (next_eval_ms = ? OR (? IS NULL AND next_eval_ms IS NULL))`,
        ...[nextMs, episodeId, oldMs ?? null, oldMs ?? null],
      )) === 1,
    lateCopies: async (source, sinceMs) =>
      (
        await db.all(
          `SELECT e.id, max(w.processed_ms) AS copy_ms FROM episode e
             JOIN episode_webhook l ON l.episode_id = e.id AND l.status = 'firing'
             JOIN webhook w ON w.id = l.webhook_id AND w.processed_ms >= e.closed_ms - ?
             WHERE e.state = 'closed' AND e.closed_ms >= ? AND e.source = ? AND NOT EXISTS (
               SELECT 1 FROM episode n
               WHERE n.ident = e.ident AND n.id <> e.id AND (n.closed_ms IS NULL OR n.closed_ms > e.closed_ms))
             GROUP BY e.id`,
          ...[lateSlackMs, sinceMs, source],
        )
      ).map((row) => ({ episodeId: text(row, 'id'), copyMs: int(row, 'copy_ms') })),
    reopen: async (episodeId, startsWallMs, nowMs) =>
      await db.transact(async (db) => {
        const row = await db.get(`SELECT * FROM episode WHERE id = ? AND state = 'closed'`, episodeId);
        if (row === undefined) return undefined;
        const closed = episodeOf(row);
        if ((await openOf(db, new Set([closed.ident]))).size > 0) return undefined;
        const opened = newEpisode({
          ...closed,
          ...{ startsWallMs, nowMs, receivedMs: nowMs, truncated: false, relapseOf: closed.id },
        });
        await insertEpisodes(db, [opened]);
        return opened.id;
      }),
    closeEpisode: async (episodeId, version, outcome, nowMs) =>
      await db.transact(async (tx) => {
        const closed = await tx.run(
          `UPDATE episode SET state = 'closed', open_key = NULL, closed_ms = ?, closed_wall_ms = ?, outcome = ?,
               next_eval_ms = NULL, version = version + 1
             WHERE id = ? AND version = ? AND state = 'open'
               AND NOT EXISTS (SELECT 1 FROM run WHERE run.episode_id = episode.id AND run.state <> 'ended')`,
          ...[nowMs, Math.floor(wallMs()), outcome, episodeId, version],
        );
        if (closed !== 1) return false;
        // What people were told would else go on for ever after a crash between the two.
        await endEscalationsIn(tx, episodeId, nowMs);
        return true;
      }),
  };
}

/** Counted here, and counted anew in the store when it seems to be full: old ones may have been deleted since. */
function roomOf(db: Db, capBytes: number): (bytes: number) => Promise<void> {
  let takenBytes: number | undefined;
  let measuredMs = -Infinity;
  let measuring: Promise<void> | undefined;
  const measure = async (): Promise<void> => {
    const row = await db.get('SELECT coalesce(sum(length(body_gz)), 0) AS bytes FROM webhook');
    takenBytes = int(row ?? {}, 'bytes');
    measuredMs = performance.now();
    measuring = undefined;
  };
  return async (bytes) => {
    if (capBytes === Infinity) return;
    const isFull = (): boolean => takenBytes === undefined || takenBytes + bytes > capBytes;
    // The sum reads the whole table: not for each of those that are turned away.
    if (isFull() && performance.now() - measuredMs > 1000) {
      measuring ??= measure().catch((error: unknown) => {
        measuring = undefined;
        throw error;
      });
      await measuring;
    }
    if (isFull()) throw new StoreError('full', `the bodies of notifications take more than ${capBytes} bytes`);
    takenBytes = (takenBytes ?? 0) + bytes;
  };
}

interface Waiting {
  readonly hook: NewWebhook;
  readonly bodyGz: Uint8Array;
  readonly resolve: (id: number) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One COMMIT, thus one fsync, for all that arrived in this turn of the event loop, and for all that arrives while the
 * commit before is under way.
 */
function groupCommit(db: Db): (hook: NewWebhook, bodyGz: Uint8Array) => Promise<number> {
  const waiting: Waiting[] = [];
  let busy = false;
  const commit = async (group: readonly Waiting[]): Promise<void> => {
    try {
      const ids = await db.runAll(
        `INSERT INTO webhook(source, received_ms, received_by, body_gz, alert_count, truncated_count)
         VALUES(?, ?, ?, ?, ?, ?)`,
        group.map(({ hook, bodyGz }) => [
          ...[hook.source, hook.receivedMs, hook.receivedBy, bodyGz, hook.alertCount, hook.truncatedCount],
        ]),
      );
      for (const [i, one] of group.entries()) {
        const id = ids[i];
        if (id === undefined) one.reject(new Error('no id for a stored webhook'));
        else one.resolve(id);
      }
    } catch (error) {
      if (group.length === 1) group[0]?.reject(error);
      else for (const one of group) await commit([one]); // a large one may not fit where a small one does
    }
  };
  const flush = async (): Promise<void> => {
    while (waiting.length > 0) {
      const group = waiting.splice(0, largestGroup);
      await commit(group);
    }
    busy = false;
  };
  return (hook, bodyGz) =>
    new Promise((resolve, reject) => {
      waiting.push({ hook, bodyGz, resolve, reject });
      if (busy) return;
      busy = true;
      setImmediate(() => void flush());
    });
}
