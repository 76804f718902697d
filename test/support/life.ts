// One life of a remediator as far as a run goes: claims where nothing was claimed, takes up what is open, and is over when
// the run has ended. The same whether it is a process of its own, to be killed or stopped, or its successor within the test.
import { createLog } from '../../exporter/runtime/log.ts';
import type { Action, Step } from '../../remediator/action.ts';
import { asJson } from '../../remediator/canonical.ts';
import { openLedger } from '../../remediator/clock.ts';
import { openServerLedger } from '../../remediator/clock-server.ts';
import type { Policy } from '../../remediator/guard.ts';
import { newHolder } from '../../remediator/holder.ts';
import type { Json } from '../../remediator/model.ts';
import { createRunner, planHash } from '../../remediator/runner.ts';
import { leaseTiming } from '../../remediator/runner/lease.ts';
import type { PersistedClock } from '../../remediator/store-place.ts';
import { openMysqlStore } from '../../remediator/store/mysql.ts';
import { openSqlite } from '../../remediator/store/sqlite.ts';
import { StoreError, type ClaimResult, type Store } from '../../remediator/store/store.ts';

export type StorePlace =
  | { readonly file: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly database: string;
      readonly user: string;
      readonly passwordFile: string;
    };

export interface LifeStore extends AsyncDisposable {
  readonly store: Store;
  readonly clock: PersistedClock;
}

const windowMs = 3_600_000;
const mostOpenings = 3;

/** Again where it fails on the way: a program that cannot open its store ends, and is started again. */
export async function openStore(place: StorePlace): Promise<LifeStore> {
  for (let n = 1; ; n++) {
    try {
      return await openOnce(place);
    } catch (error) {
      if (!(error instanceof StoreError) || n >= mostOpenings) throw error;
    }
  }
}

async function openOnce(place: StorePlace): Promise<LifeStore> {
  if ('file' in place) {
    const store = openSqlite({ file: place.file });
    return {
      store,
      clock: await openLedger(store, windowMs),
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    };
  }
  const { host, port, database, user, passwordFile } = place;
  const store = await openMysqlStore({
    address: { host, port },
    database,
    auth: { user, password_file: passwordFile },
    tls: undefined,
    allowRelaxedDurability: true, // of the test's own server: what is lost at a power failure is not tested here
  });
  return {
    store,
    clock: await openServerLedger(store, windowMs),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

export interface LeaseTimes {
  readonly ttlMs: number;
  readonly renewMs: number;
  readonly marginMs: number;
}

export interface ToConduct<W> {
  readonly at: LifeStore;
  readonly action: Action<W>;
  readonly world: W;
  readonly target: string;
  readonly params: Json;
  readonly policy: Policy;
  readonly episodeId: string;
  readonly evidenceDir: string;
  readonly lease: LeaseTimes;
  /** Waited for before a claim: what a planner sees before it decides. */
  readonly ready?: () => Promise<void>;
  readonly logLevel: string;
}

export const runId = 'run-1';
/** Between two looks at what is open. */
const againMs = 50;
/** A store that is gone for good is not asked without end. */
const giveUpMs = 200_000;

/** Until the run has ended, whoever ended it. A store that does not answer is asked again, as by the evaluator's ticks. */
export async function conductToEnd<W>(what: ToConduct<W>): Promise<void> {
  const { at, policy, world, action, evidenceDir, lease } = what;
  const { store, clock } = at;
  const runner = createRunner({
    store,
    clock,
    log: createLog('life', what.logLevel),
    holder: newHolder(),
    actions: [action],
    world,
    evidenceDir,
    policies: () => [policy],
    paused: () => Promise.resolve(undefined),
    alertFreshMs: windowMs,
    ended: () => Promise.resolve(),
    lease: { ...leaseTiming(clock), ...lease },
  });
  const alive = setInterval(() => undefined, 1_000); // what it waits for may be without a timer that holds the process
  const lastMs = performance.now() + giveUpMs;
  try {
    for (;;) {
      try {
        const run = await store.run(runId);
        if (run?.state === 'ended') break;
        if (run === undefined) {
          await what.ready?.();
          const claimed = await claim(what, store);
          if (claimed.won) runner.begin(claimed.run, claimed.hold, undefined);
        }
        await runner.resume();
      } catch (error) {
        if (!(error instanceof StoreError) || performance.now() > lastMs) throw error;
      }
      await runner.idle();
      await new Promise((resolve) => setTimeout(resolve, againMs));
    }
    await runner.idle();
  } finally {
    clearInterval(alive);
  }
}

async function claim<W>(what: ToConduct<W>, store: Store, holder = newHolder()): Promise<ClaimResult> {
  const { action, world, target, params, policy, episodeId, at, lease } = what;
  const episode = await store.episode(episodeId);
  if (episode === undefined) throw new Error('the episode is not there');
  return await store.claim(
    {
      runId,
      episodeId,
      episodeVersion: episode.version,
      attempt: 1,
      decisionId: 'none',
      action: action.name,
      planHash: planHash(action.name, action.steps(target, params, world), params),
      policy: asJson(policy),
      params,
      target,
      actor: 'auto',
      holder,
      ttlMs: lease.ttlMs,
      budgets: [{ scope: `target:${target}`, max: 3, windowMs }],
    },
    at.clock.nowMs,
  );
}

/** A run that a process has claimed which is no more: the next life begins by taking it up. */
export async function claimByTheDead<W>(what: ToConduct<W>): Promise<void> {
  // this very process, had it begun at another time: see proveDead
  const [host = '', boot = '', namespace = '', pid = '', ticks = ''] = newHolder().split('/');
  const claimed = await claim(what, what.at.store, [host, boot, namespace, pid, Number(ticks) - 1, 'dead'].join('/'));
  if (!claimed.won) throw new Error(claimed.because);
}

/** An alert about the target that is active, as far as the store knows. */
export async function openAlert({ store, clock }: LifeStore, target: string): Promise<string> {
  const nowMs = clock.nowMs();
  const hook = { source: 'main', receivedMs: nowMs, receivedBy: 'test', body: Buffer.from('{}') };
  const id = await store.appendWebhook({ ...hook, alertCount: 1, truncatedCount: 0 });
  const alert = { status: 'firing', labels: { target }, annotations: {}, fingerprint: 'f' } as const;
  const [opened] = await store.processWebhook(
    id,
    [{ ...alert, startsWallMs: Date.now(), endsWallMs: undefined }],
    false,
    nowMs,
  );
  if (opened === undefined) throw new Error('the alert opened no episode');
  await store.setAlertState(opened.episodeId, 'active', '', nowMs);
  return opened.episodeId;
}

/** The longest call of a step, so that a lease is short enough to be waited for. Nothing else of the action is changed. */
export function hurried<W>(action: Action<W>, callMs: number): Action<W> {
  const quick = (step: Step<unknown>): Step<unknown> => ({
    ...step,
    deadlineMs: Math.min(step.deadlineMs, callMs),
    settleMs: Math.min(step.settleMs, 500),
    compensate: step.compensate === 'none' ? 'none' : quick(step.compensate),
  });
  return { ...action, steps: (target, params, world) => action.steps(target, params, world).map(quick) };
}
