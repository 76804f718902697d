// Append-only: two writers of one run collide on its primary key.
import type { JournalEntry } from '../model.ts';
import type { Tx } from './db.ts';
import { int, journalEntryOf } from './rows.ts';
import { StoreError, type Hold, type NewJournalEntry } from './store.ts';

export async function writeJournal(db: Tx, hold: Hold, entry: NewJournalEntry, atMs: number): Promise<JournalEntry> {
  const last = await db.get('SELECT coalesce(max(n), 0) AS n FROM journal WHERE run_id = ?', hold.runId);
  if (last === undefined) throw new StoreError('broken', 'no count');
  const n = int(last, 'n') + 1;
  await db.run(
    `INSERT INTO journal(run_id, n, kind, step, attempt, outcome, fence, holder, at_ms, data)
     VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[hold.runId, n, entry.kind, entry.step, entry.attempt, entry.outcome ?? null, hold.fence, hold.holder, atMs],
    JSON.stringify(entry.data),
  );
  const row = await db.get('SELECT * FROM journal WHERE run_id = ? AND n = ?', hold.runId, n);
  if (row === undefined) throw new StoreError('broken', 'the journal took no entry');
  return journalEntryOf(row);
}
