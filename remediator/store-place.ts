// The store that the settings name, with its clock: a file of this machine, or a database that several share.
import { existsSync } from 'node:fs';
import { ConfigError } from '../exporter/runtime/errors.ts';
import { openServerLedger } from './clock-server.ts';
import { openLedger, readLedger, thisMachine, type LedgerClock, type Machine } from './clock.ts';
import { takeServeLock } from './serve-lock.ts';
import type { Settings } from './settings.ts';
import { withBallast } from './store/ballast.ts';
import { openMysqlStore } from './store/mysql.ts';
import { openSqlite } from './store/sqlite.ts';
import type { Store } from './store/store.ts';

export type PersistedClock = LedgerClock & { readonly persist: () => Promise<void> };

export interface OpenStore extends AsyncDisposable {
  readonly store: Store;
  readonly clock: PersistedClock;
  /** The identity of the server that holds it. */
  readonly server?: string;
}

type Place = Pick<Settings, 'store' | 'mysqlStore'>;

/** @throws ConfigError when another remediator serves with the same file; StoreError */
export async function openToServe(
  settings: Place,
  {
    relapseMs,
    longestMs,
    webhookCapBytes = Infinity,
    machine = thisMachine,
  }: {
    readonly relapseMs: number | (() => number);
    readonly longestMs: number | (() => number);
    readonly webhookCapBytes?: number;
    readonly machine?: Machine | undefined;
  },
): Promise<OpenStore> {
  await using stack = new AsyncDisposableStack();
  if (settings.mysqlStore !== undefined) {
    const shared = stack.use(await openMysqlStore({ ...settings.mysqlStore, relapseMs, webhookCapBytes }));
    const clock = await openServerLedger(shared, longestMs, machine);
    return { ...opened(shared, clock, stack.move()), server: shared.server };
  }
  const lock = takeServeLock(settings.store);
  if (lock === undefined) {
    throw new ConfigError(settings.store, ['another remediator serves with this store. Stop it, or set another store']);
  }
  stack.use(lock);
  const file = stack.use(openSqlite({ file: settings.store, relapseMs, webhookCapBytes, where: 'thread' }));
  const store = await withBallast(file, `${settings.store}.ballast`);
  const clock = await openLedger(store, longestMs, machine);
  return opened(store, clock, stack.move());
}

function opened(store: Store, clock: PersistedClock, stack: AsyncDisposableStack): OpenStore {
  return { store, clock, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** A shared store is there when its server answers: that is found out by opening it. */
export function isThere(settings: Place): boolean {
  return settings.mysqlStore !== undefined || existsSync(settings.store);
}

/** Does a process of this machine serve with the file? Several may write to a shared store at any time. */
export function isServed(settings: Place): boolean {
  if (settings.mysqlStore !== undefined || !existsSync(settings.store)) return false;
  const lock = takeServeLock(settings.store);
  lock?.[Symbol.dispose]();
  return lock === undefined;
}

/** To look at, beside a running server or without one. */
export async function openToRead(
  settings: Place,
): Promise<AsyncDisposable & { readonly store: Store; readonly clock: LedgerClock }> {
  await using stack = new AsyncDisposableStack();
  if (settings.mysqlStore !== undefined) {
    const shared = stack.use(await openMysqlStore(settings.mysqlStore));
    return opened(shared, await openServerLedger(shared, 0, thisMachine, true), stack.move());
  }
  const store = stack.use(openSqlite({ file: settings.store, readOnly: true }));
  const clock = await readLedger(store);
  const open = stack.move();
  return { store, clock, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** For one change by a person. undefined: a server has just taken the file. */
export async function openToChange(settings: Place): Promise<OpenStore | undefined> {
  await using stack = new AsyncDisposableStack();
  if (settings.mysqlStore !== undefined) {
    const shared = stack.use(await openMysqlStore(settings.mysqlStore));
    // As a reader: what is written of the server's clock is for those to judge who know what windows there are.
    return opened(shared, await openServerLedger(shared, Infinity, thisMachine, true), stack.move());
  }
  const lock = takeServeLock(settings.store);
  if (lock === undefined) return undefined;
  stack.use(lock);
  const store = stack.use(openSqlite({ file: settings.store }));
  // Which windows there are is not known here: a guess about a gap stays one.
  return opened(store, await openLedger(store, Infinity, thisMachine), stack.move());
}
