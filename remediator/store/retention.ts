// What is old goes, in small pieces and never anything that a window, a cooldown, a latch or a request still looks at.
// Leases and demotions stay for ever: a fence that began anew would be below one that a target has seen.
import { int } from './rows.ts';
import type { Db, Tx } from './db.ts';
import type { Retention } from './store-of-people.ts';
import { StoreError, type Store } from './store.ts';

const chunk = 500;
/** Some tens of MB. */
const defaultAuditRows = 100_000;

export function retentionIn(db: Db): Pick<Store, 'prune' | 'size'> {
  return {
    prune: async (keep, nowMs) => {
      const result = await db.transact((tx) => pruneIn(tx, keep, nowMs));
      if (!result.more) await db.shrink();
      return result;
    },
    size: async () => {
      const hooks = await db.get(`SELECT count(*) AS n, coalesce(sum(length(body_gz)), 0) AS bytes FROM webhook`);
      if (hooks === undefined) throw new StoreError('broken', 'no count');
      return { bytes: await db.bytes(), webhooks: int(hooks, 'n'), webhookBytes: int(hooks, 'bytes') };
    },
  };
}

type Key = string | number;

async function pruneIn(
  db: Tx,
  keep: Retention,
  nowMs: number,
): Promise<{ readonly deleted: number; readonly more: boolean }> {
  const episodes = await oldEpisodes(db, keep, nowMs);
  let deleted = await pruneEpisodes(db, episodes);
  for (const prune of [pruneWebhooks, pruneAudit, pruneOver]) {
    if (deleted < chunk) deleted += await prune(db, keep, nowMs, chunk - deleted);
  }
  return { deleted, more: deleted >= chunk || episodes.length > 0 };
}

/** How long closed episodes are kept, with their runs. */
export function keptMs(keep: Pick<Retention, 'episodesMs' | 'longestWindowMs'>): number {
  return Math.max(keep.episodesMs, 2 * keep.longestWindowMs);
}

async function oldEpisodes(db: Tx, keep: Retention, nowMs: number): Promise<readonly Key[]> {
  const age = keptMs(keep);
  return await keysOf(
    db,
    `SELECT e.id AS k FROM episode e WHERE e.state = 'closed' AND e.closed_ms < ?
       AND NOT EXISTS (SELECT 1 FROM approval a WHERE a.episode_id = e.id AND a.open_key IS NOT NULL AND a.expires_ms > ?)
       AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.episode_id = e.id AND o.state <> 'done')
       AND NOT EXISTS (SELECT 1 FROM run r WHERE r.episode_id = e.id AND (
         r.state <> 'ended' OR r.cooldown_until_ms > ?
         OR EXISTS (SELECT 1 FROM latch l WHERE l.run_id = r.id AND l.open_key IS NOT NULL)
         OR EXISTS (SELECT 1 FROM budget_entry b WHERE b.run_id = r.id AND b.at_ms > ?)))
     ORDER BY e.closed_ms, e.id LIMIT 20`,
    ...[nowMs - age, nowMs, nowMs, nowMs - 2 * keep.longestWindowMs],
  );
}

/** Children before parents, so that a crash between two chunks leaves nothing without its parent. */
async function pruneEpisodes(db: Tx, episodes: readonly Key[]): Promise<number> {
  if (episodes.length === 0) return 0;
  const ofEpisode = `episode_id IN (${marks(episodes)})`;
  const decisions = `SELECT id FROM decision WHERE ${ofEpisode}`;
  const runs = `SELECT id FROM run WHERE ${ofEpisode}`;
  let left = chunk;
  const each: readonly (readonly [table: string, key: string, where: string])[] = [
    ['guard_result', 'decision_id', `decision_id IN (${decisions})`],
    ['decision', 'id', ofEpisode],
    ['decision_dropped', 'episode_id', ofEpisode],
    ['episode_webhook', 'episode_id', ofEpisode],
    ['journal', 'run_id', `run_id IN (${runs})`],
    ['budget_entry', 'run_id', `run_id IN (${runs})`],
    ['latch', 'id', `run_id IN (${runs}) AND open_key IS NULL`],
    ['approval_plan', 'approval_id', ofEpisode],
    ['approval', 'id', ofEpisode],
    ['outbox', 'dedupe_key', ofEpisode],
    ['run', 'id', ofEpisode],
    ['episode', 'id', `id IN (${marks(episodes)})`],
  ];
  for (const [table, key, where] of each) {
    const keys = [
      ...new Set(await keysOf(db, `SELECT ${key} AS k FROM ${table} WHERE ${where} LIMIT ${chunk}`, ...episodes)),
    ];
    if (keys.length === 0) continue;
    // All rows of a parent at once: at most 20 episodes, each of few rows.
    left -= await db.run(`DELETE FROM ${table} WHERE ${key} IN (${marks(keys)})`, ...keys);
    if (left <= 0) break;
  }
  return chunk - left;
}

