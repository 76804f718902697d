/** Making the process of the service, and finding it again when its maker died before it could write that down. */
import { spawn, type ChildProcess } from 'node:child_process';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import type { ProcessSupervisorConfig } from '../process-wire.ts';
import { markerEntry } from './group.ts';
import { begun } from './life.ts';
import { livingWithEnv } from './proc.ts';
import type { Store } from './store.ts';

export type Launched =
  | { readonly child: ChildProcess; readonly pid: number }
  /** No process came to be; Node gives the reason in the next turn only. */
  | { readonly failure: Promise<unknown> };

/** May also throw: then, too, no process came to be. */
export function launch(service: ProcessSupervisorConfig['service'], marker: string, logFd: number): Launched {
  const [program, ...args] = service.argv;
  const child = spawn(program, args, {
    ...(service.cwd === undefined ? {} : { cwd: service.cwd }),
    env: { ...process.env, ...service.env, ...Object.fromEntries([markerEntry(marker)]) },
    detached: true, // setsid(2): a session and a process group of its own, both with the pid of the child
    shell: false,
    stdio: ['ignore', logFd, logFd],
  });
  const failure = new Promise<unknown>((resolve) => {
    child.on('error', resolve); // also keeps a later error of this child from ending the supervisor
  });
  return child.pid === undefined ? { failure } : { child, pid: child.pid };
}

/**
 * After the death of a supervisor between its intent to start and the record of the process: the process, if it is alive,
 * becomes an orphan. (One that is not dumpable, or runs a set-user-id program, hides its environment and is not found.)
 */
export function recoverStart(store: Store, bootId: string): void {
  const { starting } = store.state;
  if (starting === null) return;
  const { seq, marker, log, atMs } = starting;
  const alive = starting.bootId === bootId ? livingWithEnv(markerEntry(marker).join('=')) : [];
  // the first of those that lead a session of their own; a grandchild may have made one too, later
  const leader = alive
    .filter(({ pid, group, session }) => pid === group && pid === session)
    .sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid)[0];
  if (leader === undefined && alive.length > 0) {
    const pids = alive.map(({ pid }) => pid).join(', ');
    throw new ConfigError('the service', [
      `processes of a start that was never recorded are alive without their leader: end ${pids} first`,
    ]);
  }
  if (leader === undefined) {
    const why = 'the supervisor died during the start and nothing of it is alive';
    store.note({ starting: null, resume: false }, { event: 'start-lost', seq, why });
    return;
  }
  const { pid, startTicks } = leader;
  store.note(begun(store.state, { incarnation: { bootId, pid, startTicks, startedAtMs: atMs, seq }, marker, log }));
}
