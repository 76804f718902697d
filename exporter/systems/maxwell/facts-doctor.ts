// What `doctor` says of a Maxwell: how it is and why, and by which ways it is seen.
import { access, constants } from 'node:fs/promises';
import type { Call } from '../../collector.ts';
import type { Finding } from '../../findings.ts';
import { messageOf } from '../../runtime/errors.ts';
import { examineJvm } from '../jvm/facts-doctor.ts';
import type { MaxwellClient } from './client.ts';
import { readMaxwellHealth, tablesOf } from './facts-evidence.ts';
import type { MaxwellHealth, PurgeHeadroom } from './facts-health.ts';
import { readMaxwellHttp } from './facts-http.ts';
import { readRows } from './facts-rows.ts';

export async function examineMaxwell(client: MaxwellClient, call: Call): Promise<readonly Finding[]> {
  const { health } = await readMaxwellHealth(client, undefined, call);
  return [
    stateOf(health),
    ...(health.purge.known ? [purgeOf(health.purge.value)] : []),
    ...(await rowsOf(client, call)),
    await httpOf(client, call),
    await fileOf('maxwell_log', 'log_file', client.address.logFile, 'what its log says is not counted'),
    ...(client.address.logFile !== undefined && client.address.logStateFile === undefined
      ? [
          {
            check: 'maxwell_log_state',
            ok: 'unknown' as const,
            text: 'lines of its log that come while the exporter is restarted are not counted',
            fix: 'set log_state_file',
          },
        ]
      : []),
    await fileOf('maxwell_record', 'witness_file', client.address.witnessFile, 'how it ended last is not known'),
    ...(client.jvmSources.length === 0 ? [] : await examineJvm({ looks: client.jvmLooks }, call)),
  ];
}

function stateOf({ state, why }: MaxwellHealth): Finding {
  const ok = state === 'running' ? true : state === 'unknown' ? 'unknown' : false;
  return { check: 'maxwell_state', ok, text: `${state}: ${why}` };
}

function purgeOf({ lost, why }: PurgeHeadroom): Finding {
  if (!lost) return { check: 'maxwell_position', ok: true, text: why };
  const fix = 'a restart does not help: decide from where it goes on, and how its consumers get what is missing';
  return { check: 'maxwell_position', ok: false, text: why, fix };
}

async function rowsOf(client: MaxwellClient, call: Call): Promise<readonly Finding[]> {
  const check = 'maxwell_position_rows';
  try {
    const { kinds, otherClients } = await readRows(await client.mysql(call), await tablesOf(client, call), call);
    const left = kinds.former_server + kinds.other_mode;
    const others = otherClients === 0 ? '' : `, and ${otherClients} other client_ids beside it`;
    const text = `${kinds.current} row in use, ${left} left over${others}`;
    return [{ check, ok: kinds.current > 0 ? true : 'unknown', text }];
  } catch (error) {
    return [{ check, ok: 'unknown', text: messageOf(error) }];
  }
}

async function httpOf({ http, address }: MaxwellClient, call: Call): Promise<Finding> {
  const check = 'maxwell_http';
  const fix = 'set metrics_type=http in Maxwell, http_bind_address so that it is reached, and http.url here';
  if (http === undefined) return { check, ok: 'unknown', text: 'messages that it fails to deliver are not seen', fix };
  try {
    const { messagesFailed } = await readMaxwellHttp(http, address.http?.prefix, call);
    if (!messagesFailed.known) return { check, ok: 'unknown', text: messagesFailed.why, fix: 'set http.prefix' };
    return { check, ok: true, text: `${http.url} gives its metrics` };
  } catch (error) {
    return { check, ok: false, text: messageOf(error), fix };
  }
}

async function fileOf(check: string, field: string, file: string | undefined, without: string): Promise<Finding> {
  if (file === undefined) return { check, ok: 'unknown', text: without, fix: `set ${field}` };
  try {
    await access(file, constants.R_OK);
    return { check, ok: true, text: `${file} can be read` };
  } catch (error) {
    return { check, ok: false, text: messageOf(error), fix: `let the user of this program read ${file}` };
  }
}
