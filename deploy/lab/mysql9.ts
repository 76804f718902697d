// A MySQL source and its replicas, of the newest release that setup-unstable.sh has found, with the parts, users and
// schema of the MariaDB ones: same ports, same names, GTID auto-position through the same breakable link.
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { ports } from './address.ts';
import { cacheFolder, fileIn, folderIn, isRoot, type LabContext } from './context.ts';
import { startDatabases, type DatabaseLab, type DatabasesOptions } from './databases.ts';
import { shippedGrants, sql } from './mariadb.ts';
import { ProcessPart } from './processes.ts';
import { waitFor } from './ready.ts';
import { databasePorts, type DatabaseName, type DatabaseOptions, type Release } from './release.ts';

export type { DatabaseLab } from './databases.ts';

/** The names of privileges: https://dev.mysql.com/doc/refman/8.4/en/privileges-provided.html */
const grants: Readonly<Record<string, readonly string[]>> = {
  lab: ['ALL PRIVILEGES ON *.*'],
  maxwell: ['ALL PRIVILEGES ON `maxwell`.*', 'SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.*'],
  repl: ['REPLICATION SLAVE ON *.*'],
  exporter: shippedGrants('exporter-mysql.sql'),
  remediator: [...shippedGrants('remediator-mysql.sql'), 'SELECT ON `shop`.*'],
  writer: ['SELECT, INSERT, UPDATE, DELETE ON `shop`.*'],
};

function tree(): string {
  return join(cacheFolder(), 'debian-unstable', 'mysql');
}

/** Why there is none on this machine, for `test(…, { skip: mysql9Missing() })`; false when there is one. */
export function mysql9Missing(): string | false {
  return existsSync(join(tree(), 'bin', 'mysqld')) ? false : 'no MySQL 9 on this machine: deploy/lab/setup.sh says why';
}

function part(lab: LabContext, name: DatabaseName, { settings: own = {}, env }: DatabaseOptions = {}): ProcessPart {
  const home = tree();
  const settings: Record<string, string | number> = {
    basedir: join(home, 'usr'),
    'lc-messages-dir': join(home, 'usr', 'share', 'mysql'),
    'character-sets-dir': join(home, 'usr', 'share', 'mysql', 'charsets'),
    'plugin-dir': join(home, 'usr', 'lib', 'mysql', 'plugin'),
    datadir: join(lab.dir, name),
    tmpdir: folderIn(lab, `${name}-tmp`),
    socket: join(lab.dir, `${name}.sock`),
    'pid-file': join(lab.dir, `${name}.pid`),
    'secure-file-priv': '',
    'init-file': join(lab.dir, `${name}-users.sql`),
    'bind-address': lab.address,
    port: databasePorts[name],
    mysqlx: 'OFF',
    'server-id': Object.keys(databasePorts).indexOf(name) + 1,
    'log-bin': 'binlog',
    'relay-log': 'relay',
    'binlog-row-image': 'FULL',
    'gtid-mode': 'ON',
    'enforce-gtid-consistency': 'ON',
    'report-host': lab.address,
    'skip-name-resolve': 'ON',
    // small and quick rather than safe
    'innodb-buffer-pool-size': '48M',
    'innodb-redo-log-capacity': '8M',
    'innodb-flush-log-at-trx-commit': 2,
    'innodb-use-native-aio': 'OFF', // the kernel's limit of requests is for the whole machine
    'sync-binlog': 0,
    'max-connections': 100,
    'table-open-cache': 200,
    'table-definition-cache': 400,
    ...(name === 'replica' ? { 'read-only': 'ON' } : {}),
    ...(isRoot() ? { user: 'root' } : {}),
    ...own,
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
  const file = fileIn(lab, `${name}.cnf`, `[mysqld]\n${lines.join('\n')}\n`);
  return new ProcessPart(lab, {
    name,
    argv: [join(home, 'bin', 'mysqld'), `--defaults-file=${file}`],
    ...(env === undefined ? {} : { env }),
    ready: async (signal) => {
      await sql(lab, name, 'SELECT 1', signal);
      return true;
    },
  });
}

/** A copy of setup's empty data folder; the lab's users come at the server's start and stay out of its binlog. */
function install(lab: LabContext, name: DatabaseName): Promise<void> {
  cpSync(join(tree(), 'data'), join(lab.dir, name), { recursive: true });
  const users = Object.entries(grants).flatMap(([user, all]) => [
    `CREATE USER IF NOT EXISTS '${user}'@'%' IDENTIFIED BY '${lab.secret(user)}';`,
    ...all.map((what) => `GRANT ${what} TO '${user}'@'%'${user === 'lab' ? ' WITH GRANT OPTION' : ''};`),
  ]);
  fileIn(lab, `${name}-users.sql`, `${['SET SESSION sql_log_bin = 0;', ...users].join('\n')}\n`);
  return Promise.resolve();
}

async function startReplication(lab: LabContext): Promise<void> {
  const name = 'replica';
  await sql(
    lab,
    name,
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '${lab.address}', SOURCE_PORT = ${ports.replicaToSource},
       SOURCE_USER = 'repl', SOURCE_PASSWORD = '${lab.secret('repl')}', SOURCE_AUTO_POSITION = 1,
       GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 100000`,
  );
  await sql(lab, name, 'START REPLICA');
  await waitFor(
    async (signal) => {
      const [row] = await sql(lab, name, 'SHOW REPLICA STATUS', signal);
      // the receiver says Yes before it has asked the source for anything
      const isWaiting = String(row?.['Replica_IO_State']).startsWith('Waiting for source');
      if (isWaiting && row?.['Replica_SQL_Running'] === 'Yes') return true;
      throw new Error(`${name}: ${String(row?.['Last_IO_Error'])} ${String(row?.['Last_SQL_Error'])}`);
    },
    { what: `${name} to replicate` },
  );
}

export const mysql9: Release = {
  missing: mysql9Missing,
  install,
  part,
  startReplication,
  clockOffset: () => undefined, // 9.7.4 hangs at its start under libfaketime 0.9.12
};

/** Source and replica unless told otherwise. */
export function startMysql9(options: DatabasesOptions = {}): Promise<DatabaseLab> {
  return startDatabases(mysql9, options);
}
