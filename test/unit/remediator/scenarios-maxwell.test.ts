// Scenarios whose decision is Maxwell's own: its conditions, from rows as its database has them, before an action that
// stops and starts a service in memory; the service is the witness.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { positionOf } from '../../../exporter/systems/maxwell/facts-position.ts';
import type { Action } from '../../../remediator/action.ts';
import type { MaxwellFacts } from '../../../remediator/actions/maxwell/facts.ts';
import { preconditions } from '../../../remediator/actions/maxwell/look.ts';
import { allow, type Guard } from '../../../remediator/guard.ts';
import { guards } from '../../../remediator/guards/index.ts';
import { withBench, type Bench, type World } from './evaluator-bench.ts';
import { fakeAction } from './fake-service.ts';

const now = 1_000_000;
const row = {
  ...{ server_id: 1, client_id: 'maxwell', binlog_file: 'bin.000005', binlog_position: 500, gtid_set: null },
  ...{ last_heartbeat_read: now - 2_000, heartbeat: now - 1_000 },
};
const sound: MaxwellFacts = {
  ...{ schema: 'maxwell', clientId: 'maxwell' },
  service: unknown('not asked'),
  log: unknown('not asked'),
  health: {
    ...{ state: 'down', why: 'it is gone', position: 'ok' },
    purge: known({ lost: false, why: 'its file is there', reason: undefined, bytes: 1, files: 1 }, now),
  } as unknown as MaxwellFacts['health'],
  position: known(positionOf([row], now, now, 'maxwell'), now),
  binlogs: unknown('not asked'),
  source: unknown('not asked'),
  dumpThreads: known([], now),
  bootstraps: known([], now),
  rows: known({ positions: [row], heartbeats: [], bootstrap: [], schemaId: '1' }, now),
  kafka: {},
  failedMessages: undefined,
};

function withFacts(b: Bench, facts: () => MaxwellFacts): Action<World> {
  const inner = fakeAction(b.service);
  return {
    ...inner,
    look: async (...args) => ({ ...(await inner.look(...args)), preconditions: preconditions(facts()) }),
  };
}

function scenario(name: string, code: string, bad: Partial<MaxwellFacts>): void {
  const play = async (guarded: readonly Guard[], reasonKey: string): Promise<void> => {
    let facts: MaxwellFacts = { ...sound, ...bad };
    await withBench(
      async (b) => {
        const id = await b.fire();
        assert.equal((await b.lookTwice(id)).reasonKey, reasonKey);
        await b.evaluator.idle();
        // the claim looks once more, whatever the guards said
        assert.deepEqual(
          b.service.witness.filter((w) => w !== 'unlock'),
          [],
        );
        if (reasonKey === 'act') {
          const [run] = await b.runs();
          assert.equal(run?.outcome, 'refused');
          assert.match(run.because ?? '', new RegExp(`^${code}: `));
          return;
        }
        assert.deepEqual(await b.runs(), []);
        facts = sound;
        assert.equal((await b.lookTwice(id)).verdict, 'act', 'nothing else kept it from acting');
        await b.evaluator.idle();
        assert.deepEqual(b.service.witness, ['stop 1', 'start 2', 'unlock']);
      },
      (b) => ({ actions: [withFacts(b, () => facts)], guards: guarded }),
    );
  };
  test(name, () => play(guards, `preconditions:${code}`));
  test(`${name}; mutant without preconditions`, () =>
    play(
      guards.map((g) => (g.name === 'preconditions' ? { ...g, decide: () => allow('mutant', '') } : g)),
      'act',
    ));
}

scenario('scenario 13: Maxwell without a row of positions for this server is not started', 'position_missing', {
  position: known(positionOf([], now, now, 'maxwell'), now),
});

scenario('scenario 15: an open bootstrap holds a restart of Maxwell', 'bootstrap_running', {
  bootstraps: known([{ id: 1, database: 'shop', table: 'orders', insertedRows: 7, totalRows: 9 }], now),
});

for (const [what, bad] of [
  ['the row of positions', { position: unknown('no answer') }],
  ['bootstraps', { bootstraps: unknown('no answer') }],
] as const) {
  test(`scenarios 13 and 15: ${what} cannot be read: unknown, and nothing is done`, () =>
    withBench(
      async (b) => {
        const decision = await b.lookTwice(await b.fire());
        assert.match(decision.reasonKey, /^evidence:(position|bootstrap)_unknown$/);
        await b.evaluator.idle();
        assert.deepEqual(b.service.witness, []);
      },
      (b) => ({ actions: [withFacts(b, () => ({ ...sound, ...bad }))] }),
    ));
}
