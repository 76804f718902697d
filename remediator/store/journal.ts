// Append-only: two writers of one run collide on its primary key.
import type { JournalEntry } from '../model.ts';
import { journalEntryOf } from './rows.ts';
import type { Db, Row } from './sqlite-db.ts';
import { StoreError, type Hold, type NewJournalEntry } from './store.ts';

export function writeJournal(db: Db, hold: Hold, entry: NewJournalEntry, atMs: number): JournalEntry {
  const row: Row | undefined = db.get(
    `INSERT INTO journal(run_id, n, kind, step, attempt, outcome, fence, holder, at_ms, data)
     SELECT ?, coalesce(max(n), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ? FROM journal WHERE run_id = ? RETURNING *`,
    ...[hold.runId, entry.kind, entry.step, entry.attempt, entry.outcome ?? null, hold.fence, hold.holder, atMs],
    ...[JSON.stringify(entry.data), hold.runId],
  );
  if (row === undefined) throw new StoreError('broken', 'the journal took no entry');
  return journalEntryOf(row);
}
