// Rounds of the sweep of real actions: a life of an action meets its fate, a successor carries the run through, and the
// scene's own witness says what has become of its target.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseLab } from '../../deploy/lab/databases.ts';
import { databasePorts } from '../../deploy/lab/release.ts';
import type { Policy } from '../../remediator/guard.ts';
import { policy as basePolicy } from '../unit/remediator/scenario.ts';
import { toConduct, type ActionLife } from './action-life.ts';
import { commits, openGate, type CallGate } from './call-gate.ts';
import { conductToEnd, openAlert, openStore, runId, type LifeStore, type StorePlace } from './life.ts';
import { seedFence } from './maxwell-repair.ts';
import { killAtCall } from './remediator-program.ts';
import { fates, finishes, inTime, isStopped, isUndisturbed, NotReached, play, startLife, thaw, type Fate } from './sweep-round.ts'; // prettier-ignore
import { intentsOf, type Scene } from './sweep-scenes.ts';

const program = join(import.meta.dirname, 'action-life.ts');

/** Beside those of the gate: the process stops itself as it begins the call, and goes on with it much too late. */
export const entering = 'stopped as it begins it';
export type FateOfCall = Fate | typeof entering;
export const fatesOfCall: readonly FateOfCall[] = [...fates, entering];
export type StoreKind = 'file' | 'server';

/** On the way to the server of stores, for one round at a time. */
export interface StoreGate extends AsyncDisposable {
  readonly gate: CallGate;
  readonly port: number;
}

interface Room extends AsyncDisposable {
  readonly at: LifeStore;
  readonly life: ActionLife;
  readonly kind: StoreKind;
  readonly succeed: () => Promise<void>;
}

export interface ActionRounds {
  readonly openStoreGate: () => Promise<StoreGate>;
  /** Nothing happens to it. @returns what it commits, by name */
  readonly record: (scene: Scene, through: StoreGate) => Promise<readonly string[]>;
  readonly atCall: (scene: Scene, call: string, fate: FateOfCall, kind: StoreKind) => Promise<void>;
  readonly atCommit: (scene: Scene, through: StoreGate, commit: string, fate: Fate) => Promise<void>;
  /** @returns false: it was through before its n-th fsync */
  readonly atSync: (scene: Scene, n: number) => Promise<boolean>;
  /** Runs by action, store and outcome. */
  readonly outcomes: ReadonlyMap<string, number>;
}

