/**
 * The supervisor's memory in its state folder: state.json (replaced atomically), witness.jsonl (append-only) and the lock.
 *
 * A witness line and the state it belongs to are two files and cannot be written at once, so each save carries the lines
 * that go with it (an outbox): the state is saved first, then the lines are appended; after a crash between the two, the
 * next supervisor appends what is missing, told by the running number `n`. So every line is there exactly once.
 *
 * Everything here is synchronous on purpose: nothing else may run between the intent on disk and the signal or the spawn.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { ConfigError, messageOf } from '../../../exporter/runtime/errors.ts';
import {
  askedSchema,
  endedSchema,
  exitSchema,
  incarnationSchema,
  witnessLineSchema,
  type WitnessLine,
} from '../process-wire.ts';
import { logMarkSchema } from './service-log.ts';
import { openWitness, writeAll } from './witness.ts';

const count = z.number().int().min(0);

const stateSchema = z.object({
  version: z.literal(1),
  maxFence: count,
  seq: count,
  /** A start whose process is not recorded yet: it is found again by `marker` in its environment. */
  starting: z
    .object({ seq: count, marker: z.string(), log: logMarkSchema, atMs: count, bootId: z.string() })
    .nullable(),
  running: z
    .object({
      incarnation: incarnationSchema,
      marker: z.string(),
      log: logMarkSchema,
      asked: askedSchema.nullable(),
      leaderExit: exitSchema.nullable(),
      leaderEndedAtMs: count.nullable(),
    })
    .nullable(),
  last: endedSchema.extend({ log: logMarkSchema }).nullable(),
  /** Whether `autostart` may start the service: it never ran, or ended with the supervisor or the machine. */
  resume: z.boolean(),
  counts: z.object({ starts: count, endsAsked: count, endsByItself: count, supervisorStarts: count }),
  /** Number of the last witness line. */
  lines: count,
  /** Witness lines that this save brings; those with a number beyond the witness's last are still to be appended. */
  outbox: z.array(witnessLineSchema),
});
export type State = Omit<z.output<typeof stateSchema>, 'outbox'>;
export type Life = NonNullable<State['running']>;

export type Line = Partial<Omit<WitnessLine, 'n' | 'at' | 'event'>> & Pick<WitnessLine, 'event'>;

const fresh: State = {
  version: 1,
  maxFence: 0,
  seq: 0,
  starting: null,
  running: null,
  last: null,
  resume: true,
  counts: { starts: 0, endsAsked: 0, endsByItself: 0, supervisorStarts: 0 },
  lines: 0,
};

export interface Store {
  readonly state: State;
  /** What could not be written durably, or null. */
  readonly error: string | null;
  /** Before an effect: throws when it is not durable, and then the state is as before. */
  readonly commit: (change: Partial<State>, ...lines: readonly Line[]) => void;
  /** After the fact: never throws; what cannot be written now is written by a later commit, note or retry. */
  readonly note: (change: Partial<State>, ...lines: readonly Line[]) => void;
  /** Tries again what is not written yet. */
  readonly retry: () => void;
  readonly close: () => void;
}

