// Wires the remediator: store, receiver, intake, poller, outbox, evaluator, server. Each loop is apart: none waits for another.
import type { Inventory } from '../exporter/config/inventory.ts';
import { within } from '../exporter/runtime/deadline.ts';
import { ConfigError, messageOf } from '../exporter/runtime/errors.ts';
import { defaultServerLimits, type ListenAddress } from '../exporter/runtime/http.ts';
import type { Log } from '../exporter/runtime/log.ts';
import { listenAll, type Bound } from '../exporter/runtime/web-listen.ts';
import { openWeb } from '../exporter/runtime/web-server.ts';
import { openAlertmanager } from './alertmanager.ts';
import { apiAdmission } from './api-admission.ts';
import { apiRouter } from './api.ts';
import type { LedgerClock, Machine } from './clock.ts';
import type { Limits, Policy, PolicyFile } from './guard.ts';
import { refreshGauges } from './gauges.ts';
import { newHolder } from './holder.ts';
import { policiesInUse } from './in-use.ts';
import { processPending, watchdogKey } from './intake.ts';
import { loop } from './loops.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { sendDue } from './outbox.ts';
import type { PeopleContext } from './people-context.ts';
import { requireApart } from './place-servers.ts';
import type { KnownAction } from './policies.ts';
import { createPoller } from './poller.ts';
import { policyViews } from './promotion.ts';
import { prune } from './pruning.ts';
import { createApp } from './server.ts';
import type { Settings } from './settings.ts';
import { openToServe } from './store-place.ts';
import { observed } from './store-metrics.ts';
import type { Store } from './store/store.ts';
import { admitSenders } from './tokens.ts';
import { webProblems } from './web-problems.ts';
import { webhookRouter } from './webhook.ts';

/** What decides and acts; the rest of the program does without knowing how. */
export interface Evaluating {
  /** Begins what is due, and does not wait for targets that hang. */
  readonly begin: () => Promise<void>;
  readonly resume: () => Promise<void>;
  readonly drain: (signal: AbortSignal) => Promise<void>;
  /** Whether a question is one still, by the facts of now. */
  readonly stillAsked: NonNullable<PeopleContext['stillAsked']>;
}

export interface EvaluatorParts {
  readonly store: Store;
  readonly inventory: Inventory;
  readonly policies: () => readonly Policy[];
  readonly limits: () => Limits;
  readonly settings: Settings;
  readonly clock: LedgerClock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly holder: string;
}

export interface ServeOptions {
  readonly inventory: Inventory;
  readonly settings: Settings;
  readonly policyFile: PolicyFile;
  /** Reads policies.yml again. @throws ConfigError */
  readonly reloadPolicies: () => Promise<PolicyFile>;
  /** What policies may name. */
  readonly actions: readonly KnownAction[];
  /** All of them, or it does not start. */
  readonly listen: readonly ListenAddress[];
  /** The file of --web.config.file. */
  readonly web?: string | undefined;
  readonly version: string;
  readonly log: Log;
  /** Aborted when it shall end again before it has begun anything. */
  readonly stopping?: AbortSignal;
  readonly createEvaluator: (parts: EvaluatorParts) => Evaluating;
  readonly machine?: Machine;
}

export interface Serving {
  /** In the order in which they were asked for. */
  readonly addresses: readonly Bound[];
  readonly stop: () => Promise<void>;
  /** The kill switch was pulled by a signal: for the audit. */
  readonly noted: (by: string, reason: string) => Promise<void>;
  /** @throws ConfigError: those before stay in use */
  readonly reload: () => Promise<void>;
}

/** How long runs get to reach a safe point when the program is told to stop. */
export const drainMs = 60_000;

/** Notifications that come close together become episodes together: one transaction and one fsync, and their senders wait less. */
const gatherMs = 25;

