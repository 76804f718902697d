// Latches, the switch, escalations, audit, marks.
import type { Escalation } from '../model.ts';
import { escalationOf, int, latchOf, pauseOf, text } from './rows.ts';
import type { Db } from './sqlite-db.ts';
import { settle } from './sqlite-intake.ts';
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
    latches: (scope) =>
      settle(() =>
        db
          .all(
            'SELECT * FROM latch WHERE open_key IS NOT NULL AND (? IS NULL OR scope = ?) ORDER BY set_ms',
            ...[scope ?? null, scope ?? null],
          )
          .map(latchOf),
      ),
    clearLatch: (id, by, comment, nowMs) =>
      settle(() =>
        db.transact(() => {
          const cleared = db.run(
            `UPDATE latch SET open_key = NULL, cleared_ms = ?, cleared_by = ?, comment = ?
             WHERE id = ? AND open_key IS NOT NULL`,
            ...[nowMs, by, comment, id],
          );
          if (cleared === 0) return false;
          writeAudit(db, {
            atMs: nowMs,
            actor: by,
            via: 'store',
            verb: 'clear_latch',
            object: id,
            detail: { comment },
          });
          return true;
        }),
      ),
    pauses: () => settle(() => db.all('SELECT * FROM pause_switch ORDER BY scope').map(pauseOf)),
    setPause: (pause) =>
      settle(() => {
        db.run(
          `INSERT INTO pause_switch(scope, paused, set_by, reason, set_ms, until_ms) VALUES(?, ?, ?, ?, ?, ?)
           ON CONFLICT(scope) DO UPDATE SET paused = excluded.paused, set_by = excluded.set_by,
             reason = excluded.reason, set_ms = excluded.set_ms, until_ms = excluded.until_ms`,
          ...[pause.scope, Number(pause.paused), pause.by, pause.reason, pause.setMs, pause.untilMs ?? null],
        );
      }),
    enqueue: (escalation, nowMs) => settle(() => db.transact(() => enqueueIn(db, escalation, nowMs))),
    dueEscalations: (nowMs) =>
      settle(() =>
        db
          .all(
            `SELECT * FROM outbox WHERE state IN ('open', 'ending') AND next_ms <= ? ORDER BY next_ms LIMIT 200`,
            nowMs,
          )
          .map(escalationOf),
      ),
    markEscalation: (dedupeKey, change) =>
      settle(() => {
        // Tries count since the last full success. `open` marks what was posted as open: one that was ended meanwhile
        // keeps its own, earlier time.
        db.run(
          `UPDATE outbox SET next_ms = ?, last_ok_ms = coalesce(?, last_ok_ms), last_error = ?,
             tries = CASE WHEN ? IS NULL THEN 0 ELSE tries + 1 END, state = coalesce(?, state)
           WHERE dedupe_key = ? AND (? IS NULL OR ? <> 'open' OR state = 'open')`,
          ...[change.nextMs, change.okMs ?? null, change.error ?? null, change.error ?? null],
          ...[change.state ?? null, dedupeKey, change.state ?? null, change.state ?? null],
        );
      }),
    escalationsOf: (episodeId) =>
      settle(() =>
        db.all('SELECT * FROM outbox WHERE episode_id = ? ORDER BY first_ms, dedupe_key', episodeId).map(escalationOf),
      ),
    undeliveredEscalations: (sinceMs) =>
      settle(() => {
        const row = db.get(
          `SELECT count(*) AS n FROM outbox
           WHERE state IN ('open', 'ending') AND (last_ok_ms IS NULL OR last_ok_ms < ?)`,
          sinceMs,
        );
        if (row === undefined) throw new StoreError('broken', 'no count');
        return int(row, 'n');
      }),
    endEscalations: (episodeId, nowMs) =>
      settle(() => {
        db.run(
          `UPDATE outbox SET state = 'ending', next_ms = ? WHERE episode_id = ? AND state = 'open'`,
          nowMs,
          episodeId,
        );
      }),
    audit: (entry) =>
      settle(() => {
        writeAudit(db, entry);
      }),
    meta: (key) =>
      settle(() => {
        const row = db.get('SELECT v FROM meta WHERE k = ?', key);
        return row === undefined ? undefined : text(row, 'v');
      }),
    setMeta: (key, value) =>
      settle(() => {
        db.run('INSERT INTO meta(k, v) VALUES(?, ?) ON CONFLICT(k) DO UPDATE SET v = excluded.v', key, value);
      }),
  };
}

function enqueueIn(db: Db, escalation: Escalation, nowMs: number): boolean {
  const { dedupeKey, episodeId } = escalation;
  const labels = JSON.stringify(escalation.labels);
  const annotations = JSON.stringify(escalation.annotations);
  const existing = db.get('SELECT state FROM outbox WHERE dedupe_key = ?', dedupeKey);
  if (existing?.['state'] === 'open') return false;
  // The same labels are the same alert: the new text replaces the old one, and ending the old one would end the new one.
  db.run(
    `UPDATE outbox SET state = 'done' WHERE episode_id = ? AND labels = ? AND dedupe_key <> ?`,
    ...[episodeId, labels, dedupeKey],
  );
  if (escalation.labels['alertname'] === 'RemediationFailed') {
    db.run(
      `UPDATE outbox SET state = 'ending', next_ms = ? WHERE episode_id = ? AND state = 'open' AND labels <> ?`,
      ...[nowMs, episodeId, labels],
    );
  }
  if (existing === undefined) {
    db.run(
      `INSERT INTO outbox(dedupe_key, episode_id, labels, annotations, state, first_ms, next_ms, tries)
       VALUES(?, ?, ?, ?, 'open', ?, ?, 0)`,
      ...[dedupeKey, episodeId, labels, annotations, nowMs, nowMs],
    );
  } else {
    db.run(
      `UPDATE outbox SET state = 'open', labels = ?, annotations = ?, first_ms = ?, next_ms = ?, tries = 0,
         last_error = NULL WHERE dedupe_key = ?`,
      ...[labels, annotations, nowMs, nowMs, dedupeKey],
    );
  }
  return true;
}

export function writeAudit(db: Db, entry: Parameters<Store['audit']>[0]): void {
  db.run(
    'INSERT INTO audit(at_ms, actor, via, verb, object, detail) VALUES(?, ?, ?, ?, ?, ?)',
    ...[entry.atMs, entry.actor, entry.via, entry.verb, entry.object, JSON.stringify(entry.detail)],
  );
}
