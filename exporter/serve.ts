import { changesBetween } from './config/changes.ts';
import type { Inventory } from './config/inventory.ts';
import type { Clock } from './runtime/clock.ts';
import { messageOf } from './runtime/errors.ts';
import type { ListenAddress } from './runtime/http.ts';
import type { Log } from './runtime/log.ts';
import { isEverybodyKnown } from './runtime/web-config.ts';
import { listenAll, type Bound } from './runtime/web-listen.ts';
import { openWeb } from './runtime/web-server.ts';
import { defaultDeadline, scrapeBudgetMs, type DeadlineOptions } from './scrape/deadline.ts';
import { plainLimits, type SweepLimits } from './scrape/limits.ts';
import { Rounds, type RoundsDeps } from './scrape/rounds.ts';
import { createSelf } from './scrape/self.ts';
import { createApp } from './server.ts';

/** How long scrapes that run may go on after the order to stop. */
const drainMs = 5000;

export interface Serving {
  /** In the order in which they were asked for. */
  readonly addresses: readonly Bound[];
  /** Reads the inventory again: all of it is taken, or the one before stays in use. True when it was taken. */
  readonly reload: () => Promise<boolean>;
  /** Counts and logs what is wrong with this program itself. */
  readonly fault: (part: string, error: unknown) => void;
  readonly stop: () => Promise<void>;
}

export interface ServeOptions {
  /** Reads and checks the inventory. */
  readonly load: () => Promise<Inventory>;
  /** All of them, or it does not start. */
  readonly listen: readonly ListenAddress[];
  /** The file of --web.config.file. */
  readonly web?: string | undefined;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly pipelines: RoundsDeps['pipelines'];
  readonly deadline?: DeadlineOptions;
  /** Without back-off when left out. */
  readonly limits?: SweepLimits | undefined;
}

/** Starts the exporter. @throws ConfigError, and what listening throws */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { load, version, clock, log, pipelines, deadline = defaultDeadline } = options;
  const { limits = plainLimits } = options;
  const self = createSelf(version, clock);
  const fault = (part: string, error: unknown): void => {
    self.fault(part);
    log.error({ part, err: error }, 'fault of this program');
  };
  const web = openWeb(options.web, log);
  const inventory = await load();
  self.inventoryRead(true);
  const rounds = new Rounds(inventory, { clock, log, fault, pipelines, limits });
  let reloading = Promise.resolve(true);
  const reload = async (): Promise<boolean> => {
    try {
      const before = rounds.inventory;
      const after = await load();
      rounds.replace(after);
      self.inventoryRead(true);
      log.info(changesBetween(before, after), 'inventory was read again');
      return true;
    } catch (error) {
      self.inventoryRead(false);
      log.error({ why: messageOf(error) }, 'inventory was not taken, the one before stays in use');
      return false;
    }
  };
  // One after another: the last one asked for wins.
  const reloadInTurn = (): Promise<boolean> => (reloading = reloading.then(reload));
  const app = createApp({
    ...{ rounds, self, clock, version, fault, deadline, reload: reloadInTurn },
    isCallerKnown: () => isEverybodyKnown(web.config?.now()),
  });
  const { addresses, close } = await listenAll(
    () => web.server(app),
    options.listen,
    (error) => {
      fault('http', error);
    },
  ).catch(async (error: unknown) => {
    await web[Symbol.asyncDispose]();
    await rounds.close();
    throw error;
  });
  const { port } = addresses.find((a) => a.port !== undefined) ?? {};
  const texts = addresses.map(({ text }) => text);
  log.info({ addresses: texts, port, targets: inventory.targets.size, version }, 'listening');
  // Ready means that each target has been tried once; what it yields is for the log and the landing page.
  void rounds.scrape(scrapeBudgetMs(undefined, deadline));
  return {
    addresses,
    reload: reloadInTurn,
    fault,
    stop: async () => {
      await close(drainMs);
      await web[Symbol.asyncDispose]();
      await rounds.close();
    },
  };
}
