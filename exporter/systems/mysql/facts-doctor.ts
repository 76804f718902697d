// What `doctor` says of a MySQL or MariaDB server.
import type { Call } from '../../collector.ts';
import { clockFindingOf, type Finding } from '../../findings.ts';
import { messageOf, TargetError } from '../../runtime/errors.ts';
import { known, mapKnown, unknown, type Known } from '../../runtime/known.ts';
import type { Place } from '../../system.ts';
import type { MysqlClient } from './client.ts';
import { positionStatement } from './facts-binlogs.ts';
import { cdcFindings, defaultNeeds, readBinlogFilters, readReaderGrants, type CdcNeeds } from './facts-cdc.ts';
import {
  defaultAsking,
  grantFor,
  holds,
  needsOf,
  readOwnGrants,
  type Asking,
  type Grants,
  type Need,
} from './facts-grants.ts';
import { readReplication, statusStatement, type ReplicaChannel } from './facts-replication.ts';
import { isSupported, readClockOffset, readServer, type ClockOffset } from './facts-server.ts';
import { threadTable } from './facts-threads.ts';

/**
 * Version, statements, grants, clock, and the settings that readers of changes need. What cannot be known is a finding
 * that says why.
 *
 * @throws TargetError when the server stops answering
 */
export async function examineMysql(
  client: MysqlClient,
  call: Call,
  needs: CdcNeeds = defaultNeeds,
  place?: Place,
  asking: Asking = defaultAsking,
): Promise<readonly Finding[]> {
  const server = await readServer(client, call);
  const grants = await readOwnGrants(client, call);
  const channels = await readChannels(client, call);
  const source = {
    server,
    client,
    filters: await readBinlogFilters(client, call),
    isReplica: mapKnown(channels, (found) => found.length > 0),
    grants: await readReaderGrants(client, needs.user, call),
  };
  return [
    versionFinding(client, server.versionComment),
    ...statementFindings(client),
    await encryption(client, call),
    ...replicationFindings(channels),
    ...grantFindings(client, grants, asking),
    clockFinding(await readClockOffset(client, call)),
    ...cdcFindings(source, needs).map((finding) => placed(finding, place, asking.collectors.has('cdc_ready'))),
  ];
}

/**
 * A setting that readers need is a fault where there are readers. The pipelines say where; without them, everywhere. Who
 * does not have it watched says that none reads from this source.
 */
function placed(finding: Finding, place: Place | undefined, isWatched: boolean): Finding {
  if (place === undefined || finding.ok !== false) return finding;
  if (place.readers.length > 0) return { ...finding, text: `${finding.text} (read by ${place.readers.join(', ')})` };
  if (place.isSource && isWatched) return finding;
  return { ...finding, ok: 'unknown', text: `${finding.text}; nobody in this inventory reads its changes` };
}

async function readChannels(client: MysqlClient, call: Call): Promise<Known<readonly ReplicaChannel[]>> {
  try {
    return known(await readReplication(client, call), call.clock.wallMs());
  } catch (error) {
    if (!(error instanceof TargetError) || error.code !== 'denied') throw error;
    return unknown(messageOf(error));
  }
}

/** One for each source that it replicates from; a server that is no replica has none. */
function replicationFindings(channels: Known<readonly ReplicaChannel[]>): readonly Finding[] {
  const check = 'replication';
  if (!channels.known) return [{ check, ok: 'unknown', text: channels.why }];
  return channels.value.map(({ channelName, connectionName, state, why, sourceHost, sourcePort }) => {
    const name = channelName === '' ? connectionName : channelName;
    const from = `from ${sourceHost}:${sourcePort}${name === '' ? '' : ` (${name})`}`;
    return { check, ok: state === 'running', text: `${from}: ${state}: ${why}` };
  });
}

function versionFinding(client: MysqlClient, comment: string): Finding {
  const name = client.flavour === 'mariadb' ? 'MariaDB' : 'MySQL';
  const text = `${name} ${client.versionText} (${comment}), as ${client.account}`;
  if (isSupported(client)) return { check: 'version', ok: true, text };
  const fix = 'MySQL 5.7 and MariaDB 10.3 are the oldest that are known here';
  return { check: 'version', ok: false, text: `${text}: older than what this program was made for`, fix };
}

function statementFindings(client: MysqlClient): readonly Finding[] {
  const chosen = [
    ['replica status', statusStatement(client)],
    ['binary logs', client.logBin ? `${positionStatement(client)}, SHOW BINARY LOGS` : 'none: log_bin is OFF'],
    ['threads', threadTable(client)],
  ] as const;
  const text = chosen.map(([what, statement]) => `${what}: ${statement}`).join('; ');
  return [{ check: 'statements', ok: true, text }];
}

async function encryption(client: MysqlClient, call: Call): Promise<Finding> {
  const check = 'encryption';
  const [row] = await client.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'", [], call);
  const cipher = row?.['Value'];
  if (typeof cipher !== 'string') return { check, ok: 'unknown', text: 'the server does not tell' };
  if (cipher !== '') return { check, ok: true, text: `encrypted with ${cipher}` };
  if (client.at.startsWith('/')) return { check, ok: true, text: 'a unix socket' };
  if (/^(127\.|localhost:|::1:)/.test(client.at))
    return { check, ok: true, text: 'not encrypted, on the loopback interface' };
  return { check, ok: false, text: 'the connection is not encrypted', fix: 'tls: {ca_file: …} at this target' };
}

/** One finding per privilege and place, with the collectors that are silent without it. */
export function grantFindings(client: MysqlClient, grants: Grants, asking = defaultAsking): readonly Finding[] {
  const needs = new Map<string, Need[]>();
  for (const need of needsOf(client, asking)) {
    const key = [need.privilege, need.database, need.table].filter((part) => part !== undefined).join(' ');
    needs.set(key, [...(needs.get(key) ?? []), need]);
  }
  return [...needs].flatMap(([key, of]): Finding[] => {
    const [first] = of;
    if (first === undefined) return [];
    const { privilege, database, table } = first;
    const check = `grant_${key.toLowerCase().replaceAll(' ', '_')}`;
    const gives = of.map((n) => `${n.gives} (${n.collector})`).join(', ');
    if (holds(grants, privilege, database, table)) return [{ check, ok: true, text: `${key}: ${gives}` }];
    const on = database === undefined ? '*.*' : `${database}.${table ?? '*'}`;
    const fix = grantFor([privilege], client.account, on);
    return [{ check, ok: false, text: `${key} is missing, and not seen without it: ${gives}`, fix }];
  });
}

export function clockFinding(offset: ClockOffset): Finding {
  return clockFindingOf('clock', "the server's clock", offset);
}
