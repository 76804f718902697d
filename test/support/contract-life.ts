// One life of a remediator's runner, as a process that may be killed or stopped anywhere: takes up what is open, and ends
// when no run is. Its options are one argument of JSON.
import { join } from 'node:path';
import { createLog } from '../../exporter/runtime/log.ts';
import { openLedger } from '../../remediator/clock.ts';
import { newHolder } from '../../remediator/holder.ts';
import type { Policy } from '../../remediator/guard.ts';
import { createRunner } from '../../remediator/runner.ts';
import { leaseTiming } from '../../remediator/runner/lease.ts';
import { openSqlite } from '../../remediator/store/sqlite.ts';
import { contractAction, type Class } from './contract-actions.ts';

export interface Life {
  readonly dir: string;
  readonly socket: string;
  readonly fencing: Class;
  readonly policy: Policy;
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

async function live({ dir, socket, fencing, policy, stopFirst, stopBefore, killBefore }: Life): Promise<void> {
  if (stopFirst === true) process.kill(process.pid, 'SIGSTOP');
  const store = openSqlite({ file: storeOf(dir) });
  const clock = await openLedger(store, 3_600_000);
  let stopped = false;
  const runner = createRunner({
    store,
    clock,
    log: createLog('life', 'warn'),
    holder: newHolder(),
    actions: [contractAction(fencing)],
    world: {
      socket,
      beforeCall: (step) => {
        if (step === killBefore) process.kill(process.pid, 'SIGKILL');
        if (step !== stopBefore || stopped) return;
        stopped = true;
        process.kill(process.pid, 'SIGSTOP');
      },
    },
    evidenceDir: join(dir, 'evidence'),
    policies: () => [policy],
    paused: () => Promise.resolve(undefined),
    alertFreshMs: 3_600_000,
    ended: () => Promise.resolve(),
    lease: { ...leaseTiming(clock), ...lifeLease },
  });
  const alive = setInterval(() => undefined, 1_000); // what it waits for may be without a timer that holds the process
  while ((await store.activeRuns()).length > 0) {
    await runner.resume();
    await runner.idle();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  clearInterval(alive);
  await store[Symbol.asyncDispose]();
}

const [, file, options] = process.argv;
if (file === import.meta.filename && options !== undefined) await live(JSON.parse(options) as Life);
