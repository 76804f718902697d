// Real actions on what they mend: killed, stopped for longer than the lease, or cut off, at each call that changes something,
// carried through by a successor; and then what was held back comes late. The witness is the target's own record: the
// general log of a replica, the slow log and the counts of copies of a Redis, what a container engine has done, what a
// process supervisor has started and ended.
//
// Which calls there are is taken from a run that nothing happens to; one more than is known here fails. Without the sweep of
// every fate each call meets some of them, a process that is stopped has its store on a server, any other one in a file.
// With it (PIPEMEDIC_SWEEP=full) each call meets every fate on both kinds of stores; each fsync of a store in a file is met by
// kill -9, each COMMIT of one on a server by kill -9 and a stop past the lease; and maxwell.restart takes part.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, suite, test, type TestContext } from 'node:test';
import { mariadbInstalled } from '../../deploy/lab/mariadb.ts';
import { actionRounds, entering, fatesOfCall, type ActionRounds, type FateOfCall, type StoreGate, type StoreKind } from '../support/action-rounds.ts'; // prettier-ignore
import { startMysqlRepair, type MysqlRepair } from '../support/mysql-repair.ts';
import { fatesOfCommit, untilReached, type Fate } from '../support/sweep-round.ts';
import { maxwellScene } from '../support/sweep-scene-maxwell.ts';
import { podmanScene } from '../support/sweep-scene-podman.ts';
import { redisScene } from '../support/sweep-scene-reconnect.ts';
import { resyncScene } from '../support/sweep-scene-resync.ts';
import { cdcScene, mysqlScene, type Scene } from '../support/sweep-scenes.ts';

const isFull = process.env['PIPEMEDIC_SWEEP'] === 'full';
const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;

let repair: MysqlRepair;
let rounds: ActionRounds;

before(async () => {
  repair = await startMysqlRepair(mariadbInstalled);
  const { lab } = repair;
  await lab.sql('source', `CREATE USER store IDENTIFIED BY '${lab.secret('store')}'`);
  // A process that is stopped within a transaction keeps its locks until the server ends its session.
  await lab.sql('source', 'SET GLOBAL wait_timeout = 3');
  rounds = actionRounds(lab);
});
after(async () => {
  await repair.lab.stop();
});

interface Point {
  readonly call: string;
  readonly fate: FateOfCall;
  readonly kind: StoreKind;
}

