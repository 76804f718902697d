// MariaDB source and replica, of the machine's own release or of the newer one that setup-unstable.sh has found.
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import { join } from 'node:path';
import { ports } from './address.ts';
import { clockOffset } from './clock-offset.ts';
import { cacheFolder, fileIn, folderIn, isRoot, program, repo, type LabContext } from './context.ts';
import { ProcessPart, runToEnd } from './processes.ts';
import { waitFor } from './ready.ts';
import { databasePorts, type DatabaseName, type DatabaseOptions, type Release } from './release.ts';

export { databasePorts, type Database, type DatabaseName } from './release.ts';

/** What a file of deploy/sql grants, so that the lab's users have that and no more. */
export function shippedGrants(file: string): readonly string[] {
  const text = readFileSync(join(repo, 'deploy', 'sql', file), 'utf8').replaceAll(/^--.*$/gm, '');
  return [...text.matchAll(/^GRANT\s([^;]+?)\sTO\s/gm)].map(([, what = '']) => what.replaceAll(/\s+/g, ' '));
}

/**
 * Each user with what it needs and no more. The names of privileges are MariaDB's since 10.5
 * (https://mariadb.com/kb/en/grant/); what Maxwell needs is in its own quick start.
 */
const grants: Readonly<Record<string, readonly string[]>> = {
  lab: ['ALL PRIVILEGES ON *.*'],
  maxwell: ['ALL PRIVILEGES ON `maxwell`.*', 'SELECT, REPLICATION SLAVE, BINLOG MONITOR, SLAVE MONITOR ON *.*'],
  repl: ['REPLICATION SLAVE ON *.*'],
  exporter: shippedGrants('exporter-mariadb.sql'),
  remediator: [...shippedGrants('remediator-mariadb.sql'), 'SELECT ON `shop`.*'],
  backup: [
    'RELOAD, PROCESS, BINLOG MONITOR, SLAVE MONITOR ON *.*',
    'SELECT, SHOW VIEW, LOCK TABLES, TRIGGER, EVENT ON `shop`.*',
  ],
  writer: ['SELECT, INSERT, UPDATE, DELETE ON `shop`.*'],
};

const schema = [
  'CREATE DATABASE shop CHARACTER SET utf8mb4',
  `CREATE TABLE shop.orders (
     id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
     customer VARCHAR(80) NOT NULL,
     state VARCHAR(20) NOT NULL,
     total DECIMAL(10, 2) NOT NULL,
     changed_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)
   ) ENGINE = InnoDB CHARACTER SET utf8mb4`,
];

interface MariadbProgram {
  readonly path: string;
  readonly settings: Readonly<Record<string, string>>;
}

function installedProgram(): MariadbProgram {
  return { path: program('mariadbd'), settings: {} };
}

export function databasePart(
  lab: LabContext,
  name: DatabaseName,
  { settings = {}, env }: DatabaseOptions = {},
  { path, settings: own }: MariadbProgram = installedProgram(),
): ProcessPart {
  const home = join(lab.dir, name);
  const options: Record<string, string | number> = {
    ...own,
    datadir: home,
    tmpdir: temporaryFolder(lab, name),
    socket: join(lab.dir, `${name}.sock`),
    'pid-file': join(lab.dir, `${name}.pid`),
    'bind-address': lab.address,
    port: databasePorts[name],
    'server-id': Object.keys(databasePorts).indexOf(name) + 1,
    'log-bin': 'binlog',
    'binlog-format': 'ROW',
    'binlog-row-image': 'FULL',
    // Maxwell warns once per statement otherwise (seen on MariaDB 10.11)
    'binlog-annotate-row-events': 'OFF',
    'expire-logs-days': 0,
    'gtid-strict-mode': 'ON',
    'log-slave-updates': 'ON',
    'report-host': lab.address,
    'character-set-server': 'utf8mb4',
    // Maxwell 1.22.6 knows no character set utf8mb3 (seen on MariaDB 10.11)
    'old-mode': '',
    'skip-name-resolve': 'ON',
    'innodb-buffer-pool-size': '48M',
    'innodb-log-file-size': '16M',
    'innodb-flush-log-at-trx-commit': 2,
    'max-connections': 100,
    ...(name === 'replica' ? { 'read-only': 'ON' } : {}),
    // a domain for each that is written to: https://mariadb.com/kb/en/gtid/#gtid-domain-id
    ...(name === 'source2' ? { 'gtid-domain-id': 2 } : {}),
    ...(isRoot() ? { user: 'root' } : {}),
    ...settings,
  };
  const lines = Object.entries(options).map(([key, value]) => `${key}=${value}`);
  const file = fileIn(lab, `${name}.cnf`, `[mariadbd]\n${lines.join('\n')}\n`);
  return new ProcessPart(lab, {
    name,
    argv: [path, `--defaults-file=${file}`],
    ...(env === undefined ? {} : { env }),
    ready: async (signal) => {
      await sql(lab, name, 'SELECT 1', signal);
      return true;
    },
  });
}

/** Its own: a starting server removes the temporary tables of all others from a shared one (seen on MariaDB 10.11). */
function temporaryFolder(lab: LabContext, name: DatabaseName): string {
  return folderIn(lab, `${name}-tmp`);
}