/** @throws ConfigError, StoreError, and what listening throws */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { inventory, settings, log, version } = options;
  await using stack = new AsyncDisposableStack();
  const web = stack.use(openWeb(options.web, log));
  const wrong = webProblems(settings, web.config?.now().document);
  if (wrong.length > 0) throw new ConfigError(options.web ?? 'pipemedic.yml', wrong);
  const inUse = policiesInUse(options.policyFile, settings.retention, log);
  const { policies, limits, relapseMs, longestMs } = inUse;
  const place = stack.use(
    await openToServe(settings, {
      relapseMs,
      longestMs,
      webhookCapBytes: 2 * settings.retention.webhookBytes,
      machine: options.machine,
    }),
  );
  const { store: opened, clock } = place;
  if (place.server !== undefined) await requireApart(place.server, { inventory, settings, log });
  const metrics = createMetrics(version);
  metrics.policies(policies());
  metrics.targets(inventory.targets.keys());
  metrics.reloaded(true, clock.wallMs());
  const store = observed(opened, { metrics, clock, isTarget: (name) => inventory.targets.has(name) });
  await showWatchdogs(store, settings, metrics);

  const peers = new Map(
    await Promise.all(
      settings.sources.map(async (s) => [s.name, await Promise.all(s.alertmanagers.map(openAlertmanager))] as const),
    ),
  );
  stack.defer(() => {
    for (const peer of [...peers.values()].flat()) peer[Symbol.dispose]();
  });
  const poller = createPoller({
    ...{ store, clock, metrics, log },
    sources: [...peers].map(([name, list]) => ({ name, peers: list })),
  });
  const holder = newHolder();
  const evaluator = options.createEvaluator({
    ...{ store, inventory, settings, clock, log, metrics, holder },
    ...{ policies, limits },
  });

  const stopping = new AbortController();
  const { signal } = stopping;
  const loops: Promise<void>[] = [];
  stack.defer(async () => {
    stopping.abort();
    await Promise.all(loops);
    await clock.persist();
  });
  const takeIn = async (): Promise<void> => {
    await processPending({
      ...{ store, clock, metrics, log },
      changed: (source, changes) => {
        poller.poke(source, changes);
        // An alert that goes on firing as it did before brings nothing to decide: only its time of sight has moved.
        if (changes.some((c) => c.change === 'opened' || c.change === 'altered')) evaluation.soon();
      },
    });
  };
  const intake = loop('intake', 1000, signal, log, takeIn, undefined, gatherMs);
  // A symptom that has held for long enough is not left waiting for the next second.
  const untilDueMs = async (): Promise<number | undefined> => {
    const nextMs = notReady === undefined ? await store.nextEvalMs() : undefined; // nothing is begun at the end
    return nextMs === undefined ? undefined : nextMs - clock.nowMs();
  };
  const evaluation = loop('evaluator', 1000, signal, log, () => evaluator.begin(), untilDueMs);

  const retention = loop('retention', 600_000, signal, log, () => prune(store, inUse.keep, clock, signal));

  let notReady: string | undefined = 'runs of before are taken up again';
  const reload = async (): Promise<void> => {
    try {
      inUse.take(await options.reloadPolicies());
      metrics.policies(policies());
      metrics.reloaded(true, clock.wallMs());
      log.info({ policies: policies().map((p) => `${p.name} (${p.mode})`) }, 'policies were read again');
    } catch (error) {
      metrics.reloaded(false, clock.wallMs());
      log.error({ why: messageOf(error) }, 'policies were not taken, those before stay in use');
      throw error;
    }
  };
  const highestModeOf = (name: string): 'approve' | 'auto' =>
    options.actions.find((a) => a.name === name)?.highestMode ?? 'auto';
  const { switchFile } = settings;
  const app = createApp({
    webhook: webhookRouter({
      ...{ store, clock, metrics, log, sources: settings.sources, stored: intake.soon, full: retention.soon },
      admit: admitSenders(
        { tokenFiles: settings.webhookTokenFiles, users: settings.webhookUsers, sans: settings.webhookSans },
        web.callerOf,
      ),
    }),
    api: apiRouter({
      ...{ store, clock, log, inventory, switchFile, reload, sharedStore: settings.mysqlStore !== undefined },
      changed: evaluation.soon,
      stillAsked: evaluator.stillAsked,
      admit: apiAdmission(settings, options.listen),
      policies: () => {
        const viewed = policies().map((policy) => ({ policy, highestMode: highestModeOf(policy.action) }));
        return policyViews(store, viewed, clock.nowMs());
      },
    }),
    refresh: () =>
      refreshGauges({
        ...{ store: opened, switchFile, inventory, clock, metrics, actions: options.actions },
        ...{ policies, limits },
      }),
    unready: () => notReady,
    ...{ metrics, log },
  });
  const { addresses, close } = await listenAll(
    () =>
      web.server(app, {
        limits: { ...defaultServerLimits, requestMs: 30_000 },
        ownAuth: (request) => /^\/(webhook\/|api\/|-\/reload$)/.test(request.url ?? ''),
      }),
    options.listen,
    (error) => {
      log.error({ err: error }, 'a server failed');
    },
  );
  stack.defer(() => close(5000));
  log.info(
    {
      addresses: addresses.map(({ text }) => text),
      port: addresses.find((a) => a.port !== undefined)?.port,
      webhooks: settings.sources.map((s) => `/webhook/${s.name}`),
      alertmanagers: [...peers.values()].flat().map((p) => p.url),
      store: settings.store,
      policies: policies().map((p) => `${p.name} (${p.mode})`),
      holder,
      version,
    },
    'listening',
  );

  // Notifications are taken from here on; nothing is evaluated before what was left open is taken up again.
  loops.push(intake.run());
  loops.push(
    loop('outbox', 1000, signal, log, () =>
      sendDue({ store, peers, clock, metrics, log, externalUrl: settings.externalUrl }, signal),
    ).run(),
  );
  loops.push(loop('poller', 1000, signal, log, () => poller.tick(signal)).run());
  loops.push(loop('clock', 5000, signal, log, () => clock.persist()).run());
  loops.push(retention.run());
  if (options.stopping?.aborted !== true) {
    await evaluator.resume();
    notReady = undefined;
    loops.push(evaluation.run());
  }

  const all = stack.move();
  return {
    addresses,
    stop: async () => {
      notReady = 'shutting down';
      await evaluator.drain(within(drainMs));
      await all.disposeAsync();
    },
    noted: (by, reason) =>
      store.audit({
        ...{ atMs: clock.nowMs(), actor: by, via: 'signal', verb: 'pause', object: 'global' },
        detail: { reason },
      }),
    reload,
  };
}

async function showWatchdogs(store: Store, settings: Settings, metrics: Metrics): Promise<void> {
  for (const { name } of settings.sources) {
    const text = await store.meta(watchdogKey(name));
    if (text === undefined) continue;
    const { wallMs } = JSON.parse(text) as { wallMs: number };
    metrics.watchdog(name, wallMs);
  }
}