function pointsOf(calls: readonly string[], some: readonly (readonly FateOfCall[])[]): readonly Point[] {
  // a stop from outside may hit a process within a write to its file, which then nobody else can have
  const stops = (fate: FateOfCall): boolean => fate.startsWith('stopped') && fate !== entering;
  if (isFull) {
    const kinds: readonly StoreKind[] = ['file', 'server'];
    return calls.flatMap((call) =>
      fatesOfCall.flatMap((fate) =>
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

/** One that is killed before a COMMIT is one that was killed after the COMMIT before it; at an intent all of them are met. */
function fatesAt(commit: string): readonly Fate[] {
  return commit.endsWith(':intent') ? fatesOfCommit : ['killed after it', 'stopped after it'];
}

/** More than any of them has. */
const mostSyncs = 200;

async function sweepCommits(t: TestContext, scene: Scene, through: StoreGate, names: readonly string[]): Promise<void> {
  for (const name of names) {
    for (const fate of fatesAt(name)) {
      await t.test(`COMMIT of ${name}: ${fate}; store: server`, () =>
        untilReached(() => rounds.atCommit(scene, through, name, fate)),
      );
    }
  }
}

async function sweepSyncs(t: TestContext, scene: Scene): Promise<void> {
  if (!canTrace) {
    t.diagnostic('strace is not here or not permitted: crashes at each fsync were NOT tested');
    return;
  }
  // over where it fails, too: the next ones would fail in the same way
  const seen = { isKilled: true };
  for (let n = 1; seen.isKilled && n < mostSyncs; n++) {
    seen.isKilled = false;
    await t.test(`fsync ${String(n)}: killed as it enters it; store: file`, async () => {
      seen.isKilled = await rounds.atSync(scene, n);
    });
  }
}

function tellOutcomes(t: TestContext, action: string): void {
  for (const [what, count] of rounds.outcomes) {
    if (what.startsWith(`${action},`)) t.diagnostic(`${String(count)} runs of ${what}`);
  }
  const outcomes = [...rounds.outcomes.keys()].filter((what) => what.startsWith(`${action},`));
  assert.ok(
    outcomes.some((what) => what.endsWith(', verified')),
    `no run of ${action} has repaired: ${outcomes.join('; ')}`,
  );
}

interface Sweep {
  readonly action: string;
  readonly of: string;
  /** Why there is none, where a machine has no such target. */
  readonly open: () => Promise<Scene | string>;
  /** Of each call, without the sweep of every fate. */
  readonly some: readonly (readonly FateOfCall[])[];
  /** In the sweep of every fate, of what is swept elsewhere: none of its fsyncs, and only these calls and COMMITs. */
  readonly only?: { readonly calls: readonly string[]; readonly commits: RegExp };
}

const sweeps: readonly Sweep[] = [
  {
    action: 'redis.replica.reconnect',
    of: 'at its call of a replica',
    open: redisScene,
    some: [['killed, and it comes late', entering, 'stopped after it']],
  },
  {
    action: 'redis.replica.full-resync',
    of: 'at its transaction of a replica',
    open: resyncScene,
    some: [['killed, and it comes late', 'stopped after it']],
  },
  {
    action: 'mysql.replica.restart-thread',
    of: 'at its calls of a replica',
    open: () => mysqlScene(repair),
    some: [
      ['killed, and it comes late', entering],
      ['killed after it', 'stopped after it'],
    ],
  },
];
/** Without it, and at every fsync, kill9-*.test.ts have maxwell.restart with all of the program around it. */
const fullSweeps: readonly Sweep[] = [
  {
    action: 'maxwell.restart',
    of: 'of one that was killed',
    open: () => maxwellScene('killed'),
    some: [],
    only: { calls: ['start'], commits: /^/ },
  },
  {
    action: 'maxwell.restart',
    of: 'of one that stands still',
    open: () => maxwellScene('stuck'),
    some: [],
    only: { calls: ['stop', 'kill'], commits: /^stop/ },
  },
  {
    action: 'cdc-service.restart',
    of: 'at its calls of a real engine',
    open: podmanScene,
    some: [],
    only: { calls: ['stop', 'start'], commits: /^$/ },
  },
];

// Each has its own target, and all of them wait for leases most of the time.
suite('real actions', { concurrency: isFull ? 6 : 4 }, () => {
  test('cdc-service.restart: at its calls of a container engine', { concurrency: 3 }, async (t) => {
    await using scene = await cdcScene();
    await using through = await rounds.openStoreGate();
    const written = await untilReached(() => rounds.record(scene, through));
    // one that comes late is, until then, one that was killed before it
    const some = ['killed after it', 'killed, and it comes late', entering, 'stopped after it'] as const;
    const points = pointsOf(['stop', 'start'], [some, some]);
    await Promise.all(
      points.map((point) =>
        t.test(nameOf(point), async () => {
          await using own = await cdcScene();
          await untilReached(() => rounds.atCall(own, point.call, point.fate, point.kind));
        }),
      ),
    );
    if (isFull) {
      await sweepCommits(t, scene, through, written);
      await sweepSyncs(t, scene);
    }
    tellOutcomes(t, 'cdc-service.restart');
  });

  for (const { action, of, open, some, only } of isFull ? [...sweeps, ...fullSweeps] : sweeps) {
    test(`${action}: ${of}`, async (t) => {
      const opened = await open();
      if (typeof opened === 'string') {
        t.skip(opened);
        return;
      }
      await using scene = opened;
      await using through = await rounds.openStoreGate();
      const written = await untilReached(() => rounds.record(scene, through));
      for (const point of pointsOf(only?.calls ?? Object.keys(scene.steps), some)) {
        await t.test(nameOf(point), () => untilReached(() => rounds.atCall(scene, point.call, point.fate, point.kind)));
      }
      if (isFull) {
        const commits = written.filter((name) => only?.commits.test(name) ?? true);
        await sweepCommits(t, scene, through, commits);
        if (only === undefined) await sweepSyncs(t, scene);
      }
      tellOutcomes(t, action);
    });
  }
});
