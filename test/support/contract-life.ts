// One life of a remediator's runner on a target of contract-target.ts, as a process that may be killed or stopped anywhere.
// Its options are one argument of JSON.
import { join } from 'node:path';
import type { Policy } from '../../remediator/guard.ts';
import { contractAction, type Class } from './contract-actions.ts';
import { conductToEnd, openStore, type LeaseTimes, type StorePlace } from './life.ts';

export interface Life {
  readonly dir: string;
  readonly socket: string;
  readonly fencing: Class;
  readonly policy: Policy;
  /** Left out: a file in the folder. */
  readonly store?: StorePlace;
  /** Of which a run is claimed, unless one was claimed before. */
  readonly episodeId?: string;
  /** Longer ones than those below. */
  readonly times?: { readonly deadlineMs: number; readonly lease: LeaseTimes };
  /** Stops itself (SIGSTOP) before it opens the store, to be traced from there on. */
  readonly stopFirst?: boolean;
  /** Stops itself right before the first call of this step. */
  readonly stopBefore?: string;
  /** Kills itself there. */
  readonly killBefore?: string;
}

/** Long enough for a loaded machine, short enough to be waited for. */
export const lifeLease = { ttlMs: 1_500, renewMs: 500, marginMs: 300 };

export function storeOf(dir: string): string {
  return join(dir, 'store.db');
}

async function live(life: Life): Promise<void> {
  const { dir, socket, fencing, policy, stopFirst, stopBefore, killBefore } = life;
  if (stopFirst === true) process.kill(process.pid, 'SIGSTOP');
  await using at = await openStore(life.store ?? { file: storeOf(dir) });
  let stopped = false;
  await conductToEnd({
    at,
    action: contractAction(fencing, life.times?.deadlineMs),
    world: {
      socket,
      beforeCall: (step) => {
        if (step === killBefore) process.kill(process.pid, 'SIGKILL');
        if (step !== stopBefore || stopped) return;
        stopped = true;
        process.kill(process.pid, 'SIGSTOP');
      },
    },
    target: 'svc1',
    params: {},
    policy,
    episodeId: life.episodeId ?? '',
    evidenceDir: join(dir, 'evidence'),
    lease: life.times?.lease ?? lifeLease,
    logLevel: 'warn',
  });
}

const [, file, options] = process.argv;
if (file === import.meta.filename && options !== undefined) await live(JSON.parse(options) as Life);
