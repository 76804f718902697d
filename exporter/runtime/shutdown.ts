import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SignalSource } from './early-signals.ts';
import type { Log } from './log.ts';

/** The process, as far as it ends. */
export interface Ending extends SignalSource {
  readonly exit: (code: number) => void;
  exitCode?: number | string | null | undefined;
}

/**
 * SIGTERM and SIGINT run `stop` once; the process ends by itself when nothing is left to do, and by force `graceMs`
 * later. A second signal ends it at once. The returned function takes the handlers away.
 * @param signals those that came before are handed over by it
 */
export function onShutdown(
  stop: () => Promise<void>,
  graceMs: number,
  log: Log,
  end: Ending = process,
  signals: SignalSource = end,
): () => void {
  let stopping = false;
  const handle = (signal: NodeJS.Signals): void => {
    if (stopping) {
      log.warn({ signal }, 'second signal, ending at once');
      end.exit(1);
      return;
    }
    stopping = true;
    log.info({ signal }, 'shutting down');
    setTimeout(() => {
      log.error({ graceMs }, 'shutdown took too long, ending by force');
      end.exit(1);
    }, graceMs).unref();
    stop().then(
      () => {
        log.info('stopped');
      },
      (error: unknown) => {
        log.error({ err: error }, 'shutdown failed');
        end.exitCode = 1;
      },
    );
  };
  const names = ['SIGTERM', 'SIGINT'] as const;
  for (const name of names) signals.on(name, handle);
  return () => {
    for (const name of names) signals.removeListener(name, handle);
  };
}

/** Loading code leaves no turn of the event loop in which a signal could have been told; after two, a poll lies between. */
export async function signalsTold(): Promise<void> {
  await nextTurn();
  await nextTurn();
}
