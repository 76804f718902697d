// A process of the barrier test: claims as fast as it can, from a common moment on. `place` and `kind` name the store.
import { randomUUID } from 'node:crypto';
import { openMysqlStore } from '../../../remediator/store/mysql.ts';
import type { MysqlOptions } from '../../../remediator/store/mysql-db.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import type { Claim, ClaimResult, Store } from '../../../remediator/store/store.ts';

export interface Round {
  readonly startWallMs: number;
  readonly kind: 'sqlite' | 'mysql';
  /** A file, or MysqlOptions as JSON. */
  readonly place: string;
  readonly claims: 'real' | 'naive';
  readonly episodeId: string;
  readonly target: string;
  readonly scope: string;
  readonly max: number;
}

const hour = 3_600_000;
const nowMs = (): number => Date.now();

/** Test only: what looks right and is not. The count is read before the lock is taken. */
async function naiveClaim(store: Store, claim: Claim): Promise<ClaimResult> {
  for (const { scope, max, windowMs } of claim.budgets) {
    if ((await store.budgetUsed(scope, nowMs() - windowMs)) >= max) {
      return { won: false, code: 'budget', because: 'used up' };
    }
  }
  return store.claim({ ...claim, budgets: claim.budgets.map((b) => ({ ...b, max: Infinity })) }, nowMs);
}

let opened: { readonly place: string; readonly store: Store } | undefined;

async function storeAt({ place, kind }: Round): Promise<Store> {
  if (opened?.place === place) return opened.store;
  const store =
    kind === 'sqlite'
      ? openSqlite({ file: place, timeoutMs: 20_000 })
      : await openMysqlStore(JSON.parse(place) as MysqlOptions);
  opened = { place, store };
  return store;
}

async function race(round: Round): Promise<number> {
  const { episodeId, target, scope, max } = round;
  const store = await storeAt(round);
  while (Date.now() < round.startWallMs);
  let won = 0;
  for (let i = 0; i < 300; i++) {
    const episode = await store.episode(episodeId);
    if (episode === undefined) throw new Error(`no episode ${episodeId}`);
    const claim: Claim = {
      runId: randomUUID(),
      episodeId,
      episodeVersion: episode.version,
      attempt: episode.attempts + 1,
      decisionId: 'd',
      action: 'a',
      planHash: 'p',
      policy: {},
      params: {},
      target,
      actor: 'auto',
      holder: `racer-${process.pid}`,
      ttlMs: 30_000,
      budgets: [{ scope, max, windowMs: hour }],
    };
    const result = await (round.claims === 'naive' ? naiveClaim(store, claim) : store.claim(claim, nowMs));
    if (result.won) {
      won++;
      await store.appendJournal(result.hold, { kind: 'intent', step: 's', attempt: 1, data: {} }, nowMs);
      await store.endRun(result.hold, { outcome: 'failed', because: 'test', cooldownMs: 0 }, nowMs);
    } else if (result.code === 'budget') break;
  }
  return won;
}

// Imported for its types by the suite; a racer only when it was forked.
if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  process.on('message', (round: Round) => {
    race(round).then(
      (won) => process.send?.({ won }),
      (error: unknown) =>
        process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : 'unknown' }),
    );
  });
  process.send({ ready: true });
}
