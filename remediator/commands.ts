// What people do from the command line with a store that is there: look, pause, resume, clear a latch.
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { messageOf } from '../exporter/runtime/errors.ts';
import { askServer } from './client.ts';
import { openLedger, readLedger, thisMachine, type LedgerClock } from './clock.ts';
import { resume } from './resume.ts';
import { runsText, storyText } from './runs-text.ts';
import { storyOf } from './runs-view.ts';
import { takeServeLock } from './serve-lock.ts';
import type { Settings } from './settings.ts';
import { openSqlite } from './store/sqlite.ts';
import type { Store } from './store/store.ts';
import { clearSwitchFile, readSwitchFile, setSwitchFile } from './switch.ts';

/** A mistake of whoever asks, or something that is not there: one line, no stack. */
export class CommandError extends Error {}

interface Shared {
  readonly settings: Settings;
  /** Base URL of the running remediator. */
  readonly server: string;
  readonly print: (text: string) => void;
}

export async function runsCommand({ settings, print }: Shared, limit: number, asJson: boolean): Promise<void> {
  await using store = openToRead(settings);
  const runs = await store.runsOf({ limit });
  print(asJson ? `${JSON.stringify(runs, undefined, 2)}\n` : runsText(runs, (await readLedger(store)).wallOf));
}

export async function whyCommand({ settings, print }: Shared, what: string, asJson: boolean): Promise<void> {
  await using store = openToRead(settings);
  const story = await storyOf(store, what);
  if (story === undefined) throw new CommandError(`there is no run, episode or alert ${what} in ${settings.store}`);
  print(asJson ? `${JSON.stringify(story, undefined, 2)}\n` : storyText(story, (await readLedger(store)).wallOf));
}

/** By the file first, which needs nothing but the disk: it works while the server is down or does not answer. */
export async function pauseCommand({ settings, server, print }: Shared, reason: string): Promise<void> {
  const by = whoami();
  await setSwitchFile(settings.switchFile, { by, reason, at: new Date().toISOString() });
  print(`paused: ${settings.switchFile} is there. Nothing begins until: pipemedic-remediator resume\n`);
  try {
    if (serves(settings)) await post({ settings, server }, 'pause', { by, reason });
    else if (existsSync(settings.store)) {
      await withStore(settings, async (store, clock) => {
        await store.audit({
          atMs: clock.nowMs(),
          actor: by,
          via: 'cli',
          verb: 'pause',
          object: 'global',
          detail: { reason },
        });
      });
    }
  } catch (error) {
    print(`It holds, but it could not be noted in the audit: ${messageOf(error)}\n`);
  }
}

export async function resumeCommand({ settings, server, print }: Shared): Promise<void> {
  const by = whoami();
  if (serves(settings)) await post({ settings, server }, 'resume', { by });
  else if (!existsSync(settings.store)) await clearSwitchFile(settings.switchFile);
  else {
    await withStore(settings, (store, clock) =>
      resume({ store, clock, by, via: 'cli', switchFile: settings.switchFile }),
    );
  }
  const after = await readSwitchFile(settings.switchFile);
  if (after.file !== 'clear') throw new CommandError(`still paused: ${after.fileDetail}`);
  print('resumed: runs may begin\n');
}

export async function clearLatchCommand(
  { settings, server, print }: Shared,
  id: string,
  comment: string,
): Promise<void> {
  const by = whoami();
  if (serves(settings)) await post({ settings, server }, `latches/${encodeURIComponent(id)}/clear`, { by, comment });
  else {
    await withStore(settings, async (store, clock) => {
      if (await store.clearLatch(id, by, comment, clock.nowMs())) return;
      throw new CommandError(`there is no open latch ${id}`);
    });
  }
  print(`latch ${id} is cleared\n`);
}

async function post(
  { settings, server }: Pick<Shared, 'settings' | 'server'>,
  path: string,
  body: Readonly<Record<string, string>>,
): Promise<void> {
  const tokens = settings.apiTokenFiles ?? settings.webhookTokenFiles;
  let answer: Awaited<ReturnType<typeof askServer>>;
  try {
    answer = await askServer(server, tokens, path, body);
  } catch (error) {
    throw new CommandError(
      `the remediator runs, but ${server} does not answer: ${messageOf(error)}. Name its address: --server=http://HOST:PORT`,
      { cause: error },
    );
  }
  if (answer.status < 300) return;
  const told = answer.body as { error?: unknown } | null;
  throw new CommandError(`${server} answered ${answer.status}: ${String(told?.error)}`);
}

function openToRead(settings: Settings): Store {
  if (!existsSync(settings.store)) {
    throw new CommandError(
      `there is no store ${settings.store} yet: the remediator has not run with this configuration`,
    );
  }
  return openSqlite({ file: settings.store, readOnly: true });
}

/** Only while nobody serves: a writer of another process would make the server wait. */
async function withStore(settings: Settings, work: (store: Store, clock: LedgerClock) => Promise<void>): Promise<void> {
  if (!existsSync(settings.store)) throw new CommandError(`there is no store ${settings.store} yet`);
  using lock = takeServeLock(settings.store);
  if (lock === undefined) throw new CommandError('the remediator has just been started: try again');
  await using store = openSqlite({ file: settings.store });
  await work(store, await openLedger(store, 0, thisMachine));
}

function serves(settings: Settings): boolean {
  if (!existsSync(settings.store)) return false;
  const lock = takeServeLock(settings.store);
  lock?.[Symbol.dispose]();
  return lock === undefined;
}

function whoami(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`; // no entry in the user database, as in many containers
  }
}
