// What people do from the command line with a store that is there: look at runs, pause, resume, clear a latch.
import { userInfo } from 'node:os';
import { z } from 'zod';
import type { Inventory } from '../exporter/config/inventory.ts';
import { messageOf } from '../exporter/runtime/errors.ts';
import { askServer, NoToken } from './client.ts';
import type { LedgerClock } from './clock.ts';
import type { Json } from './model.ts';
import { changes } from './people.ts';
import { Refusal } from './people-context.ts';
import { runsText, storyText } from './runs-text.ts';
import { storyOf } from './runs-view.ts';
import type { Settings } from './settings.ts';
import { isServed, isThere, openToChange, openToRead } from './store-place.ts';
import type { Store } from './store/store.ts';
import { clearSwitchFile, readSwitchFile, setSwitchFile } from './switch.ts';

/** A mistake of whoever asks, or something that is not there: one line, no stack. */
export class CommandError extends Error {}

export interface Shared {
  readonly settings: Settings;
  readonly inventory: Inventory;
  /** Base URL of the running remediator. */
  readonly server: string;
  /** The caller's own; undefined: the first of the configuration that can be read. */
  readonly tokenFile: string | undefined;
  readonly print: (text: string) => void;
}

export async function runsCommand(shared: Shared, limit: number, asJson: boolean): Promise<void> {
  await reading(shared, async (store, { wallOf }) => {
    const runs = await store.runsOf({ limit });
    shared.print(asJson ? jsonText(runs) : runsText(runs, wallOf));
  });
}

export async function whyCommand(shared: Shared, what: string, asJson: boolean): Promise<void> {
  await reading(shared, async (store, { wallOf, nowMs }) => {
    const story = await storyOf(store, what, nowMs());
    if (story === undefined) {
      throw new CommandError(`there is no run, episode or alert ${what} in ${shared.settings.store}`);
    }
    shared.print(asJson ? jsonText(story) : storyText(story, wallOf));
  });
}

/** By the file first, which needs nothing but the disk: it works while the server is down or does not answer. */
export async function pauseCommand(shared: Shared, reason: string): Promise<void> {
  const { settings, print } = shared;
  const by = whoami();
  await setSwitchFile(settings.switchFile, { by, reason, at: new Date().toISOString() });
  print(`paused: ${settings.switchFile} is there. Nothing begins until: pipemedic-remediator resume\n`);
  try {
    if (isServed(settings) || isThere(settings)) await change(shared, 'pause', { reason });
  } catch (error) {
    const holds = settings.mysqlStore === undefined ? 'It holds' : 'It holds on this machine only';
    print(`${holds}, but it could not be noted in the store: ${messageOf(error)}\n`);
  }
}

/** Of one target or pipeline, or for a time: by the store. */
export async function pauseScopeCommand(
  shared: Shared,
  scope: string,
  reason: string,
  lastsMs: number | undefined,
): Promise<void> {
  await change(shared, 'pause', { reason, scope, ...(lastsMs === undefined ? {} : { lasts_ms: lastsMs }) });
  const until =
    lastsMs === undefined ? '' : `, by itself at ${new Date(Date.now() + lastsMs).toISOString()} at the latest`;
  const how = scope === 'global' ? '' : ` --scope=${scope}`;
  shared.print(`paused: ${scope}. Nothing begins there until: pipemedic-remediator resume${how}${until}\n`);
}

export async function resumeCommand(shared: Shared, scope: string): Promise<void> {
  const { settings, print } = shared;
  if (scope !== 'global') {
    await change(shared, 'resume', { scope });
    print(`resumed: runs may begin in ${scope}\n`);
    return;
  }
  if (isServed(settings) || isThere(settings)) await change(shared, 'resume', {});
  else await clearSwitchFile(settings.switchFile);
  const after = await readSwitchFile(settings.switchFile);
  if (after.file !== 'clear') throw new CommandError(`still paused: ${after.fileDetail}`);
  const elsewhere =
    settings.mysqlStore === undefined
      ? ''
      : '. Another machine goes on being paused while its own switch file is there';
  print(`resumed: runs may begin${elsewhere}\n`);
}

export async function clearLatchCommand(shared: Shared, id: string, comment: string): Promise<void> {
  await change(shared, 'latches/:id/clear', { id, comment });
  shared.print(`latch ${id} is cleared\n`);
}

/** Through the server while it serves, else directly; the answer of the change. @throws CommandError */
export async function change(
  shared: Shared,
  path: string,
  body: Readonly<Record<string, string | number>>,
): Promise<Json> {
  if (isServed(shared.settings)) return post(shared, path, body);
  const found = changes.find((c) => c.path === path);
  if (found === undefined) throw new Error(`no change ${path}`);
  return withStore(shared.settings, async (store, clock) => {
    const { settings, inventory } = shared;
    const { switchFile, mysqlStore } = settings;
    const sharedStore = mysqlStore !== undefined;
    const context = { store, clock, inventory, switchFile, sharedStore, changed: () => undefined };
    try {
      // Whoever may write the store may do everything: no role can hold them up.
      return await found.run(context, { name: whoami(), via: 'cli', may: () => true }, body);
    } catch (error) {
      if (error instanceof Refusal) throw new CommandError(error.message, { cause: error });
      if (error instanceof z.ZodError) throw new CommandError(z.prettifyError(error), { cause: error });
      throw error;
    }
  });
}

async function post(
  { settings, server, tokenFile }: Shared,
  path: string,
  { id, ...body }: Readonly<Record<string, string | number>>,
): Promise<Json> {
  const own = [...settings.apiTokens.map((t) => t.file), ...(settings.apiTokenFiles ?? [])];
  const tokens = tokenFile !== undefined ? [tokenFile] : own.length > 0 ? own : settings.webhookTokenFiles;
  let answer: Awaited<ReturnType<typeof askServer>>;
  try {
    const full = path.replace(':id', encodeURIComponent(String(id)));
    answer = await askServer(server, tokens, full, { by: whoami(), ...body });
  } catch (error) {
    if (error instanceof NoToken) {
      throw new CommandError(
        `the remediator runs and is asked for this, but ${error.message}. Name your own: --token.file=FILE`,
        { cause: error },
      );
    }
    throw new CommandError(
      `the remediator runs, but ${server} does not answer: ${messageOf(error)}. Name its address: --server=http://HOST:PORT`,
      { cause: error },
    );
  }
  if (answer.status < 300) return answer.body as Json;
  const told = answer.body as { error?: unknown } | null;
  throw new CommandError(`${server} answered ${answer.status}: ${String(told?.error)}`);
}

/** Beside a running server or without one: nothing is written. @throws CommandError */
export async function reading(
  { settings }: Shared,
  use: (store: Store, clock: LedgerClock) => Promise<void>,
): Promise<void> {
  if (!isThere(settings)) {
    throw new CommandError(noStore(settings));
  }
  await using open = await openToRead(settings);
  await use(open.store, open.clock);
}

/** Only while nobody serves: a writer of another process would make the server wait. */
async function withStore<T>(settings: Settings, work: (store: Store, clock: LedgerClock) => Promise<T>): Promise<T> {
  if (!isThere(settings)) throw new CommandError(noStore(settings));
  await using open = await openToChange(settings);
  if (open === undefined) throw new CommandError('the remediator has just been started: try again');
  return await work(open.store, open.clock);
}

function noStore({ store }: Settings): string {
  return `there is no store ${store} yet: the remediator has not run with this configuration`;
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function whoami(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`; // no entry in the user database, as in many containers
  }
}
