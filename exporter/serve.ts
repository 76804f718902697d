import type { AddressInfo } from 'node:net';
import type { Inventory } from './config/inventory.ts';
import type { Clock } from './runtime/clock.ts';
import { messageOf } from './runtime/errors.ts';
import { closeServer, listen, type ListenAddress } from './runtime/http.ts';
import type { Log } from './runtime/log.ts';
import type { WebState } from './runtime/web-config.ts';
import { openWeb } from './runtime/web-server.ts';
import { defaultDeadline, scrapeBudgetMs, type DeadlineOptions } from './scrape/deadline.ts';
import { Rounds, type RoundsDeps } from './scrape/rounds.ts';
import { createSelf } from './scrape/self.ts';
import { createApp } from './server.ts';

/** How long scrapes that run may go on after the order to stop. */
const drainMs = 5000;

export interface Serving {
  readonly address: AddressInfo;
  /** Reads the inventory again: all of it is taken, or the one before stays in use. True when it was taken. */
  readonly reload: () => Promise<boolean>;
  /** Counts and logs what is wrong with this program itself. */
  readonly fault: (part: string, error: unknown) => void;
  readonly stop: () => Promise<void>;
}

export interface ServeOptions {
  /** Reads and checks the inventory. */
  readonly load: () => Promise<Inventory>;
  readonly listen: ListenAddress;
  /** The file of --web.config.file. */
  readonly web?: string | undefined;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly pipelines: RoundsDeps['pipelines'];
  readonly deadline?: DeadlineOptions;
}

/** Starts the exporter. @throws ConfigError, and what listening throws */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { load, listen: address, version, clock, log, pipelines, deadline = defaultDeadline } = options;
  const self = createSelf(version, clock);
  const fault = (part: string, error: unknown): void => {
    self.fault(part);
    log.error({ part, err: error }, 'fault of this program');
  };
  const web = openWeb(options.web, log);
  const inventory = await load();
  self.inventoryRead(true);
  const rounds = new Rounds(inventory, { clock, log, fault, pipelines });
  let reloading = Promise.resolve(true);
  const reload = async (): Promise<boolean> => {
    try {
      rounds.replace(await load());
      self.inventoryRead(true);
      log.info('inventory was read again');
      return true;
    } catch (error) {
      self.inventoryRead(false);
      log.error({ why: messageOf(error) }, 'inventory was not taken, the one before stays in use');
      return false;
    }
  };
  // One after another: the last one asked for wins.
  const reloadInTurn = (): Promise<boolean> => (reloading = reloading.then(reload));
  const byRequest = async (): Promise<boolean> => {
    // the file may have changed since: then nobody says who is asking
    if (isEverybodyKnown(web.config?.now())) return await reloadInTurn();
    log.warn('a request to reload was refused: the web configuration asks nobody who they are');
    return false;
  };
  const canReload = isEverybodyKnown(web.config?.now());
  const server = web.server(
    createApp({ rounds, self, clock, version, fault, deadline, ...(canReload ? { reload: byRequest } : {}) }),
  );
  const bound = await listen(server, address);
  log.info({ address: bound.address, port: bound.port, targets: inventory.targets.size, version }, 'listening');
  // Ready means that each target has been tried once; what it yields is for the log and the landing page.
  void rounds.scrape(scrapeBudgetMs(undefined, deadline));
  return {
    address: bound,
    reload: reloadInTurn,
    fault,
    stop: async () => {
      await closeServer(server, drainMs);
      await web[Symbol.asyncDispose]();
      await rounds.close();
    },
  };
}

/** Nothing is changed for people who need not say who they are. */
function isEverybodyKnown(web: WebState | undefined): boolean {
  if (web === undefined) return false;
  const type = web.document.tls_server_config?.client_auth_type;
  return type === 'RequireAndVerifyClientCert' || Object.keys(web.document.basic_auth_users).length > 0;
}
