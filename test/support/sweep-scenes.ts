// What the sweep of real actions needs of each: something broken that the action mends, a way to the target on which its
// calls are met, and a witness that is not the remediator.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { databasePorts } from '../../deploy/lab/release.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import type { JournalEntry, Json } from '../../remediator/model.ts';
import type { ActionLife } from './action-life.ts';
import { openGate, statements, type CallGate } from './call-gate.ts';
import { json, startStandIn } from './cdc-stand-in.ts';
import { startEngine } from './engine-stand-in.ts';
import type { MysqlRepair } from './mysql-repair.ts';

export type Way = 'through the gate' | 'past it';
export type SceneLife = Pick<ActionLife, 'action' | 'target' | 'params' | 'inventory' | 'auth' | 'supervisors'>;

/** What is judged: the journal of the run that has ended, and whether a call that was held back has come after that. */
export interface Played {
  readonly journal: readonly JournalEntry[];
  /** As the gate names it; undefined: none came late. */
  readonly late: string | undefined;
  readonly said: string;
}

export interface Scene extends AsyncDisposable {
  readonly gate: CallGate;
  readonly life: (way: Way) => SceneLife;
  /** Step by the name that the gate gives its call. */
  readonly steps: Readonly<Record<string, string>>;
  /** Breaks what the action mends. */
  readonly prepare: () => Promise<void>;
  readonly judge: (played: Played) => Promise<void>;
  /** Of a fault that shows only after some looks: who takes a run up that has begun nothing may refuse it. Nothing was heard. */
  readonly untouched?: (said: string) => Promise<void>;
  /** The highest fence that the target has seen: a store that has been in use is not behind it. */
  readonly fenceSeen?: () => Promise<number>;
  /** Ends, as their server would after a while, the locks that a process which stands still holds. */
  readonly freeLocks?: () => Promise<void>;
}

export function intentsOf(journal: readonly JournalEntry[], step: string): number {
  return journal.filter((e) => e.kind === 'intent' && e.step === step).length;
}

