// Wires the remediator: store, receiver, intake, poller, outbox, evaluator, server. Each loop is apart: none waits for another.
import type { AddressInfo } from 'node:net';
import type { Inventory } from '../exporter/config/inventory.ts';
import { pause, within } from '../exporter/runtime/deadline.ts';
import { ConfigError, messageOf } from '../exporter/runtime/errors.ts';
import {
  closeServer,
  createHttpServer,
  defaultServerLimits,
  listen,
  type ListenAddress,
} from '../exporter/runtime/http.ts';
import type { Log } from '../exporter/runtime/log.ts';
import { openAlertmanager } from './alertmanager.ts';
import { apiRouter } from './api.ts';
import { openLedger, type LedgerClock, type Machine } from './clock.ts';
import type { Policy } from './guard.ts';
import { newHolder } from './holder.ts';
import { processPending, watchdogKey } from './intake.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { sendDue } from './outbox.ts';
import { longestWindowMs } from './policies.ts';
import { createPoller } from './poller.ts';
import { createApp } from './server.ts';
import { takeServeLock } from './serve-lock.ts';
import type { Settings } from './settings.ts';
import { openSqlite } from './store/sqlite.ts';
import type { Store } from './store/store.ts';
import { readSwitchFile, readSwitchStore } from './switch.ts';
import { admitBearer } from './tokens.ts';
import { webhookRouter } from './webhook.ts';

/** What decides and acts; the rest of the program does without knowing how. */
export interface Evaluating {
  readonly tick: () => Promise<void>;
  readonly resume: () => Promise<void>;
  readonly drain: (signal: AbortSignal) => Promise<void>;
}

export interface EvaluatorParts {
  readonly store: Store;
  readonly inventory: Inventory;
  readonly policies: () => readonly Policy[];
  readonly settings: Settings;
  readonly clock: LedgerClock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly holder: string;
}

export interface ServeOptions {
  readonly inventory: Inventory;
  readonly settings: Settings;
  readonly policies: readonly Policy[];
  /** Reads policies.yml again. @throws ConfigError */
  readonly reloadPolicies: () => Promise<readonly Policy[]>;
  readonly listen: ListenAddress;
  readonly version: string;
  readonly log: Log;
  readonly createEvaluator: (parts: EvaluatorParts) => Evaluating;
  readonly machine?: Machine;
}

export interface Serving {
  readonly address: AddressInfo;
  readonly stop: () => Promise<void>;
  /** The kill switch was pulled by a signal: for the audit. */
  readonly noted: (by: string, reason: string) => Promise<void>;
  readonly reload: () => Promise<void>;
}

/** How long runs get to reach a safe point when the program is told to stop. */
export const drainMs = 60_000;

