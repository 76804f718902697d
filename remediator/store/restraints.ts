// What holds repairs back beside the switch and latches: maintenance, demoted policies, a storm.
import { randomUUIDv7 } from 'node:crypto';
import { demotionOf, maintenanceOf, stormOf, text } from './rows.ts';
import { put, type Db } from './db.ts';
import { writeAudit } from './people.ts';
import type { Store } from './store.ts';

type Restraints = Pick<
  Store,
  'maintenances' | 'addMaintenance' | 'endMaintenance' | 'demotions' | 'demote' | 'liftDemotion' | 'storm' | 'setStorm'
>;

export function restraintsIn(db: Db): Restraints {
  return {
    maintenances: async (nowMs) =>
      (
        await db.all('SELECT * FROM maintenance WHERE ends_ms > ? AND ended_ms IS NULL ORDER BY starts_ms, id', nowMs)
      ).map(maintenanceOf),
    addMaintenance: async (maintenance, via, nowMs) =>
      await db.transact(async (db) => {
        const { scope, startsMs, endsMs, owner, reason } = maintenance;
        const id = randomUUIDv7();
        await db.run(
          'INSERT INTO maintenance(id, scope, starts_ms, ends_ms, owner, reason) VALUES(?, ?, ?, ?, ?, ?)',
          ...[id, scope, startsMs, endsMs, owner, reason],
        );
        await writeAudit(db, {
          ...{ atMs: nowMs, actor: owner, via, verb: 'add_maintenance', object: id },
          detail: { scope, startsMs, endsMs, reason },
        });
        return { id, scope, startsMs, endsMs, owner, reason };
      }),
    endMaintenance: async (id, by, via, nowMs) =>
      await db.transact(async (db) => {
        const ended = await db.run(
          'UPDATE maintenance SET ended_by = ?, ended_ms = ? WHERE id = ? AND ended_ms IS NULL AND ends_ms > ?',
          ...[by, nowMs, id, nowMs],
        );
        if (ended === 0) return false;
        await writeAudit(db, { atMs: nowMs, actor: by, via, verb: 'end_maintenance', object: id, detail: {} });
        return true;
      }),
    demotions: async () => (await db.all('SELECT * FROM demotion ORDER BY policy, target')).map(demotionOf),
    demote: async ({ policy, target, mode, reason, setMs }) => {
      await db.transact(async (db) => {
        const before = await db.get(
          `SELECT * FROM demotion WHERE policy = ? AND target = ?${db.forUpdate}`,
          policy,
          target,
        );
        if (before !== undefined && (before['mode'] === 'observe' || mode === 'approve')) return;
        if (before === undefined) {
          await db.run(
            'INSERT INTO demotion(policy, target, mode, reason, set_ms) VALUES(?, ?, ?, ?, ?)',
            ...[policy, target, mode, reason, setMs],
          );
        } else {
          await db.run(
            'UPDATE demotion SET mode = ?, reason = ?, set_ms = ? WHERE policy = ? AND target = ?',
            ...[mode, reason, setMs, policy, target],
          );
        }
        await writeAudit(db, {
          ...{ atMs: setMs, actor: 'auto', via: 'store', verb: 'demote', object: objectOf(policy, target) },
          detail: { mode, reason },
        });
      });
    },
    liftDemotion: async (policy, target, by, comment, nowMs) =>
      await db.transact(async (db) => {
        const before = await db.get(
          `SELECT * FROM demotion WHERE policy = ? AND target = ?${db.forUpdate}`,
          policy,
          target,
        );
        if (before === undefined) return false;
        await db.run('DELETE FROM demotion WHERE policy = ? AND target = ?', policy, target);
        await writeAudit(db, {
          ...{ atMs: nowMs, actor: by, via: 'store', verb: 'lift_demotion', object: objectOf(policy, target) },
          detail: { comment, mode: text(before, 'mode'), reason: text(before, 'reason') },
        });
        return true;
      }),
    storm: async () => {
      const row = await db.get(`SELECT * FROM storm WHERE scope = 'global'`);
      return row === undefined ? undefined : stormOf(row);
    },
    setStorm: ({ state, enteredMs, cooldownUntilMs, inputs }) =>
      put(
        db,
        'UPDATE storm SET state = ?, entered_ms = ?, cooldown_until_ms = ?, inputs = ? WHERE scope = ?',
        'INSERT INTO storm(state, entered_ms, cooldown_until_ms, inputs, scope) VALUES(?, ?, ?, ?, ?)',
        [state, enteredMs, cooldownUntilMs ?? null, JSON.stringify(inputs), 'global'],
      ),
  };
}

function objectOf(policy: string, target: string): string {
  return `${policy}/${target}`;
}
