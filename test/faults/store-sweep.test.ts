// The runner on a target of each class of fencing, with its store on a real server: killed, stopped for longer than its lease,
// or cut off, at each COMMIT that a run makes and at each call that changes something; carried through by a successor; and
// then what was held back comes late. The judge is the target's own record (see contract-sweep.test.ts for files).
//
// Which COMMITs there are is taken from a run that nothing happens to: a new one is swept from then on, one without a name
// fails. PIPEMEDIC_SWEEP=full takes every fate at each of them; without it each COMMIT meets one fate, and those of intents
// and the calls themselves meet all of them, over the classes.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { databasePorts } from '../../deploy/lab/release.ts';
import { startDatabases, type DatabaseLab } from '../../deploy/lab/databases.ts';
import { mariadbInstalled } from '../../deploy/lab/mariadb.ts';
import type { Policy } from '../../remediator/guard.ts';
import { openMysqlDb } from '../../remediator/store/mysql-db.ts';
import { commits, openGate, type CallGate, type Namer } from '../support/call-gate.ts';
import { classes, contractAction, type Class } from '../support/contract-actions.ts';
import type { Life } from '../support/contract-life.ts';
import { startContractTarget, type ContractTarget } from '../support/contract-target.ts';
import {
  claimByTheDead,
  conductToEnd,
  openAlert,
  openStore,
  runId,
  type LifeStore,
  type StorePlace,
  type ToConduct,
} from '../support/life.ts';
import { fates, fatesOfCommit, finishes, isCarriedOut, isUndisturbed, NotReached, play, startLife, untilReached, type Fate, type Living } from '../support/sweep-round.ts'; // prettier-ignore
import { policy as basePolicy } from '../unit/remediator/scenario.ts';

const program = join(import.meta.dirname, '..', 'support', 'contract-life.ts');
const isFull = process.env['PIPEMEDIC_SWEEP'] === 'full';
const target = 'svc1';
const effects: Readonly<Record<Class, readonly string[]>> = {
  cas: ['stop', 'start'],
  session: ['change'],
  predicate: ['start'],
  once: ['change'],
};
/** Of a session that says nothing. */
const sessionEndsSeconds = 3;
/** With a margin for a machine that is busy: what takes longer is given up, which is another story. */
const times = { deadlineMs: 1_000, lease: { ttlMs: 4_000, renewMs: 800, marginMs: 300 } };
/** Rounds wait for leases most of the time. */
const lanes = 4;

/** A database of its own, and the way to it on which COMMITs are met. */
interface Lane {
  readonly direct: LifeStore;
  readonly gate: CallGate;
  readonly throughGate: StorePlace;
  readonly empty: () => Promise<void>;
}

let lab: DatabaseLab;
const idle: Lane[] = [];
const open: AsyncDisposable[] = [];
const waiting: ((lane: Lane) => void)[] = [];

before(async () => {
  lab = await startDatabases(mariadbInstalled, { databases: ['source'] });
  await lab.sql('source', `CREATE USER store IDENTIFIED BY '${lab.secret('store')}'`);
  const port = databasePorts.source;
  for (let n = 1; n <= lanes; n++) {
    const database = `remediator${String(n)}`;
    await lab.sql('source', `CREATE DATABASE ${database}`);
    await lab.sql('source', `GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX ON ${database}.* TO store`);
    const place = { host: lab.address, port, database, user: 'store', passwordFile: lab.secretFile('store') };
    const direct = await openStore(place);
    const gatePort = 17_000 + n;
    const gate = await openGate({ host: lab.address, port: gatePort }, { host: lab.address, port }, commits);
    open.push(gate, direct);
    const tables = await lab.sql(
      'source',
      `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = '${database}' AND table_name NOT IN ('meta', 'pause_switch')`,
    );
    const empty = async (): Promise<void> => {
      for (const { name } of tables) await lab.sql('source', `DELETE FROM ${database}.${String(name)}`);
    };
    idle.push({ direct, gate, throughGate: { ...place, port: gatePort }, empty });
  }
  // A process that is stopped within a transaction holds its locks until the server ends its session.
  await lab.sql('source', `SET GLOBAL wait_timeout = ${String(sessionEndsSeconds)}`);
});
after(async () => {
  for (const one of open) await one[Symbol.asyncDispose]();
  await lab.stop();
});

async function withLane<T>(use: (lane: Lane) => Promise<T>): Promise<T> {
  const lane = idle.pop() ?? (await new Promise<Lane>((resolve) => waiting.push(resolve)));
  try {
    return await use(lane);
  } finally {
    const next = waiting.shift();
    if (next === undefined) idle.push(lane);
    else next(lane);
  }
}

