// The remediator is killed by SIGKILL as it enters its N-th fsync since it is ready, for N = 1, 2, 3… until it is not killed
// any more, each time in the middle of repairing a real Maxwell that was killed anew. Then it is started again. Whatever it
// was doing: Maxwell is started exactly once, by the witness of its supervisor, and one run ends verified.
//
// The SQLite of Node 24 syncs by fsync (seen; others use fdatasync, which is taken as well). PIPEMEDIC_SWEEP=full takes
// every N; without it those are left out where nothing of the run is decided between two.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { startLab, type Lab } from '../../deploy/lab/lab.ts';
import type { JournalEntry } from '../../remediator/model.ts';
import { fenceSeenAt, lastLine, witnessSince } from './maxwell-repair.ts';
import { killAtCall, RemediatorHome, tinyAlertmanager, type Program } from './remediator-program.ts';

export interface KillLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly alertmanager: Awaited<ReturnType<typeof tinyAlertmanager>>;
}

/** Just what Maxwell needs to run, and something for it to read. */
export async function startKillLab(): Promise<KillLab> {
  const lab = await startLab({ parts: ['source', 'kafka', 'maxwell', 'writer'], rowsPerSecond: 20 });
  const alertmanager = await tinyAlertmanager(lab.address);
  return {
    lab,
    alertmanager,
    [Symbol.asyncDispose]: async () => {
      alertmanager.close();
      await lab.stop();
    },
  };
}

const isFull = process.env['PIPEMEDIC_SWEEP'] === 'full';

interface Round {
  readonly wasKilled: boolean;
  /** What the first process had written last, as `STEP:KIND`; undefined: no run was claimed. */
  readonly last: string | undefined;
}

async function round({ lab, alertmanager }: KillLab, n: number): Promise<Round> {
  const home = new RemediatorHome(lab, alertmanager.url, await fenceSeenAt(lab.files.supervisorSocket));
  await lab.part('maxwell').kill();
  const line = lastLine(lab);
  const programs: Program[] = [];
  const start = (): Program => {
    const program = home.start();
    programs.push(program);
    return program;
  };
  try {
    const first = start();
    await home.ready(first);
    await killAtCall(first, 'fsync,fdatasync', n);
    const wasTaken = await home.deliver(first);
    const how = await Promise.race([
      first.ended,
      home.verified(first, 120_000).then(
        () => 'verified' as const,
        () => 'never' as const,
      ),
    ]);
    assert.ok(how === 'SIGKILL' || how === 'verified', `${String(how)}: ${first.log()}`);
    if (how === 'verified') {
      return { wasKilled: false, last: undefined };
    }
    const second = start();
    if (!wasTaken) await home.deliver(second);
    const journal = await home.verified(second, 120_000);
    const told = `${n}: ${journal.map(nameOf).join(' ')}`;
    assert.deepEqual(witnessSince(lab, line), ['start run'], told);
    const runs = await home.runs();
    assert.equal(runs.filter(({ run }) => run.outcome === 'verified').length, 1, told);
    for (const { run, journal: other } of runs) {
      if (run.outcome === 'verified') continue;
      assert.ok(!other.some((e) => e.kind === 'intent'), `${told}; and ${other.map(nameOf).join(' ')}`);
    }
    const successor = journal.at(-1)?.holder;
    const written = journal.filter((e) => e.holder !== successor).at(-1);
    return { wasKilled: true, last: written === undefined ? undefined : nameOf(written) };
  } finally {
    for (const program of programs) await program.kill();
    home.remove();
  }
}

export function nameOf(e: JournalEntry): string {
  return `${e.step}:${e.kind}${e.outcome === undefined ? '' : `=${e.outcome}`}`;
}

/** Around the mutation every N is taken. What lies between two calls of the runner is swept by contract-sweep.test.ts. */
function stepAfter(last: string | undefined): number {
  if (isFull) return 1;
  if (last === undefined) return 8; // nothing claimed: the store knows of an alert at most
  if (/^(stop\.force:verify|gate:|start:(?!verify))/.test(last)) return 1;
  // one more place, between the start and the end; from there on nothing is changed any more
  return /^(verify_start|verify_data|:verified|:soak|:ended)/.test(last) ? Infinity : 4;
}

/**
 * Sweeps N from `from` on, up to `until`, or to the first that is not killed any more. What the killed ones had written
 * last; undefined where nothing can be traced, after the test was skipped with the reason.
 */
export async function sweep(
  t: TestContext,
  killLab: KillLab,
  { from, until, wanted = [] }: { readonly from: number; readonly until: number; readonly wanted?: readonly Wanted[] },
): Promise<readonly (string | undefined)[] | undefined> {
  if (spawnSync('strace', ['-o', '/dev/null', 'true']).status !== 0) {
    t.skip('strace is not here or not permitted: crashes at each fsync were NOT tested');
    return undefined;
  }
  const seen: { readonly n: number; readonly last: string | undefined }[] = [];
  const take = async (n: number): Promise<Round> => {
    const begun = performance.now();
    const found = await round(killLab, n);
    const { wasKilled, last } = found;
    t.diagnostic(
      `${n}: ${wasKilled ? (last ?? 'no run') : 'not killed'} (${Math.round(performance.now() - begun)} ms)`,
    );
    if (wasKilled) seen.push({ n, last });
    return found;
  };
  for (let n = from; n < until;) {
    const { wasKilled, last } = await take(n);
    if (!wasKilled) break;
    n += stepAfter(last);
  }
  for (const { what, after } of wanted) await takeAgain(seen, what, after, take);
  t.diagnostic(`${seen.length} kills. Written last: ${seen.map((s) => s.last ?? '(no run)').join(', ')}`);
  return seen.map(({ last }) => last);
}

/** What must have been written last once, and what is written before it. */
export interface Wanted {
  readonly what: RegExp;
  readonly after: RegExp;
}

const mostAgain = 8;

/**
 * The N-th call is not at the same place in every run: a lease or an intake syncs between. A place that the sweep has
 * jumped over by that is looked for around the one before it.
 */
async function takeAgain(
  seen: readonly { readonly n: number; readonly last: string | undefined }[],
  what: RegExp,
  after: RegExp,
  take: (n: number) => Promise<Round>,
): Promise<void> {
  for (let i = 0; i < mostAgain && !seen.some(({ last }) => last !== undefined && what.test(last)); i++) {
    const before = seen.findLast(({ last }) => last !== undefined && after.test(last));
    if (before === undefined) return;
    await take(before.n + ((i + 1) % 3));
  }
}