/** @throws ConfigError, StoreError, and what listening throws */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { inventory, settings, log, version } = options;
  await using stack = new AsyncDisposableStack();
  const lock = takeServeLock(settings.store);
  if (lock === undefined) {
    throw new ConfigError(settings.store, ['another remediator serves with this store. Stop it, or set another store']);
  }
  stack.use(lock);
  let policies = options.policies;
  const relapseMs = Math.max(...policies.map((p) => p.relapseMs));
  const store = stack.use(openSqlite({ file: settings.store, relapseMs }));
  const clock = await openLedger(store, longestWindowMs(policies), options.machine);
  const metrics = createMetrics(version);
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
    policies: () => policies,
  });

  const stopping = new AbortController();
  const { signal } = stopping;
  const loops: Promise<void>[] = [];
  stack.defer(async () => {
    stopping.abort();
    await Promise.all(loops);
    await clock.persist();
  });
  const intake = loop('intake', 1000, signal, log, async () => {
    await processPending({
      ...{ store, clock, metrics, log },
      changed: (source, changes) => {
        poller.poke(source, changes);
        if (changes.length > 0) evaluation.soon();
      },
    });
  });
  const evaluation = loop('evaluator', 1000, signal, log, () => evaluator.tick());

  let notReady: string | undefined = 'runs of before are taken up again';
  const app = createApp({
    webhook: webhookRouter({
      ...{ store, clock, metrics, log, sources: settings.sources, stored: intake.soon },
      admit: admitBearer(settings.webhookTokenFiles),
    }),
    api: apiRouter({
      store,
      clock,
      log,
      switchFile: settings.switchFile,
      admit: apiAdmission(settings, options.listen),
    }),
    refresh: () => refresh(store, settings, clock, metrics),
    unready: () => notReady,
    ...{ metrics, log },
  });
  const server = createHttpServer(app, { ...defaultServerLimits, requestMs: 30_000 });
  const address = await listen(server, options.listen);
  stack.defer(() => closeServer(server, 5000));
  log.info(
    {
      address: address.address,
      port: address.port,
      webhooks: settings.sources.map((s) => `/webhook/${s.name}`),
      alertmanagers: [...peers.values()].flat().map((p) => p.url),
      store: settings.store,
      policies: policies.map((p) => `${p.name} (${p.mode})`),
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
  await evaluator.resume();
  notReady = undefined;
  loops.push(evaluation.run());

  const all = stack.move();
  return {
    address,
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
    reload: async () => {
      try {
        policies = await options.reloadPolicies();
        log.info({ policies: policies.map((p) => `${p.name} (${p.mode})`) }, 'policies were read again');
      } catch (error) {
        log.error({ why: messageOf(error) }, 'policies were not taken, those before stay in use');
      }
    },
  };
}

interface Loop {
  /** Ends when the signal aborts and the work under way is done. */
  readonly run: () => Promise<void>;
  /** Do not wait for the interval. */
  readonly soon: () => void;
}

/** Runs `work` again and again, never twice at a time; a failure is told and does not end it. */
function loop(name: string, everyMs: number, signal: AbortSignal, log: Log, work: () => Promise<void>): Loop {
  let wake = new AbortController();
  let toldAtMs = -Infinity;
  return {
    soon: () => {
      wake.abort();
    },
    run: async () => {
      while (!signal.aborted) {
        wake = new AbortController();
        try {
          await work();
        } catch (error) {
          // The same failure comes each second while the disk is full.
          if (performance.now() - toldAtMs > 30_000 && !isAborted(signal)) {
            toldAtMs = performance.now();
            log.error({ part: name, err: error }, 'a part of the remediator failed and goes on');
          }
        }
        await pause(everyMs, AbortSignal.any([signal, wake.signal])).catch(() => undefined);
      }
    },
  };
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** The webhook's tokens lie on other machines; they open the API only to those who are on this one. */
function apiAdmission(settings: Settings, address: ListenAddress): ReturnType<typeof admitBearer> | undefined {
  if (settings.apiTokenFiles !== undefined) return admitBearer(settings.apiTokenFiles);
  return isLoopback(address.host) ? admitBearer(settings.webhookTokenFiles) : undefined;
}

function isLoopback(host: string | undefined): boolean {
  return host !== undefined && (/^127(\.\d{1,3}){3}$/.test(host) || host === '::1' || host === 'localhost');
}

async function refresh(store: Store, settings: Settings, clock: LedgerClock, metrics: Metrics): Promise<void> {
  const { file } = await readSwitchFile(settings.switchFile);
  try {
    const row = readSwitchStore(await store.pauses(), clock.nowMs()).store;
    metrics.latchedTargets((await store.latches()).filter((l) => l.scope.startsWith('target:')).length);
    if (file === 'set' || row === 'set') metrics.switchState('off');
    else metrics.switchState(file === 'clear' && row === 'clear' ? 'on' : 'unreadable');
  } catch {
    metrics.switchState(file === 'set' ? 'off' : 'unreadable');
  }
}

async function showWatchdogs(store: Store, settings: Settings, metrics: Metrics): Promise<void> {
  for (const { name } of settings.sources) {
    const text = await store.meta(watchdogKey(name));
    if (text === undefined) continue;
    const { wallMs } = JSON.parse(text) as { wallMs: number };
    metrics.watchdog(name, wallMs);
  }
}
