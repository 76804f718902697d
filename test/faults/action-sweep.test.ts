// Real actions on what they mend: killed, stopped for longer than the lease, or cut off, at each call that changes something,
// carried through by a successor; and then what was held back comes late. The witness is the target's own record: the
// general log of a replica, the slow log and the counts of copies of a Redis, what a container engine has done.
//
// Which calls there are is taken from a run that nothing happens to; one more than is known here fails. In the sweep of
// every fate (PIPEMEDIC_SWEEP=full) both kinds of stores take part in all of them; without it each call meets some of them,
// a process that is stopped has its store on a server, any other one in a file.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { mariadbInstalled } from '../../deploy/lab/mariadb.ts';
import { databasePorts } from '../../deploy/lab/release.ts';
import type { Policy } from '../../remediator/guard.ts';
import { toConduct, type ActionLife } from '../support/action-life.ts';
import { conductToEnd, openAlert, openStore, runId, type LifeStore, type StorePlace } from '../support/life.ts';
import { startMysqlRepair, type MysqlRepair } from '../support/mysql-repair.ts';
import { fates, finishes, inTime, isStopped, isUndisturbed, NotReached, play, startLife, thaw, untilReached, type Fate } from '../support/sweep-round.ts'; // prettier-ignore
import { cdcScene, intentsOf, mysqlScene, redisScene, type Scene } from '../support/sweep-scenes.ts';
import { policy as basePolicy } from '../unit/remediator/scenario.ts';

const program = join(import.meta.dirname, '..', 'support', 'action-life.ts');
const isFull = process.env['PIPEMEDIC_SWEEP'] === 'full';

/** Beside those of the gate: the process stops itself as it begins the call, and goes on with it much too late. */
const entering = 'stopped as it begins it';
type FateHere = Fate | typeof entering;
const everyFate: readonly FateHere[] = [...fates, entering];
type StoreKind = 'file' | 'server';

let repair: MysqlRepair;
let redis: Scene;
let mysql: Scene;

before(async () => {
  [repair, redis] = await Promise.all([startMysqlRepair(mariadbInstalled), redisScene()]);
  const { lab } = repair;
  mysql = await mysqlScene(repair);
  await lab.sql('source', `CREATE USER store IDENTIFIED BY '${lab.secret('store')}'`);
  // A process that is stopped within a transaction keeps its locks until the server ends its session.
  await lab.sql('source', 'SET GLOBAL wait_timeout = 3');
});
after(async () => {
  await redis[Symbol.asyncDispose]();
  await mysql[Symbol.asyncDispose]();
  await repair.lab.stop();
});

let databases = 0;

async function placeOf(kind: StoreKind, dir: string): Promise<StorePlace> {
  if (kind === 'file') return { file: join(dir, 'store.db') };
  const { lab } = repair;
  databases += 1;
  const database = `remediator${String(databases)}`;
  await lab.sql('source', `CREATE DATABASE ${database}`);
  await lab.sql('source', `GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX ON ${database}.* TO store`);
  const passwordFile = lab.secretFile('store');
  return { host: lab.address, port: databasePorts.source, database, user: 'store', passwordFile };
}

interface Room extends AsyncDisposable {
  readonly at: LifeStore;
  readonly life: ActionLife;
  readonly succeed: () => Promise<void>;
}