/** A new data folder with the lab's users in it; not in the binlog, so that source and replica begin alike. */
export async function installDatabase(lab: LabContext, name: DatabaseName): Promise<void> {
  // The bootstrap server knows no grants before FLUSH.
  const text = ['FLUSH PRIVILEGES;', ...userStatements(lab)];
  await runToEnd(
    [
      program('mariadb-install-db'),
      '--no-defaults',
      `--datadir=${join(lab.dir, name)}`,
      `--tmpdir=${temporaryFolder(lab, name)}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      `--extra-file=${fileIn(lab, `${name}-users.sql`, `${text.join('\n')}\n`)}`,
      ...(isRoot() ? ['--user=root'] : []),
    ],
    { deadlineMs: 60_000, cwd: lab.dir },
  );
}

function userStatements(lab: LabContext): string[] {
  const users = Object.entries(grants).flatMap(([user, all]) => [
    `CREATE USER IF NOT EXISTS '${user}'@'%' IDENTIFIED BY '${lab.secret(user)}';`,
    ...all.map((what) => `GRANT ${what} TO '${user}'@'%'${user === 'lab' ? ' WITH GRANT OPTION' : ''};`),
  ]);
  // An anonymous user of localhost would win over 'name'@'%'
  return [...users, "DELETE FROM mysql.global_priv WHERE User = '';", 'FLUSH PRIVILEGES;'];
}

export async function createSchema(lab: LabContext): Promise<void> {
  for (const statement of schema) await sql(lab, 'source', statement);
}

export async function startReplication(lab: LabContext): Promise<void> {
  await sql(
    lab,
    'replica',
    `CHANGE MASTER TO MASTER_HOST = '${lab.address}', MASTER_PORT = ${ports.replicaToSource}, MASTER_USER = 'repl',
       MASTER_PASSWORD = '${lab.secret('repl')}', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1`,
  );
  await sql(lab, 'replica', 'START SLAVE');
  await waitFor(
    async (signal) => {
      const [row] = await sql(lab, 'replica', 'SHOW SLAVE STATUS', signal);
      if (row?.['Slave_IO_Running'] === 'Yes' && row['Slave_SQL_Running'] === 'Yes') return true;
      throw new Error(`replica: ${String(row?.['Last_IO_Error'])} ${String(row?.['Last_SQL_Error'])}`);
    },
    { what: 'the replica to replicate' },
  );
}

/** One statement as the lab's own all-mighty user, on a connection of its own. */
export async function sql(
  lab: LabContext,
  name: DatabaseName,
  statement: string,
  signal: AbortSignal = AbortSignal.timeout(15_000),
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const connection = await createConnection({
    host: lab.address,
    port: databasePorts[name],
    user: 'lab',
    password: lab.secret('lab'),
    connectTimeout: 10_000,
    supportBigNumbers: true,
  });
  const abort = (): void => {
    connection.destroy();
  };
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  try {
    return await rowsOf(connection, statement);
  } finally {
    signal.removeEventListener('abort', abort);
    connection.destroy();
  }
}

async function rowsOf(connection: Connection, statement: string): Promise<RowDataPacket[]> {
  const [rows] = await connection.query<RowDataPacket[]>(statement);
  return Array.isArray(rows) ? rows : []; // an object for statements without rows, whatever the type says
}

/** The release of the machine's own packages. */
export const mariadbInstalled: Release = {
  missing: () => false,
  install: installDatabase,
  part: databasePart,
  startReplication,
  clockOffset: (seconds) => clockOffset(seconds, '/usr/lib', 'LD_PRELOAD'),
};

function tree(): string {
  return join(cacheFolder(), 'debian-unstable', 'mariadb');
}

export const mariadbUnstable: Release = {
  missing: () =>
    existsSync(join(tree(), 'bin', 'mariadbd'))
      ? false
      : 'no newer MariaDB on this machine: deploy/lab/setup.sh says why',
  install: (lab, name) => {
    cpSync(join(tree(), 'data'), join(lab.dir, name), { recursive: true });
    const users = ['SET SESSION sql_log_bin = 0;', ...userStatements(lab)];
    fileIn(lab, `${name}-users.sql`, `${users.join('\n')}\n`);
    return Promise.resolve();
  },
  part: (lab, name, options) => {
    const share = join(tree(), 'usr', 'share', 'mariadb');
    return databasePart(lab, name, options, {
      path: join(tree(), 'bin', 'mariadbd'),
      settings: {
        basedir: join(tree(), 'usr'),
        'lc-messages-dir': share,
        'character-sets-dir': join(share, 'charsets'),
        'plugin-dir': join(tree(), 'usr', 'lib', 'mysql', 'plugin'),
        'init-file': join(lab.dir, `${name}-users.sql`),
        'innodb-use-native-aio': 'OFF', // the kernel's limit of requests is for the whole machine
      },
    });
  },
  startReplication,
  clockOffset: (seconds) =>
    clockOffset(seconds, join(cacheFolder(), 'debian-unstable', 'faketime', 'usr', 'lib'), 'LAB_PRELOAD'),
};