/** @param lab whose source is the server of stores; its user `store` may be given databases */
export function actionRounds(lab: DatabaseLab): ActionRounds {
  let databases = 0;
  let gates = 0;
  const outcomes = new Map<string, number>();

  const placeOf = async (kind: StoreKind, dir: string): Promise<StorePlace> => {
    if (kind === 'file') return { file: join(dir, 'store.db') };
    databases += 1;
    const database = `remediator${String(databases)}`;
    await lab.sql('source', `CREATE DATABASE ${database}`);
    await lab.sql('source', `GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX ON ${database}.* TO store`);
    const passwordFile = lab.secretFile('store');
    return { host: lab.address, port: databasePorts.source, database, user: 'store', passwordFile };
  };

  const seed = async (store: StorePlace, target: string, fence: number): Promise<void> => {
    if ('file' in store) {
      seedFence(store.file, fence);
      return;
    }
    const values = `('target:${target}', ${String(fence)}, 0)`;
    await lab.sql('source', `INSERT INTO ${store.database}.lease(scope, fence, expires_ms) VALUES${values}`);
  };

  /** @param through the store of the life that meets its fate is behind that gate */
  const startRoom = async (scene: Scene, kind: StoreKind, through?: StoreGate): Promise<Room> => {
    const dir = mkdtempSync(join(tmpdir(), 'pipemedic-sweep-'));
    const direct = await placeOf(kind, dir);
    const at = await openStore(direct);
    const life = scene.life('through the gate');
    const fence = await scene.fenceSeen?.();
    if (fence !== undefined) await seed(direct, life.target, fence);
    const policy: Policy = { ...basePolicy, action: life.action, soakMs: 200 };
    const store = through === undefined || 'file' in direct ? direct : { ...direct, port: through.port };
    const all = { dir, store, policy, episodeId: await openAlert(at, life.target) };
    await scene.prepare();
    scene.gate.seen.length = 0;
    if (through !== undefined) through.gate.seen.length = 0;
    const level = process.env['PIPEMEDIC_TEST_LOG'] ?? 'silent';
    return {
      at,
      kind,
      life: { ...life, ...all },
      succeed: () => conductToEnd(toConduct({ ...scene.life('past it'), ...all }, at, level)),
      [Symbol.asyncDispose]: async () => {
        await at[Symbol.asyncDispose]();
        rmSync(dir, { recursive: true, force: true });
      },
    };
  };

  const judge = async (scene: Scene, { at: { store }, life, kind }: Room, late?: string): Promise<void> => {
    const runs = await store.runsOf({ target: life.target, limit: 10 });
    const [run] = runs;
    const journal = await store.journalOf(runId);
    const story = journal.map((e) => `${e.step}:${e.kind}${e.outcome === undefined ? '' : `=${e.outcome}`}`).join(' ');
    const said = `${String(run?.because)}: ${story}`;
    assert.equal(runs.length, 1, said);
    assert.deepEqual(await store.latches(), [], said);
    const isBegun = journal.some((e) => e.kind === 'intent');
    if (run?.outcome === 'refused' && !isBegun && scene.untouched !== undefined) await scene.untouched(said);
    else {
      // every outcome can be found out here: nothing is left unknown, and nothing is done twice for that
      assert.equal(run?.outcome, 'verified', said);
      await scene.judge({ journal, late, said });
    }
    const counted = `${life.action}, store: ${kind}, ${run.outcome}`;
    outcomes.set(counted, (outcomes.get(counted) ?? 0) + 1);
  };

  const succeedAfter = (scene: Scene, room: Room, fate: FateOfCall) => async (): Promise<void> => {
    if (fate.startsWith('stopped')) await scene.freeLocks?.();
    await room.succeed();
  };

  /** Stopped as its call begins: after the last look at the lease, before a byte is sent. */
  const atEntry = async (scene: Scene, room: Room, call: string): Promise<void> => {
    const step = scene.steps[call];
    assert.ok(step !== undefined);
    const first = startLife(program, { ...room.life, stop: { step, when: 'before' } } satisfies ActionLife);
    try {
      await isStopped(first);
      const before = [...scene.gate.seen];
      await inTime(succeedAfter(scene, room, entering)(), 'the successor', first.log);
      await thaw(first);
      assert.deepEqual(scene.gate.seen, before, 'what stood still for longer than its lease calls nothing any more');
    } finally {
      first.child.kill('SIGKILL');
    }
  };

  return {
    outcomes,
    openStoreGate: async () => {
      const host = lab.address;
      gates += 1;
      const port = 17_030 + gates;
      const gate = await openGate({ host, port }, { host, port: databasePorts.source }, commits);
      return { gate, port, [Symbol.asyncDispose]: () => gate[Symbol.asyncDispose]() };
    },
    record: async (scene, through) => {
      await using room = await startRoom(scene, 'server', through);
      const only = startLife(program, room.life);
      try {
        await finishes(only, 'recorded');
      } finally {
        only.child.kill('SIGKILL');
      }
      const journal = await room.at.store.journalOf(runId);
      if (!isUndisturbed(journal)) throw new NotReached(`not undisturbed: ${scene.gate.seen.join(' ')}`);
      await judge(scene, room);
      assert.deepEqual(scene.gate.seen, Object.keys(scene.steps), 'each call that changes something, once');
      const intents = [...new Set(journal.filter((e) => e.kind === 'intent').map((e) => e.step))];
      assert.deepEqual(intents, Object.values(scene.steps), 'and no other step has an intent');
      for (const step of intents) assert.equal(intentsOf(journal, step), 1);
      return [...new Set(through.gate.seen)];
    },
    atCall: async (scene, call, fate, kind) => {
      await using room = await startRoom(scene, kind);
      if (fate === entering) {
        await atEntry(scene, room, call);
        await judge(scene, room);
        return;
      }
      const start = () => startLife(program, room.life);
      await play({ gate: scene.gate, call, fate, start, succeed: succeedAfter(scene, room, fate) });
      await judge(scene, room, fate.endsWith('comes late') ? call : undefined);
    },
    atCommit: async (scene, through, commit, fate) => {
      await using room = await startRoom(scene, 'server', through);
      let callsByThen = 0;
      const succeed = async (): Promise<void> => {
        await succeedAfter(scene, room, fate)();
        callsByThen = scene.gate.seen.length;
      };
      await play({ gate: through.gate, call: commit, fate, start: () => startLife(program, room.life), succeed });
      if (fate.startsWith('stopped')) assert.equal(scene.gate.seen.length, callsByThen, 'no call after its lease');
      await judge(scene, room);
    },
    atSync: async (scene, n) => {
      await using room = await startRoom(scene, 'file');
      const first = startLife(program, { ...room.life, stopFirst: true } satisfies ActionLife);
      try {
        await isStopped(first);
        await killAtCall(first, 'fsync,fdatasync', n);
        first.child.kill('SIGCONT');
        const how = await inTime(first.ended, `its fsync ${String(n)}`, first.log);
        assert.ok(how === 0 || how === 'SIGKILL', `${String(how)}: ${first.log()}`);
        if (how !== 0) await inTime(room.succeed(), 'the successor', first.log);
        await judge(scene, room);
        return how !== 0;
      } finally {
        first.child.kill('SIGKILL');
      }
    },
  };
}
