// Everything that a restart of Maxwell is decided on, read once. Nothing is thrown: what cannot be read is unknown.
import type { Call } from '../../../exporter/collector.ts';
import { known, type Known } from '../../../exporter/runtime/known.ts';
import type { MaxwellClient } from '../../../exporter/systems/maxwell/client.ts';
import { readBootstraps, type MaxwellBootstrap } from '../../../exporter/systems/maxwell/facts-bootstrap.ts';
import { judgeTables, readMaxwellTables, tablesOf } from '../../../exporter/systems/maxwell/facts-evidence.ts';
import type { MaxwellHealth } from '../../../exporter/systems/maxwell/facts-health.ts';
import { readMaxwellHttp } from '../../../exporter/systems/maxwell/facts-http.ts';
import type { MaxwellPosition, NoMaxwellPosition } from '../../../exporter/systems/maxwell/facts-position.ts';
import type { MysqlClient, Row } from '../../../exporter/systems/mysql/client.ts';
import type { Binlogs } from '../../../exporter/systems/mysql/facts-binlogs.ts';
import { readDumpThreads, type DumpThread } from '../../../exporter/systems/mysql/facts-threads.ts';
import type { ServiceLog, ServiceState } from '../../supervisors/supervisor.ts';
import { attempt, type World } from '../../world.ts';
import { readKafka, readService, type BusOffsets } from '../service/facts.ts';

export interface SourceServer {
  readonly serverId: number;
  /** MySQL only. */
  readonly serverUuid: string | undefined;
  readonly version: string;
  readonly uptimeSeconds: number;
  /** `gtid_executed`, or MariaDB's `gtid_binlog_pos`. */
  readonly gtid: string;
}

/** The rows as they are, for the copy with its undo. */
export interface RawRows {
  readonly positions: readonly Row[];
  readonly heartbeats: readonly Row[];
  /** Not complete. */
  readonly bootstrap: readonly Row[];
  /** MAX(id) of `schemas`. */
  readonly schemaId: string | undefined;
}

export interface MaxwellFacts {
  readonly schema: string;
  readonly clientId: string;
  readonly service: Known<ServiceState>;
  /** Of the running incarnation, else of the last one that ended. */
  readonly log: Known<ServiceLog>;
  readonly health: MaxwellHealth;
  readonly position: Known<MaxwellPosition | NoMaxwellPosition>;
  readonly binlogs: Known<Binlogs>;
  readonly source: Known<SourceServer>;
  /** Of Maxwell's own MySQL user. */
  readonly dumpThreads: Known<readonly DumpThread[]>;
  readonly bootstraps: Known<readonly MaxwellBootstrap[]>;
  readonly rows: Known<RawRows>;
  readonly kafka: BusOffsets;
  /** Since its start. undefined: its HTTP server is not configured. */
  readonly failedMessages: Known<number> | undefined;
}

export async function readFacts(
  target: string,
  mysqlUser: string,
  world: World,
  signal: AbortSignal,
): Promise<MaxwellFacts> {
  const [service, kafka, fromMysql] = await Promise.all([
    readService(target, world, signal),
    readKafka(target, world, signal),
    world.withMaxwell(target, signal, (client, call) => readFromClient(client, mysqlUser, world, call)),
  ]);
  const { state, log } = service;
  const { tables, ...rest } = fromMysql;
  const process = state.known
    ? known(state.value.running === null ? ('gone' as const) : ('alive' as const), state.observedAtMs)
    : state;
  const { health, mark } = judgeTables(process, tables, world.marks.get(target), { signal, clock: world.clock });
  if (mark === undefined) world.marks.delete(target);
  else world.marks.set(target, mark);
  return { ...rest, service: state, log, kafka, health, position: tables.position, binlogs: tables.binlogs };
}

async function readFromClient(client: MaxwellClient, mysqlUser: string, world: World, call: Call) {
  const { clock } = world;
  const { schema, clientId } = client.address;
  const tables = await readMaxwellTables(client, call);
  const source = await attempt(clock, async () => readSource(await client.source(call), call));
  const dumpThreads = await attempt(clock, async () =>
    (await readDumpThreads(await client.source(call), call)).filter((t) => t.user === mysqlUser),
  );
  const bootstraps = await attempt(clock, () => readOpenBootstraps(client, call));
  const rows = await attempt(clock, async () => readRows(await client.mysql(call), schema, clientId, call));
  const http = client.http;
  const failedMessages =
    http === undefined
      ? undefined
      : await attempt(clock, () => readMaxwellHttp(http, client.address.http?.prefix, call)).then((found) =>
          found.known ? found.value.messagesFailed : found,
        );
  return { schema, clientId, tables, source, dumpThreads, bootstraps, rows, failedMessages };
}

export async function readOpenBootstraps(client: MaxwellClient, call: Call): Promise<readonly MaxwellBootstrap[]> {
  return readBootstraps(await client.mysql(call), await tablesOf(client, call), call);
}

async function readSource(mysql: MysqlClient, call: Call): Promise<SourceServer> {
  const isMariadb = mysql.flavour === 'mariadb';
  const [row] = await mysql.query(
    `SELECT @@GLOBAL.server_id AS server_id, ${isMariadb ? 'NULL' : '@@GLOBAL.server_uuid'} AS server_uuid,
            ${isMariadb ? '@@GLOBAL.gtid_binlog_pos' : '@@GLOBAL.gtid_executed'} AS gtid`,
    [],
    call,
  );
  const [uptime] = await mysql.query("SHOW GLOBAL STATUS LIKE 'Uptime'", [], call);
  const { server_uuid: uuid, gtid } = row ?? {};
  return {
    serverId: Number(row?.['server_id']),
    serverUuid: typeof uuid === 'string' ? uuid : undefined,
    version: mysql.versionText,
    uptimeSeconds: Number(uptime?.['Value']),
    gtid: typeof gtid === 'string' ? gtid : '',
  };
}

async function readRows(mysql: MysqlClient, schema: string, clientId: string, call: Call): Promise<RawRows> {
  const of = (table: string): string => `\`${schema}\`.\`${table}\``; // the address allows no backtick in it
  const ask = (table: string, and: string): Promise<readonly Row[]> =>
    mysql.query(`SELECT * FROM ${of(table)} WHERE client_id = ?${and} LIMIT 1000`, [clientId], call);
  const [newest] = await mysql.query(`SELECT MAX(id) AS id FROM ${of('schemas')}`, [], call);
  const id = newest?.['id'];
  return {
    positions: await ask('positions', ''),
    heartbeats: await ask('heartbeats', ''),
    bootstrap: await ask('bootstrap', ' AND is_complete = 0'),
    schemaId: typeof id === 'string' || typeof id === 'number' ? String(id) : undefined,
  };
}