/** A CDC service in a container that says that it does not work, until its next life. */
export async function cdcScene(): Promise<Scene> {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-sweep-'));
  const service = await startStandIn();
  const engine = await startEngine({ processState: 'S', startedAt: new Date(Date.now() - 60_000).toISOString() });
  const socket = join(dir, 'engine.sock');
  const gate = await openGate({ path: socket }, { path: engine.socket }, () => (data) => {
    return /^POST \/containers\/[^/]+\/(?<verb>stop|start)/.exec(data.toString('latin1'))?.groups?.['verb'];
  });
  let rows = 0;
  let works = false;
  let brokenSince = performance.now();
  service.replies.set('/metrics', (_request, response) => {
    // one that counts on, or is not behind, is seen to work, whatever else it says of itself
    if (works) rows += 1;
    const lagSeconds = works ? 0 : Math.round(1 + (performance.now() - brokenSince) / 1000);
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
    response.end(`cdc_binlog_lag_seconds ${String(lagSeconds)}\ncdc_rows_applied_total ${String(rows)}\n`);
  });
  engine.changed = async () => {
    works = engine.effects.at(-1) === 'start';
    if (!works) await service.close();
    else {
      service.replies.set('/health', json({ status: 'UP' }));
      await service.listen();
    }
  };
  const address = { http: service.url, metrics: `${service.url}/metrics` };
  return {
    gate,
    steps: { stop: 'stop', start: 'start' },
    prepare: async () => {
      // a stop that came late has ended it
      if (!engine.container.running) {
        Object.assign(engine.container, {
          running: true,
          pid: 3_999_999,
          startedAt: new Date(Date.now() - 60_000).toISOString(),
        });
        await service.listen();
      }
      works = false;
      brokenSince = performance.now();
      service.replies.set('/health', json({ status: 'DOWN' }, 503));
      engine.effects.length = 0;
    },
    life: (way) => ({
      action: 'cdc-service.restart',
      target: 'cdc1',
      params: { stopSeconds: 1, startingSeconds: 0, startStableSeconds: 1, verifySeconds: 60 },
      inventory: { targets: [{ name: 'cdc1', kind: 'cdc-service', address }] },
      auth: {},
      supervisors: {
        cdc1: { kind: 'docker', socket: way === 'past it' ? engine.socket : socket, container: 'cdc', stop_seconds: 1 },
      },
    }),
    judge: ({ journal, late, said }) => {
      // `predicate`: an engine compares nothing, so a stop that was under way ends whatever runs when it comes
      const isStopLate = late === 'stop';
      const told = `${said}; the engine did ${engine.effects.join(' ')}`;
      assert.deepEqual(engine.effects, isStopLate ? ['stop', 'start', 'stop'] : ['stop', 'start'], told);
      for (const step of ['stop', 'start']) {
        assert.ok(engine.effects.filter((e) => e === step).length <= intentsOf(journal, step), told);
      }
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: async () => {
      await gate[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
      await service.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A receiver that has lost its source sleeps for its retry time, and does not see that the source is back. */
export async function mysqlScene(repair: MysqlRepair): Promise<Scene> {
  const { lab } = repair;
  const host = lab.address;
  const gatePort = 17_022;
  const to = { host, port: databasePorts.replica };
  const gate = await openGate({ host, port: gatePort }, to, statements(/(STOP|START) SLAVE IO_THREAD/));
  const status = async (): Promise<Readonly<Record<string, unknown>>> =>
    (await lab.sql('replica', 'SHOW ALL SLAVES STATUS'))[0] ?? {};
  const statusIs = (what: string, is: (row: Readonly<Record<string, unknown>>) => boolean): Promise<boolean> =>
    waitFor(async () => is(await status()), { deadlineMs: 60_000, what });
  for (const statement of ['STOP SLAVE', 'CHANGE MASTER TO MASTER_CONNECT_RETRY = 3600', 'START SLAVE']) {
    await lab.sql('replica', statement);
  }
  const auth = { user: 'remediator', password_file: lab.secretFile('remediator') };
  let row = 0;
  return {
    gate,
    steps: { 'STOP SLAVE IO_THREAD': 'stop', 'START SLAVE IO_THREAD': 'start' },
    prepare: async () => {
      // a round that has failed must not make the next ones fail
      const { Slave_IO_Running: receiver } = await status();
      if (receiver !== 'Yes') for (const one of ['STOP SLAVE', 'START SLAVE']) await lab.sql('replica', one);
      await statusIs('replication', (r) => r['Slave_IO_Running'] === 'Yes' && r['Slave_SQL_Running'] === 'Yes');
      await lab.link('replica->source').cut();
      await statusIs(
        'the receiver to have lost its source',
        (r) => r['Slave_IO_Running'] === 'Connecting' && Number(r['Last_IO_Errno']) !== 0,
      );
      row += 1;
      await lab.sql(
        'source',
        `INSERT INTO shop.orders (id, customer, state, total) VALUES (${String(row)}, 'somebody', 'new', 1)`,
      );
      await lab.link('replica->source').restore();
      await repair.mark();
    },
    life: (way) => {
      const at = (port: number): Json => ({ host, port });
      const login = auth as unknown as Json;
      return {
        action: 'mysql.replica.restart-thread',
        target: 'db2',
        params: { stuckSeconds: 1, stableSeconds: 1, verifySeconds: 60 },
        inventory: {
          targets: [
            { name: 'db1', kind: 'mysql', address: at(databasePorts.source), auth: login },
            {
              name: 'db2',
              kind: 'mysql',
              address: at(way === 'past it' ? databasePorts.replica : gatePort),
              auth: login,
            },
          ],
          pipelines: [{ name: 'orders', source: 'db1', replicas: ['db2'], objective: '1m' }],
        },
        auth: {},
        supervisors: {},
      };
    },
    judge: async ({ journal, said }) => {
      const all = await repair.said();
      const told = `${said}; the replica was told ${all.map((s) => `${String(s.connection)}: ${s.statement}`).join(', ')}`;
      const changed = all.filter(({ statement }) => !statement.startsWith('KILL'));
      // `session`: whatever became of the calls, one of each was heard
      assert.deepEqual(
        changed.map(({ statement }) => statement),
        ['STOP SLAVE IO_THREAD', 'START SLAVE IO_THREAD'],
        told,
      );
      const known = JSON.stringify(journal);
      const named = all.map((s) => (s.statement.startsWith('KILL') ? s.statement.slice('KILL '.length) : s.connection));
      for (const connection of named) assert.match(known, new RegExp(`"connection":${String(connection)}\\b`), told);
      const there = await lab.sql('replica', `SELECT id FROM shop.orders WHERE id = ${String(row)}`);
      assert.equal(there.length, 1, told);
    },
    // how long a receiver has been connecting is known to a process that has watched it, and to no other
    untouched: async (said) => {
      const all = await repair.said();
      assert.deepEqual(
        all.filter(({ statement }) => !statement.startsWith('KILL')),
        [],
        said,
      );
    },
    [Symbol.asyncDispose]: () => gate[Symbol.asyncDispose](),
  };
}
