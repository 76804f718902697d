// Gathers what judgeMaxwell() judges. What cannot be read is unknown with its reason; nothing hides anything else.
import type { Call } from '../../collector.ts';
import { messageOf } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { MysqlClient } from '../mysql/client.ts';
import { readBinlogs, type Binlogs } from '../mysql/facts-binlogs.ts';
import { boundGtidText } from '../mysql/facts-gtid-sets.ts';
import { parseMariadbGtids } from '../mysql/facts-values.ts';
import type { MaxwellClient } from './client.ts';
import {
  judgeMaxwell,
  watchPosition,
  type MaxwellEvidence,
  type MaxwellHealth,
  type PositionMark,
} from './facts-health.ts';
import { readMaxwellPosition, type MaxwellTables } from './facts-position.ts';

export interface MaxwellTablesEvidence extends Pick<MaxwellEvidence, 'position' | 'binlogs' | 'gtidsPurged'> {
  /** The first error, for who has to report that something could not be read. */
  readonly failure: Error | undefined;
}

/** In this order, position before binary logs: see MaxwellEvidence. */
export async function readMaxwellTables(client: MaxwellClient, call: Call): Promise<MaxwellTablesEvidence> {
  let failure: Error | undefined;
  const attempt = async <T>(read: () => Promise<T>): Promise<Known<T>> => {
    try {
      return known(await read(), call.clock.wallMs());
    } catch (error) {
      failure ??= error instanceof Error ? error : new Error(messageOf(error), { cause: error });
      return unknown(messageOf(error));
    }
  };
  const position = await attempt(async () =>
    readMaxwellPosition(await client.mysql(call), await tablesOf(client, call), call),
  );
  const binlogs = await attempt(async () => readBinlogs(await client.source(call), call));
  const gtidSet = position.known && position.value.found ? position.value : undefined;
  const gtidsPurged =
    gtidSet?.serverId === 0 && gtidSet.gtidSet !== undefined
      ? await attempt(async () => readGtidsPurged(await client.source(call), gtidSet.gtidSet ?? '', binlogs, call))
      : unknown('its row holds no GTID set');
  return {
    position,
    binlogs,
    gtidsPurged: gtidsPurged.known ? flatten(gtidsPurged.value) : gtidsPurged,
    failure,
  };
}

/** All of it, for one look: the remediator's guards and verifications. `mark` is that of the look before. */
export async function readMaxwellHealth(
  client: MaxwellClient,
  mark: PositionMark | undefined,
  call: Call,
): Promise<{
  readonly health: MaxwellHealth;
  readonly mark: PositionMark | undefined;
  readonly failure: Error | undefined;
}> {
  const [process, tables] = await Promise.all([client.process(call), readMaxwellTables(client, call)]);
  return { ...judgeTables(process, tables, mark, call), failure: tables.failure };
}

export function judgeTables(
  process: MaxwellEvidence['process'],
  tables: Omit<MaxwellTablesEvidence, 'failure'>,
  before: PositionMark | undefined,
  call: Call,
): { readonly health: MaxwellHealth; readonly mark: PositionMark | undefined } {
  const { position } = tables;
  // What comes after a process that is gone is another one: it has its own time to begin.
  if (process.known && process.value === 'gone') {
    const movement = unknown('its process is gone');
    return { health: judgeMaxwell({ ...tables, process, movement }), mark: undefined };
  }
  const { mark, movement } =
    position.known && position.value.found
      ? watchPosition(position.value, before, call.clock.monoMs())
      : { mark: before, movement: undefined };
  const watched = movement === undefined ? unknown('there is no position') : known(movement, call.clock.wallMs());
  return { health: judgeMaxwell({ ...tables, process, movement: watched }), mark };
}

/** The server id under which Maxwell keeps its position is that of the server whose binary log it reads. */
export async function tablesOf(client: MaxwellClient, call: Call): Promise<MaxwellTables> {
  const { schema, clientId, mysql, source } = client.address;
  if (source === mysql) return { schema, clientId };
  const server = await client.source(call);
  const [row] = await server.query('SELECT @@GLOBAL.server_id AS server_id', [], call);
  return { schema, clientId, sourceServerId: Number(row?.['server_id']) };
}

/**
 * MySQL keeps a record of what was purged. MariaDB does not, but tells which GTIDs lie before its oldest file:
 * https://mariadb.com/kb/en/binlog_gtid_pos/
 */
async function readGtidsPurged(
  source: MysqlClient,
  gtidSet: string,
  binlogs: Known<Binlogs>,
  call: Call,
): Promise<Known<boolean> | string> {
  if (source.flavour === 'mysql') {
    const [row] = await source.query("SELECT GTID_SUBTRACT(@@GLOBAL.gtid_purged, ?) <> '' AS lost", [gtidSet], call);
    return known(Number(row?.['lost']) === 1, call.clock.wallMs());
  }
  if (!binlogs.known) return binlogs.why;
  const [oldest] = binlogs.value.files;
  if (oldest === undefined) return 'the source writes no binary log';
  const [row] = await source.query('SELECT BINLOG_GTID_POS(?, 4) AS before_oldest', [oldest.name], call);
  const before = row?.['before_oldest'];
  if (typeof before !== 'string') return `${oldest.name} is no longer on the source`; // purged between the two statements
  const lost = isBehind(gtidSet, boundGtidText(before, `BINLOG_GTID_POS() of ${oldest.name}`));
  return lost === undefined
    ? 'its GTID set names other domains than the binary log of the source'
    : known(lost, call.clock.wallMs());
}

/**
 * Whether a position of MariaDB lies before another one in a domain of it; undefined when it lacks one of its domains: a
 * reader without a position in a domain may have been set up before that domain was.
 */
export function isBehind(gtidSet: string, other: string): boolean | undefined {
  const own = new Map(parseMariadbGtids(gtidSet).map((gtid) => [gtid.domainId, gtid.sequence]));
  const wanted = parseMariadbGtids(other);
  if (wanted.some(({ domainId, sequence }) => (own.get(domainId) ?? Infinity) < sequence)) return true;
  return wanted.every(({ domainId }) => own.has(domainId)) ? false : undefined;
}

function flatten(found: Known<boolean> | string): Known<boolean> {
  return typeof found === 'string' ? unknown(found) : found;
}