/** Processed ones that no episode needs any more; beyond the cap the oldest processed ones, whatever needs them. */
async function pruneWebhooks(db: Tx, keep: Retention, nowMs: number, limit: number): Promise<number> {
  const old = await keysOf(
    db,
    `SELECT w.id AS k FROM webhook w WHERE w.processed_ms < ?
       AND NOT EXISTS (SELECT 1 FROM episode_webhook e WHERE e.webhook_id = w.id) ORDER BY w.processed_ms, w.id LIMIT ?`,
    ...[nowMs - keep.episodesMs, limit],
  );
  const gone = old.length === 0 ? 0 : await db.run(`DELETE FROM webhook WHERE id IN (${marks(old)})`, ...old);
  return gone + (await capWebhooks(db, keep.webhookBytes, limit - gone));
}

async function capWebhooks(db: Tx, capBytes: number, limit: number): Promise<number> {
  const sum = await db.get('SELECT coalesce(sum(length(body_gz)), 0) AS bytes FROM webhook');
  let over = (sum === undefined ? 0 : int(sum, 'bytes')) - capBytes;
  if (over <= 0 || limit <= 0) return 0;
  const beyond: number[] = [];
  const rows = await db.all(
    'SELECT id, length(body_gz) AS bytes FROM webhook WHERE processed_ms IS NOT NULL ORDER BY processed_ms, id LIMIT ?',
    limit,
  );
  for (const row of rows) {
    if (over <= 0) break;
    beyond.push(int(row, 'id'));
    over -= int(row, 'bytes');
  }
  return beyond.length === 0 ? 0 : await db.run(`DELETE FROM webhook WHERE id IN (${marks(beyond)})`, ...beyond);
}

/** The newest rows stay, and those that a demotion may still look at. */
async function pruneAudit(db: Tx, keep: Retention, nowMs: number, limit: number): Promise<number> {
  const last = await db.get('SELECT coalesce(max(id), 0) AS id FROM audit');
  const beyond = (last === undefined ? 0 : int(last, 'id')) - (keep.auditRows ?? defaultAuditRows);
  const old = await keysOf(
    db,
    'SELECT id AS k FROM audit WHERE id <= ? AND at_ms < ? ORDER BY id LIMIT ?',
    ...[beyond, nowMs - 2 * keep.longestWindowMs, limit],
  );
  return old.length === 0 ? 0 : await db.run(`DELETE FROM audit WHERE id IN (${marks(old)})`, ...old);
}

/** Maintenance that is over, and latches of no run that were cleared. */
async function pruneOver(db: Tx, keep: Retention, nowMs: number, limit: number): Promise<number> {
  const sinceMs = nowMs - keptMs(keep);
  let deleted = 0;
  for (const [table, where] of [
    ['maintenance', 'ends_ms < ?'],
    ['latch', 'open_key IS NULL AND run_id IS NULL AND cleared_ms < ?'],
  ] as const) {
    if (deleted >= limit) break;
    const old = await keysOf(db, `SELECT id AS k FROM ${table} WHERE ${where} LIMIT ?`, sinceMs, limit - deleted);
    if (old.length > 0) deleted += await db.run(`DELETE FROM ${table} WHERE id IN (${marks(old)})`, ...old);
  }
  return deleted;
}

async function keysOf(db: Tx, sql: string, ...values: readonly Key[]): Promise<readonly Key[]> {
  return (await db.all(sql, ...values)).map((row) => {
    const k = row['k'];
    if (typeof k !== 'string' && typeof k !== 'number') throw new StoreError('broken', 'a key of another type');
    return k;
  });
}

function marks(values: readonly unknown[]): string {
  return values.map(() => '?').join(', ');
}
