// The servers that are watched, asked who they are: the store's own may have another name in the inventory.
import type { Inventory } from '../exporter/config/inventory.ts';
import { within } from '../exporter/runtime/deadline.ts';
import { ConfigError, messageOf } from '../exporter/runtime/errors.ts';
import { systemClock } from '../exporter/runtime/clock.ts';
import type { Log } from '../exporter/runtime/log.ts';
import { mysqlAddress } from '../exporter/systems/mysql/address.ts';
import { openMysql } from '../exporter/systems/mysql/client.ts';
import type { Settings } from './settings.ts';

interface Context {
  readonly inventory: Pick<Inventory, 'targets'>;
  readonly settings: Pick<Settings, 'auth'>;
  readonly log: Pick<Log, 'warn'>;
  /** For tests. */
  readonly identityOf?: (name: string) => Promise<string | undefined>;
}

const askMs = 5_000;

/**
 * @param server the store's: server_uuid (MySQL) or server_uid (MariaDB)
 * @throws ConfigError when one of the targets is that server; one that cannot be asked is told in the log
 */
export async function requireApart(server: string, context: Context): Promise<void> {
  const identityOf = context.identityOf ?? ((name: string) => askServer(name, context));
  const names = [...context.inventory.targets].filter(([, t]) => t.kind === 'mysql').map(([name]) => name);
  const same: string[] = [];
  await Promise.all(
    names.map(async (name) => {
      try {
        const found = await identityOf(name);
        if (found === undefined)
          context.log.warn({ target: name }, 'a server does not say who it is: is it the store?');
        if (found === server) same.push(name);
      } catch (error) {
        context.log.warn(
          { target: name, why: messageOf(error) },
          'a server cannot be asked whether it holds the store',
        );
      }
    }),
  );
  if (same.length === 0) return;
  throw new ConfigError(
    'pipemedic.yml',
    same
      .sort()
      .map(
        (name) =>
          `remediation.store.mysql: its server is the target ${name} under another name, which may be repaired. Take a server that is none of the targets`,
      ),
  );
}

async function askServer(name: string, { inventory, settings }: Context): Promise<string | undefined> {
  const target = inventory.targets.get(name);
  if (target === undefined) return undefined;
  const call = { signal: within(askMs), clock: systemClock };
  const opening = { address: mysqlAddress.parse(target.address), auth: settings.auth.get(name) ?? target.auth };
  await using client = await openMysql({ ...opening, tls: target.tls }, call);
  const rows = await client.query(
    `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'server_uid')`,
    [],
    call,
  );
  const [value] = rows.map((row) => row['Value']);
  return typeof value === 'string' && value !== '' ? value : undefined;
}