/** Throws ConfigError when another supervisor has this folder or what is in it cannot be trusted. */
export function openStore(stateDir: string, wallMs: () => number): Store {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const lock = takeLock(stateDir);
  const statePath = join(stateDir, 'state.json');
  const witnessPath = join(stateDir, 'witness.jsonl');
  const loaded = readState(statePath, witnessPath);
  let state: State = loaded.state;
  let outbox: WitnessLine[] = loaded.outbox;
  const witness = openWitness(witnessPath); // made before the first save, whose fsync of the folder covers its name too
  let error: string | null = null;
  let dirty = false;

  const write = (): void => {
    saveAtomically(stateDir, statePath, JSON.stringify({ ...state, outbox }));
    witness.append(outbox);
    outbox = [];
    dirty = false;
    error = null;
  };
  const stamp = (lines: readonly Line[]): WitnessLine[] =>
    lines.map((line, i) => ({
      n: state.lines + 1 + i,
      at: new Date(wallMs()).toISOString(),
      event: line.event,
      seq: line.seq ?? state.seq,
      pid: line.pid ?? null,
      startTicks: line.startTicks ?? null,
      fence: line.fence ?? null,
      by: line.by ?? null,
      outcome: line.outcome ?? null,
      signal: line.signal ?? null,
      exitCode: line.exitCode ?? null,
      why: line.why ?? null,
    }));
  const apply = (change: Partial<State>, lines: readonly Line[]): void => {
    const changed = { ...state, ...change };
    outbox = [...outbox, ...stamp(lines)];
    state = { ...changed, lines: state.lines + lines.length };
    dirty = true;
  };

  // the lines that the former supervisor saved but did not come to append
  outbox = outbox.filter((line) => line.n > witness.lastN);
  if (witness.lastN > state.lines) {
    throw new ConfigError(stateDir, [`witness.jsonl is ahead of state.json: one of them was put back from a copy`]);
  }

  return {
    get state() {
      return state;
    },
    get error() {
      return error;
    },
    commit: (change, ...lines) => {
      const before = { state, outbox };
      apply(change, lines);
      try {
        write();
      } catch (cause) {
        error = messageOf(cause);
        // Should the state have reached the disk before the failure, a crash now leaves lines that say `accepted` where
        // nothing followed: an intent without an effect, which is what they claim to be.
        state = before.state;
        outbox = before.outbox;
        dirty = true;
        throw new Error('the intent could not be made durable', { cause });
      }
    },
    note: (change, ...lines) => {
      apply(change, lines);
      try {
        write();
      } catch (cause) {
        error = messageOf(cause);
      }
    },
    retry: () => {
      if (!dirty) return;
      try {
        write();
      } catch (cause) {
        error = messageOf(cause);
      }
    },
    close: () => {
      witness.close();
      lock.close();
    },
  };
}

/**
 * An exclusive transaction on a database that stays empty. SQLite locks with fcntl(2): the kernel frees the lock when its
 * process ends, however it ends, it is not inherited by the service, and it holds across containers that share the
 * folder (an abstract socket would not, nor would a pid in a file). So there is no stale lock to detect.
 */
function takeLock(stateDir: string): { readonly close: () => void } {
  const lock = new DatabaseSync(join(stateDir, 'lock'), { timeout: 0 });
  try {
    lock.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE'); // nothing is ever written: no journal beside it
  } catch (cause) {
    lock.close();
    throw new ConfigError(stateDir, [
      `its lock cannot be had, another supervisor runs on this folder (${messageOf(cause)})`,
    ]);
  }
  return lock;
}

function readState(statePath: string, witnessPath: string): { readonly state: State; readonly outbox: WitnessLine[] } {
  if (!existsSync(statePath)) {
    // the state is written before the first line of the witness, so it was removed: with it went the highest fence
    if (existsSync(witnessPath) && statSync(witnessPath).size > 0) {
      throw new ConfigError(statePath, [
        'it is gone although witness.jsonl is there: put it back, or remove both after ending the service',
      ]);
    }
    return { state: fresh, outbox: [] };
  }
  const parsed = stateSchema.safeParse(parseJson(statePath));
  if (!parsed.success)
    throw new ConfigError(statePath, [`not a state of this program: ${z.prettifyError(parsed.error)}`]);
  const { outbox, ...state } = parsed.data;
  return { state, outbox };
}

function parseJson(path: string): unknown {
  const text = readFileSync(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigError(path, ['not JSON']);
  }
}

function saveAtomically(folder: string, path: string, text: string): void {
  const temporary = `${path}.new`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeAll(fd, Buffer.from(text));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  const folderFd = openSync(folder, 'r');
  try {
    fsyncSync(folderFd); // else the rename itself may be lost (fsync(2))
  } finally {
    closeSync(folderFd);
  }
}
