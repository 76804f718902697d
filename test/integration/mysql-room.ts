// One lab per file for the tests of the MySQL system: servers in odd time zones, one of them with a wrong clock where that
// is to be had, and a client in another time zone.
import { readFileSync } from 'node:fs';
import { after, before } from 'node:test';
import { createConnection, type Connection } from 'mysql2/promise';
import { startDatabases, type DatabaseLab } from '../../deploy/lab/databases.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { databasePorts, type DatabaseName } from '../../deploy/lab/release.ts';
import type { Call } from '../../exporter/collector.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { within } from '../../exporter/runtime/deadline.ts';
import { openMysql, type MysqlClient } from '../../exporter/systems/mysql/client.ts';
import { readReplication, type ReplicaChannel } from '../../exporter/systems/mysql/facts-replication.ts';
import type { Flavour } from './mysql-flavours.ts';

export const clockOffsetSeconds = 3600;

export interface Room {
  readonly flavour: Flavour;
  readonly lab: () => DatabaseLab;
  /** Whether the replica's clock is wrong by clockOffsetSeconds. */
  readonly isClockWrong: boolean;
  /** For `skip`: why these tests cannot run on this machine. */
  readonly missing: string | false;
  readonly open: (name: DatabaseName, user?: string, given?: Call) => Promise<MysqlClient>;
  /** As the lab's own user, on a connection that stays. */
  readonly connection: (name: DatabaseName) => Promise<Connection>;
  /** Not in the binary log: a replica of strict GTIDs stops at transactions of its own. */
  readonly unlogged: (name: DatabaseName, statement: string) => Promise<void>;
  /** The first channel of that name once it is so. */
  readonly channelWhen: (
    client: MysqlClient,
    what: string,
    is: (channel: ReplicaChannel) => boolean,
    channel?: string,
  ) => Promise<ReplicaChannel>;
}

export function call(ms = 5000): Call {
  return { signal: within(ms), clock: systemClock };
}

export function nameOf(channel: ReplicaChannel): string {
  return channel.channelName === '' ? channel.connectionName : channel.channelName;
}

export function insertOrder(id: number, customer: string): string {
  return `INSERT INTO shop.orders (id, customer, state, total) VALUES (${id}, '${customer}', 'new', 1)`;
}

export const isRunning = (c: ReplicaChannel): boolean => c.state === 'running' && c.lagSeconds.known;

export function openRoom(flavour: Flavour): Room {
  const { release } = flavour;
  const missing = release.missing();
  const wrongClock = release.clockOffset(clockOffsetSeconds);
  let started: DatabaseLab | undefined;
  const lab = (): DatabaseLab => {
    if (started === undefined) throw new Error('the lab is not started');
    return started;
  };
  before(async () => {
    if (missing !== false) return;
    process.env['TZ'] = 'Australia/Lord_Howe'; // of this process, the client: half hours and summer time
    const settings = { 'performance-schema': 'ON' };
    started = await startDatabases(release, {
      databases: ['source', 'replica', 'source2'],
      options: {
        source: { settings, env: { TZ: 'Asia/Kolkata' } },
        replica: {
          settings: { ...settings, 'default-time-zone': '-07:00' },
          env: { ...wrongClock, TZ: 'America/St_Johns' },
        },
      },
    });
    const onSource = (statement: string): Promise<unknown> => lab().sql('source', statement);
    // as pt-heartbeat makes it, with a row that it has written by now
    await onSource('CREATE DATABASE heartbeat');
    await onSource('CREATE TABLE heartbeat.heartbeat (ts VARCHAR(26) NOT NULL, server_id INT UNSIGNED PRIMARY KEY)');
    await onSource('INSERT INTO heartbeat.heartbeat VALUES (UTC_TIMESTAMP(6), 1)');
    for (const grant of optionalGrants(flavour)) await onSource(`${grant} TO 'exporter'@'%'`);
    await waitFor(
      async (signal) => {
        const [given, arrived] = [await grantsOn(lab(), 'source', signal), await grantsOn(lab(), 'replica', signal)];
        return given.every((grant) => arrived.includes(grant));
      },
      { what: 'the table and the grants to be replicated' },
    );
  });
  after(async () => started?.stop());

  const connection = (name: DatabaseName): Promise<Connection> =>
    createConnection({
      host: lab().address,
      port: databasePorts[name],
      user: 'lab',
      password: lab().secret('lab'),
      supportBigNumbers: true,
    });
  return {
    flavour,
    lab,
    isClockWrong: wrongClock !== undefined,
    missing,
    open: (name, user = 'exporter', given = call()) => {
      const auth = { user, password_file: lab().secretFile(user) };
      return openMysql({ address: { host: lab().address, port: databasePorts[name] }, auth, tls: undefined }, given);
    },
    connection,
    unlogged: async (name, statement) => {
      const own = await connection(name);
      await own.query('SET sql_log_bin = 0');
      await own.query(statement);
      await own.end();
    },
    channelWhen: (client, what, is, channel = '') => {
      let last = '';
      return waitFor(
        async (signal) => {
          const channels = await readReplication(client, { signal, clock: systemClock });
          const found = channels.find((c) => nameOf(c) === channel);
          last = JSON.stringify(found && { ...found, columns: undefined });
          return found !== undefined && is(found) && found;
        },
        { what, detail: () => last },
      );
    },
  };
}

async function grantsOn(lab: DatabaseLab, name: DatabaseName, signal: AbortSignal): Promise<readonly string[]> {
  const rows = await lab.sql(name, "SHOW GRANTS FOR 'exporter'@'%'", signal);
  return rows.flatMap((row) => Object.values(row).map(String));
}

/** What the shipped grants say about collectors that are off by default. */
function optionalGrants(flavour: Flavour): readonly string[] {
  const file = new URL(`../../deploy/sql/${flavour.shippedGrants('exporter')}`, import.meta.url);
  const lines = readFileSync(file, 'utf8').matchAll(/^-- only with the collector .+?: (GRANT .+?) TO /gm);
  return [...lines].map(([, grant = '']) => grant);
}