const mutations = (): Namer => (data) =>
  /"op":"(?<op>stop|start|change)"/.exec(data.toString('latin1'))?.groups?.['op'];

/** An alert about a target of that class, and a way to it on which its calls are met. */
interface Room extends AsyncDisposable {
  readonly target: ContractTarget;
  readonly calls: CallGate;
  readonly start: () => Living;
  readonly succeed: () => Promise<void>;
  /** How often the target had been called when the successor was through. */
  readonly callsByThen: () => number;
}

async function startRoom(lane: Lane, fencing: Class, wasClaimed: boolean): Promise<Room> {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-sweep-'));
  const served = await startContractTarget(join(dir, 'target.sock'), fencing === 'predicate');
  const socket = join(dir, 'gate.sock');
  const calls = await openGate({ path: socket }, { path: served.socket }, mutations);
  await lane.empty();
  await lane.direct.clock.persist();
  lane.gate.seen.length = 0;
  const policy: Policy = { ...basePolicy, action: `contract.${fencing}`, soakMs: 1 };
  const episodeId = await openAlert(lane.direct, target);
  const own: ToConduct<{ socket: string; beforeCall: () => void }> = {
    at: lane.direct,
    action: contractAction(fencing, times.deadlineMs),
    world: { socket: served.socket, beforeCall: () => undefined },
    target,
    params: {},
    policy,
    episodeId,
    evidenceDir: join(dir, 'evidence'),
    lease: times.lease,
    logLevel: process.env['PIPEMEDIC_TEST_LOG'] ?? 'silent',
  };
  if (wasClaimed) await claimByTheDead(own);
  const life: Life = { dir, socket, fencing, policy, store: lane.throughGate, episodeId, times };
  const living: Living[] = [];
  let callsByThen = 0;
  return {
    target: served,
    calls,
    start: () => {
      const one = startLife(program, life);
      living.push(one);
      return one;
    },
    succeed: async () => {
      await conductToEnd(own);
      callsByThen = served.requests.length;
    },
    callsByThen: () => callsByThen,
    [Symbol.asyncDispose]: async () => {
      for (const { child } of living) child.kill('SIGKILL');
      await calls[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

interface Point {
  readonly fencing: Class;
  /** A COMMIT by what it writes, or a call by its name. */
  readonly name: string;
  readonly isCall: boolean;
  readonly fate: Fate;
}

/** Runs by class and outcome. */
const outcomes = new Map<string, number>();

/** What the class promises, by the target's record and the journal. */
async function judge({ direct: { store } }: Lane, room: Room, point: Point): Promise<void> {
  const { fencing, name, isCall, fate } = point;
  const runs = await store.runsOf({ target, limit: 10 });
  const journal = await store.journalOf(runId);
  const told = journal.map((e) => `${e.step}:${e.kind}${e.outcome === undefined ? '' : `=${e.outcome}`}`).join(' ');
  const [run] = runs;
  const said = `${String(run?.because)}: ${told}; the target saw ${room.target.requests.join(' ')}`;
  assert.ok(run?.state === 'ended' && runs.length === 1, said);
  assert.equal(await store.budgetUsed(`target:${target}`, 0), 1, said);
  const intents = journal.filter((e) => e.kind === 'intent').length;
  assert.ok(room.target.witness.length <= intents, said);
  if (!isCall && fate.startsWith('stopped')) {
    assert.equal(room.target.requests.length, room.callsByThen(), `it calls nothing after its lease. ${said}`);
  }
  // The intent is there and its call never was: only where nothing would refuse it later, that is not to be known.
  const isIntent = name.endsWith(':intent');
  const isUnknown = fencing === 'once' && (isCall ? !isCarriedOut(fate) : isIntent && isCarriedOut(fate));
  assert.equal(run.outcome, isUnknown ? 'outcome_unknown' : 'verified', said);
  const counted = `${fencing}, store: server, ${run.outcome}`;
  outcomes.set(counted, (outcomes.get(counted) ?? 0) + 1);
  assert.equal((await store.latches()).length, isUnknown ? 1 : 0, said);
  if (!isUnknown) assert.deepEqual(room.target.witness, effects[fencing], said);
  else assert.ok(room.target.witness.length <= 1, said);
}

async function sweepPoint(point: Point): Promise<void> {
  const round = async (lane: Lane): Promise<void> => {
    const { fencing, name, isCall, fate } = point;
    await using room = await startRoom(lane, fencing, name === 'adopt');
    const gate = isCall ? room.calls : lane.gate;
    await play({ gate, call: name, fate, start: room.start, succeed: room.succeed });
    await judge(lane, room, point);
  };
  await withLane((lane) => untilReached(() => round(lane)));
}

/** Names of what a run of that class commits and calls when nothing happens to it. */
async function record(fencing: Class, wasClaimed: boolean): Promise<{ commits: string[]; calls: string[] }> {
  return await withLane(async (lane) => {
    const names = { commits: [] as string[], calls: [] as string[] };
    await untilReached(async () => {
      await using room = await startRoom(lane, fencing, wasClaimed);
      await finishes(room.start(), `${fencing}, recorded`);
      const journal = await lane.direct.store.journalOf(runId);
      const own = wasClaimed ? journal.slice(1) : journal; // without the claim of the dead
      if (!isUndisturbed(own)) throw new NotReached(`not undisturbed: ${lane.gate.seen.join(' ')}`);
      await judge(lane, room, { fencing, name: '', isCall: false, fate: 'its answer is lost' });
      Object.assign(names, { commits: [...new Set(lane.gate.seen)], calls: [...room.calls.seen] });
    });
    return names;
  });
}

function at<T>(list: readonly T[], n: number): T {
  const found = list[n % list.length];
  assert.ok(found !== undefined);
  return found;
}

test('a session that goes silent within a transaction is ended by the server before long', async () => {
  const silenceSeconds = async (): Promise<unknown> => {
    await using db = await openMysqlDb({
      address: { host: lab.address, port: databasePorts.source },
      database: 'remediator1',
      auth: { user: 'store', password_file: lab.secretFile('store') },
      tls: undefined,
      allowRelaxedDurability: true,
    });
    return (await db.get('SELECT @@SESSION.wait_timeout AS seconds'))?.['seconds'];
  };
  assert.equal(await silenceSeconds(), sessionEndsSeconds, 'an operator’s shorter limit stays');
  await lab.sql('source', 'SET GLOBAL wait_timeout = 28800'); // the server's own
  assert.equal(await silenceSeconds(), 30);
  await lab.sql('source', `SET GLOBAL wait_timeout = ${String(sessionEndsSeconds)}`);
});

test('at every COMMIT and every call, of every class, on a server', { concurrency: lanes }, async (t) => {
  const recorded = await Promise.all(classes.map((fencing) => record(fencing, false)));
  const adopted = await record('once', true);
  assert.ok(adopted.commits.includes('adopt'), adopted.commits.join(' '));
  const points: Point[] = [];
  let turn = 0;
  const meet = (fencing: Class, name: string, isCall: boolean, some: readonly Fate[], most: number): void => {
    const chosen = isFull ? some : Array.from({ length: most }, () => at(some, turn++));
    for (const fate of chosen) points.push({ fencing, name, isCall, fate });
  };
  for (const [c, fencing] of classes.entries()) {
    const { commits: names = [], calls = [] } = recorded[c] ?? {};
    assert.deepEqual(calls, effects[fencing]);
    for (const wanted of ['claim', 'renew', ':facts', 'run evidence', `${at(calls, 0)}:intent`, ':ended=verified']) {
      assert.ok(names.includes(wanted), `${wanted}: ${names.join(', ')}`);
    }
    assert.equal(
      names.find((name) => name.startsWith('unknown')),
      undefined,
    );
    // what is of no step is the same for every class
    for (const name of names) {
      if (!name.endsWith(':intent') && (fencing === 'cas' || /^[a-z]+:/.test(name))) {
        meet(fencing, name, false, fatesOfCommit, 1);
      }
    }
  }
  turn = 0;
  for (const fencing of classes)
    for (const name of effects[fencing]) meet(fencing, `${name}:intent`, false, fatesOfCommit, 2);
  turn = 0;
  for (const fencing of classes) for (const name of effects[fencing]) meet(fencing, name, true, fates, 2);
  turn = 1;
  meet('once', 'adopt', false, fatesOfCommit, 2);
  const begun = performance.now();
  await Promise.all(
    points.map((point) =>
      t.test(`${point.fencing}: ${point.isCall ? 'the call' : 'COMMIT of'} ${point.name}: ${point.fate}`, () =>
        sweepPoint(point),
      ),
    ),
  );
  const seconds = Math.round((performance.now() - begun) / 1000);
  for (const [what, count] of outcomes) t.diagnostic(`${String(count)} runs of ${what}`);
  t.diagnostic(
    `${String(points.length)} rounds in ${String(seconds)} s; COMMITs of a run: ${recorded.map((r) => r.commits.length).join(', ')}`,
  );
});