async function startRoom(scene: Scene, kind: StoreKind): Promise<Room> {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-sweep-'));
  const store = await placeOf(kind, dir);
  const at = await openStore(store);
  const life = scene.life('through the gate');
  const policy: Policy = { ...basePolicy, action: life.action, soakMs: 200 };
  const all = { dir, store, policy, episodeId: await openAlert(at, life.target) };
  scene.gate.seen.length = 0;
  await scene.prepare();
  const level = process.env['PIPEMEDIC_TEST_LOG'] ?? 'silent';
  return {
    at,
    life: { ...life, ...all },
    succeed: () => conductToEnd(toConduct({ ...scene.life('past it'), ...all }, at, level)),
    [Symbol.asyncDispose]: async () => {
      await at[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function judge(scene: Scene, { at: { store }, life }: Room, late: string | undefined): Promise<void> {
  const runs = await store.runsOf({ target: life.target, limit: 10 });
  const [run] = runs;
  const journal = await store.journalOf(runId);
  const story = journal.map((e) => `${e.step}:${e.kind}${e.outcome === undefined ? '' : `=${e.outcome}`}`).join(' ');
  const said = `${String(run?.because)}: ${story}`;
  assert.equal(runs.length, 1, said);
  // every outcome can be found out here: nothing is left unknown, and nothing is done twice for that
  assert.equal(run?.outcome, 'verified', said);
  assert.deepEqual(await store.latches(), [], said);
  await scene.judge({ journal, late, said });
}

async function sweepCall(scene: Scene, call: string, fate: FateHere, kind: StoreKind): Promise<void> {
  await using room = await startRoom(scene, kind);
  const { life, succeed } = room;
  if (fate !== entering) {
    await play({ gate: scene.gate, call, fate, start: () => startLife(program, life), succeed });
    await judge(scene, room, fate.endsWith('comes late') ? call : undefined);
    return;
  }
  const step = scene.steps[call];
  assert.ok(step !== undefined);
  const first = startLife(program, { ...life, stop: { step, when: 'before' } } satisfies ActionLife);
  try {
    await isStopped(first);
    const before = [...scene.gate.seen];
    await inTime(succeed(), 'the successor', first.log);
    await thaw(first);
    assert.deepEqual(scene.gate.seen, before, 'what stood still for longer than its lease calls nothing any more');
    await judge(scene, room, undefined);
  } finally {
    first.child.kill('SIGKILL');
  }
}

/** What a run calls when nothing happens to it. */
async function record(scene: Scene): Promise<void> {
  await using room = await startRoom(scene, 'server');
  const only = startLife(program, room.life);
  try {
    await finishes(only, 'recorded');
  } finally {
    only.child.kill('SIGKILL');
  }
  const journal = await room.at.store.journalOf(runId);
  if (!isUndisturbed(journal)) throw new NotReached(`not undisturbed: ${scene.gate.seen.join(' ')}`);
  await judge(scene, room, undefined);
  assert.deepEqual(scene.gate.seen, Object.keys(scene.steps), 'each call that changes something, once');
  const intents = [...new Set(journal.filter((e) => e.kind === 'intent').map((e) => e.step))];
  assert.deepEqual(intents, Object.values(scene.steps), 'and no other step has an intent');
  for (const step of intents) assert.equal(intentsOf(journal, step), 1);
}

interface Point {
  readonly call: string;
  readonly fate: FateHere;
  readonly kind: StoreKind;
}

function pointsOf(calls: readonly string[], some: readonly (readonly FateHere[])[]): readonly Point[] {
  // a stop from outside may hit a process within a write to its file, which then nobody else can have
  const stops = (fate: FateHere): boolean => fate.startsWith('stopped') && fate !== entering;
  if (isFull) {
    const kinds: readonly StoreKind[] = ['file', 'server'];
    return calls.flatMap((call) =>
      everyFate.flatMap((fate) =>
        kinds.filter((k) => k === 'server' || !stops(fate)).map((kind) => ({ call, fate, kind })),
      ),
    );
  }
  return calls.flatMap((call, i) =>
    (some[i] ?? []).map((fate) => ({ call, fate, kind: fate.startsWith('stopped') ? 'server' : 'file' }) as const),
  );
}

function nameOf({ call, fate, kind }: Point): string {
  return `${call}: ${fate}; store: ${kind}`;
}

// Each has its own target, and all of them wait for leases most of the time.
suite('real actions', { concurrency: 3 }, () => {
  test('cdc-service.restart: at its calls of a container engine', { concurrency: 3 }, async (t) => {
    {
      await using scene = await cdcScene();
      await record(scene);
    }
    // one that comes late is, until then, one that was killed before it
    const some = ['killed after it', 'killed, and it comes late', entering, 'stopped after it'] as const;
    const points = pointsOf(['stop', 'start'], [some, some]);
    await Promise.all(
      points.map((point) =>
        t.test(nameOf(point), async () => {
          await using scene = await cdcScene();
          await sweepCall(scene, point.call, point.fate, point.kind);
        }),
      ),
    );
  });

  for (const [name, scene, some] of [
    [
      'redis.replica.reconnect: at its call of a replica',
      () => redis,
      [['killed, and it comes late', entering, 'stopped after it']],
    ],
    [
      'mysql.replica.restart-thread: at its calls of a replica',
      () => mysql,
      [
        ['killed, and it comes late', entering],
        ['killed after it', 'stopped after it'],
      ],
    ],
  ] as const) {
    test(name, async (t) => {
      await untilReached(() => record(scene()));
      for (const point of pointsOf(Object.keys(scene().steps), some)) {
        await t.test(nameOf(point), () => untilReached(() => sweepCall(scene(), point.call, point.fate, point.kind)));
      }
    });
  }
});
