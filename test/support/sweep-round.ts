// One round of a sweep: a life of a remediator meets its fate at one call, a successor within the test carries the run
// through, and then whatever was held back comes late.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { waitFor } from '../../deploy/lab/ready.ts';
import type { JournalEntry } from '../../remediator/model.ts';
import type { CallGate, Held } from './call-gate.ts';

/** What becomes of the life, when in the call, and whether the call was carried out before the successor looked. */
const all = {
  'killed before it': { does: 'killed', when: 'before', carriedOut: false },
  'killed after it': { does: 'killed', when: 'after', carriedOut: true },
  'killed, and it comes late': { does: 'killed', when: 'before', carriedOut: false },
  'stopped, and it comes late': { does: 'stopped', when: 'before', carriedOut: false },
  'stopped after it': { does: 'stopped', when: 'after', carriedOut: true },
  'it is lost': { does: 'lost', when: 'before', carriedOut: false },
  'its answer is lost': { does: 'lost', when: 'after', carriedOut: true },
} as const;
export type Fate = keyof typeof all;
export const fates = Object.keys(all) as readonly Fate[];

/** Of a COMMIT: one that is on its way when its process is killed comes before the end of the connection, or never. */
export const fatesOfCommit = fates.filter((fate) => fate !== 'killed, and it comes late');

export function isCarriedOut(fate: Fate): boolean {
  return all[fate].carriedOut;
}

export interface Living {
  readonly child: ChildProcess;
  readonly ended: Promise<NodeJS.Signals | number | null>;
  readonly log: () => string;
}

const children = new Set<ChildProcess>();
// a test that breaks off leaves nothing behind, stopped ones above all
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** @param program takes its options as one argument of JSON */
export function startLife(program: string, options: unknown): Living {
  const child = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'pipe'] });
  children.add(child);
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const ended = new Promise<NodeJS.Signals | number | null>((resolve) => {
    child.once('exit', (code, signal) => {
      children.delete(child);
      resolve(signal ?? code);
    });
  });
  return { child, ended, log: () => log };
}

function stateOf(pid: number | undefined): string {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
  return stat.charAt(stat.lastIndexOf(')') + 2);
}

export async function isStopped({ child, ended, log }: Living): Promise<void> {
  const stopped = waitFor(() => stateOf(child.pid) === 'T', { what: 'the first life to stop', deadlineMs: 120_000 });
  const how = await Promise.race([stopped, ended]).catch((error: unknown) => {
    throw new Error(log(), { cause: error });
  });
  if (how !== true) throw new NotReached(`it ended (${String(how)}) and was not stopped: ${log()}`);
}

export async function finishes({ ended, log }: Living, note: string): Promise<void> {
  const how = await inTime(ended, `${note}: the end of a life`, log);
  assert.equal(how, 0, `${note}: ${String(how)}: ${log()}`);
}

/** @throws with what the life has written when it takes too long */
export async function inTime<T>(what: Promise<T>, name: string, detail: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`waited 4 min in vain for ${name}: ${detail()}`));
    }, 240_000);
  });
  try {
    return await Promise.race([what, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The life ended before it came to that call: by a lease that ran out on a busy machine, say. Nothing was tried then. */
export class NotReached extends Error {}

const mostTries = 3;

/** Again, where the call was not reached. */
export async function untilReached<T>(round: () => Promise<T>): Promise<T> {
  for (let n = 1; ; n++) {
    try {
      return await round();
    } catch (error) {
      if (!(error instanceof NotReached) || n >= mostTries) throw error;
    }
  }
}

/** Goes on after it stood still, has its time to do harm, and ends. */
export async function thaw({ child, ended, log }: Living): Promise<void> {
  child.kill('SIGCONT');
  await inTime(ended, 'the end of a life that was thawed', log);
}

export interface Round {
  readonly gate: CallGate;
  /** As the gate names it. */
  readonly call: string;
  readonly fate: Fate;
  readonly start: () => Living;
  /** Resolves when the run has ended. */
  readonly succeed: () => Promise<void>;
}

/** Whether nothing has happened to a run: no step was tried twice, nobody else has taken it up. */
export function isUndisturbed(journal: readonly JournalEntry[]): boolean {
  return (
    new Set(journal.map((e) => e.holder)).size === 1 &&
    journal.every((e) => e.kind !== 'result' || e.outcome === 'done' || e.outcome === 'skipped')
  );
}

export async function play({ gate, call, fate, start, succeed }: Round): Promise<void> {
  const { does, when } = all[fate];
  const first: { life?: Living } = {};
  const caught = new Promise<Held>((resolve) => {
    gate.trap(call, when, (held) => {
      if (does === 'lost') held.cut();
      else first.life?.child.kill(does === 'killed' ? 'SIGKILL' : 'SIGSTOP');
      resolve(held);
    });
  });
  const life = start();
  first.life = life;
  try {
    const reached = Promise.race([
      caught,
      life.ended.then((how) => {
        throw new NotReached(`it ended (${String(how)}) without ${call}: ${gate.seen.join(', ')}: ${life.log()}`);
      }),
    ]);
    reached.catch(() => undefined); // an end after it was reached is what is wanted
    const held = await inTime(reached, call, life.log);
    if (does === 'killed') {
      assert.equal(await life.ended, 'SIGKILL');
      if (fate !== 'killed, and it comes late') held.drop();
    }
    if (does === 'stopped') await isStopped(life);
    await inTime(succeed(), 'the successor', life.log);
    if (does === 'killed') {
      held.pass();
      await inTime(held.over, 'the end of the late call', life.log);
      return;
    }
    if (does === 'stopped') {
      held.pass();
      await thaw(life);
    } else await finishes(life, `${call}, ${fate}`);
    held.drop();
  } finally {
    life.child.kill('SIGKILL');
  }
}
