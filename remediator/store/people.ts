// Latches, the switch, escalations, audit, marks.
import type { Escalation } from '../model.ts';
import { escalationOf, int, latchOf, pauseOf, text } from './rows.ts';
import { put, type Db, type Tx } from './db.ts';
import { StoreError, type Store } from './store.ts';

type People = Pick<
  Store,
  | 'latches'
  | 'clearLatch'
  | 'pauses'
  | 'setPause'
  | 'enqueue'
  | 'dueEscalations'
  | 'markEscalation'
  | 'escalationsOf'
  | 'undeliveredEscalations'
  | 'endEscalations'
  | 'audit'
  | 'meta'
  | 'setMeta'
>;

export function peopleIn(db: Db): People {
  return {
    latches: async (scope) =>
      (
        await db.all(
          'SELECT * FROM latch WHERE open_key IS NOT NULL AND (? IS NULL OR scope = ?) ORDER BY set_ms',
          ...[scope ?? null, scope ?? null],
        )
      ).map(latchOf),
    clearLatch: async (id, by, comment, nowMs) =>
      await db.transact(async (db) => {
        const cleared = await db.run(
          `UPDATE latch SET open_key = NULL, cleared_ms = ?, cleared_by = ?, comment = ?
             WHERE id = ? AND open_key IS NOT NULL`,
          ...[nowMs, by, comment, id],
        );
        if (cleared === 0) return false;
        await writeAudit(db, {
          atMs: nowMs,
          actor: by,
          via: 'store',
          verb: 'clear_latch',
          object: id,
          detail: { comment },
        });
        return true;
      }),
    pauses: async () => (await db.all('SELECT * FROM pause_switch ORDER BY scope')).map(pauseOf),
    setPause: (pause) =>
      put(
        db,
        'UPDATE pause_switch SET paused = ?, set_by = ?, reason = ?, set_ms = ?, until_ms = ? WHERE scope = ?',
        'INSERT INTO pause_switch(paused, set_by, reason, set_ms, until_ms, scope) VALUES(?, ?, ?, ?, ?, ?)',
        [Number(pause.paused), pause.by, pause.reason, pause.setMs, pause.untilMs ?? null, pause.scope],
      ),
    enqueue: async (escalation, nowMs) => await db.transact(async (db) => await enqueueIn(db, escalation, nowMs)),
    dueEscalations: async (nowMs) =>
      (
        await db.all(
          `SELECT * FROM outbox WHERE state IN ('open', 'ending') AND next_ms <= ? ORDER BY next_ms LIMIT 200`,
          nowMs,
        )
      ).map(escalationOf),
    markEscalation: async (dedupeKey, change) => {
      // Tries count since the last full success. `open` marks what was posted as open: one that was ended meanwhile
      // keeps its own, earlier time.
      await db.run(
        `UPDATE outbox SET next_ms = ?, last_ok_ms = coalesce(?, last_ok_ms), last_error = ?,
             tries = CASE WHEN ? IS NULL THEN 0 ELSE tries + 1 END, state = coalesce(?, state)
           WHERE dedupe_key = ? AND (? IS NULL OR ? <> 'open' OR state = 'open')`,
        ...[change.nextMs, change.okMs ?? null, change.error ?? null, change.error ?? null],
        ...[change.state ?? null, dedupeKey, change.state ?? null, change.state ?? null],
      );
    },
    escalationsOf: async (episodeId) =>
      (await db.all('SELECT * FROM outbox WHERE episode_id = ? ORDER BY first_ms, dedupe_key', episodeId)).map(
        escalationOf,
      ),
    undeliveredEscalations: async (sinceMs) => {
      const row = await db.get(
        `SELECT count(*) AS n FROM outbox
           WHERE state IN ('open', 'ending') AND (last_ok_ms IS NULL OR last_ok_ms < ?)`,
        sinceMs,
      );
      if (row === undefined) throw new StoreError('broken', 'no count');
      return int(row, 'n');
    },
    endEscalations: async (episodeId, nowMs) => {
      await db.run(
        `UPDATE outbox SET state = 'ending', next_ms = ? WHERE episode_id = ? AND state = 'open'`,
        nowMs,
        episodeId,
      );
    },
    audit: async (entry) => {
      await writeAudit(db, entry);
    },
    meta: async (key) => {
      const row = await db.get('SELECT v FROM meta WHERE k = ?', key);
      return row === undefined ? undefined : text(row, 'v');
    },
    setMeta: (key, value) =>
      put(db, 'UPDATE meta SET v = ? WHERE k = ?', 'INSERT INTO meta(v, k) VALUES(?, ?)', [value, key]),
  };
}

async function enqueueIn(db: Tx, escalation: Escalation, nowMs: number): Promise<boolean> {
  const { dedupeKey, episodeId } = escalation;
  const labels = JSON.stringify(escalation.labels);
  const annotations = JSON.stringify(escalation.annotations);
  const existing = await db.get(`SELECT state FROM outbox WHERE dedupe_key = ?${db.forUpdate}`, dedupeKey);
  if (existing?.['state'] === 'open') return false;
  // The same labels are the same alert: the new text replaces the old one, and ending the old one would end the new one.
  await db.run(
    `UPDATE outbox SET state = 'done' WHERE episode_id = ? AND labels = ? AND dedupe_key <> ?`,
    ...[episodeId, labels, dedupeKey],
  );
  if (escalation.labels['alertname'] === 'RemediationFailed') {
    await db.run(
      `UPDATE outbox SET state = 'ending', next_ms = ? WHERE episode_id = ? AND state = 'open' AND labels <> ?`,
      ...[nowMs, episodeId, labels],
    );
  }
  if (existing === undefined) {
    await db.run(
      `INSERT INTO outbox(dedupe_key, episode_id, labels, annotations, state, first_ms, next_ms, tries)
       VALUES(?, ?, ?, ?, 'open', ?, ?, 0)`,
      ...[dedupeKey, episodeId, labels, annotations, nowMs, nowMs],
    );
  } else {
    await db.run(
      `UPDATE outbox SET state = 'open', labels = ?, annotations = ?, first_ms = ?, next_ms = ?, tries = 0,
         last_error = NULL WHERE dedupe_key = ?`,
      ...[labels, annotations, nowMs, nowMs, dedupeKey],
    );
  }
  return true;
}

export async function writeAudit(db: Tx, entry: Parameters<Store['audit']>[0]): Promise<void> {
  await db.run(
    'INSERT INTO audit(at_ms, actor, via, verb, object, detail) VALUES(?, ?, ?, ?, ?, ?)',
    ...[entry.atMs, entry.actor, entry.via, entry.verb, entry.object, JSON.stringify(entry.detail)],
  );
}
