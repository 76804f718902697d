// What holds repairs back beside the switch and latches: maintenance, demoted policies, a storm.
import { randomUUIDv7 } from 'node:crypto';
import { demotionOf, maintenanceOf, stormOf, text } from './rows.ts';
import type { Db } from './sqlite-db.ts';
import { settle } from './sqlite-intake.ts';
import { writeAudit } from './sqlite-people.ts';
import type { Store } from './store.ts';

type Restraints = Pick<
  Store,
  'maintenances' | 'addMaintenance' | 'endMaintenance' | 'demotions' | 'demote' | 'liftDemotion' | 'storm' | 'setStorm'
>;

export function restraintsIn(db: Db): Restraints {
  return {
    maintenances: (nowMs) =>
      settle(() =>
        db
          .all('SELECT * FROM maintenance WHERE ends_ms > ? AND ended_ms IS NULL ORDER BY starts_ms, id', nowMs)
          .map(maintenanceOf),
      ),
    addMaintenance: (maintenance, via, nowMs) =>
      settle(() =>
        db.transact(() => {
          const { scope, startsMs, endsMs, owner, reason } = maintenance;
          const id = randomUUIDv7();
          db.run(
            'INSERT INTO maintenance(id, scope, starts_ms, ends_ms, owner, reason) VALUES(?, ?, ?, ?, ?, ?)',
            ...[id, scope, startsMs, endsMs, owner, reason],
          );
          writeAudit(db, {
            ...{ atMs: nowMs, actor: owner, via, verb: 'add_maintenance', object: id },
            detail: { scope, startsMs, endsMs, reason },
          });
          return { id, scope, startsMs, endsMs, owner, reason };
        }),
      ),
    endMaintenance: (id, by, via, nowMs) =>
      settle(() =>
        db.transact(() => {
          const ended = db.run(
            'UPDATE maintenance SET ended_by = ?, ended_ms = ? WHERE id = ? AND ended_ms IS NULL AND ends_ms > ?',
            ...[by, nowMs, id, nowMs],
          );
          if (ended === 0) return false;
          writeAudit(db, { atMs: nowMs, actor: by, via, verb: 'end_maintenance', object: id, detail: {} });
          return true;
        }),
      ),
    demotions: () => settle(() => db.all('SELECT * FROM demotion ORDER BY policy, target').map(demotionOf)),
    demote: ({ policy, target, mode, reason, setMs }) =>
      settle(() => {
        db.transact(() => {
          const before = db.get('SELECT * FROM demotion WHERE policy = ? AND target = ?', policy, target);
          if (before !== undefined && (before['mode'] === 'observe' || mode === 'approve')) return;
          if (before === undefined) {
            db.run(
              'INSERT INTO demotion(policy, target, mode, reason, set_ms) VALUES(?, ?, ?, ?, ?)',
              ...[policy, target, mode, reason, setMs],
            );
          } else {
            db.run(
              'UPDATE demotion SET mode = ?, reason = ?, set_ms = ? WHERE policy = ? AND target = ?',
              ...[mode, reason, setMs, policy, target],
            );
          }
          writeAudit(db, {
            ...{ atMs: setMs, actor: 'auto', via: 'store', verb: 'demote', object: objectOf(policy, target) },
            detail: { mode, reason },
          });
        });
      }),
    liftDemotion: (policy, target, by, comment, nowMs) =>
      settle(() =>
        db.transact(() => {
          const before = db.get('SELECT * FROM demotion WHERE policy = ? AND target = ?', policy, target);
          if (before === undefined) return false;
          db.run('DELETE FROM demotion WHERE policy = ? AND target = ?', policy, target);
          writeAudit(db, {
            ...{ atMs: nowMs, actor: by, via: 'store', verb: 'lift_demotion', object: objectOf(policy, target) },
            detail: { comment, mode: text(before, 'mode'), reason: text(before, 'reason') },
          });
          return true;
        }),
      ),
    storm: () =>
      settle(() => {
        const row = db.get(`SELECT * FROM storm WHERE scope = 'global'`);
        return row === undefined ? undefined : stormOf(row);
      }),
    setStorm: ({ state, enteredMs, cooldownUntilMs, inputs }) =>
      settle(() => {
        db.transact(() => {
          const values = [state, enteredMs, cooldownUntilMs ?? null, JSON.stringify(inputs)];
          const updated = db.run(
            `UPDATE storm SET state = ?, entered_ms = ?, cooldown_until_ms = ?, inputs = ? WHERE scope = 'global'`,
            ...values,
          );
          if (updated > 0) return;
          db.run(
            `INSERT INTO storm(state, entered_ms, cooldown_until_ms, inputs, scope) VALUES(?, ?, ?, ?, 'global')`,
            ...values,
          );
        });
      }),
  };
}

function objectOf(policy: string, target: string): string {
  return `${policy}/${target}`;
}
