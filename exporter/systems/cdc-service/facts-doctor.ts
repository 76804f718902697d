// What `doctor` says of a CDC process: what can be read of it, and what is absent because of what cannot.
import type { Call } from '../../collector.ts';
import type { Finding } from '../../findings.ts';
import { messageOf } from '../../runtime/errors.ts';
import type { CdcClient, CdcServiceClient } from './client.ts';
import { componentsOf, ddlOf, statusOf } from './facts-api.ts';
import { endpoints, readEndpoint, type Endpoint } from './facts-endpoint.ts';
import { judgeCdc, type CdcReading } from './facts-health.ts';
import { readOffsets } from './facts-offsets.ts';

export async function examineDebezium(client: CdcClient, call: Call): Promise<readonly Finding[]> {
  const { reading } = await client.look(call);
  const position: Finding = reading.progress.known
    ? { check: 'debezium_position', ok: true, text: `it tells its position in the binary log: ${reading.progress.value}` }
    : {
        check: 'debezium_position',
        ok: 'unknown',
        text: `${reading.progress.why}: a connector that stands still is not told from an idle one`,
        fix: 'let the rules of jmx_exporter export BinlogPosition of context=streaming',
      };
  return [...overall(client, reading), position];
} // prettier-ignore

export async function examineCdcService(client: CdcServiceClient, call: Call): Promise<readonly Finding[]> {
  const { reading } = await client.look(call);
  const get = <T>(path: string, parse: (text: string) => T, also: readonly number[] = []): Promise<Endpoint<T>> =>
    readEndpoint(client.http, path, call, ({ text }) => parse(text), also);
  const nowMs = call.clock.wallMs();
  return [
    ...overall(client, reading),
    await endpoint('metrics', 'the lag, the queue and its own series', client.page(call)),
    await endpoint(
      'status',
      'rates and version',
      get(endpoints.status, (text) => statusOf(text, nowMs)),
    ),
    await endpoint('components', 'the states of its parts', get(endpoints.components, componentsOf, [503])),
    await endpoint(
      'ddl_alerts',
      'schema changes that block it',
      get(endpoints.ddlAlerts, (t) => ddlOf(t, 'alerts')),
    ),
    await endpoint(
      'ddl_history',
      'its schema changes',
      get(endpoints.ddlHistory, (text) => ddlOf(text, 'history')),
    ),
    await offsetsOf(client, call),
  ];
}

function overall(client: CdcClient, reading: CdcReading): readonly Finding[] {
  const { state, why, lagSeconds } = judgeCdc(reading, { isMoving: false, aheadSeconds: 0 }, 0);
  const ok = state === 'running' ? true : state === 'unknown' ? ('unknown' as const) : false;
  return [
    { check: 'cdc_service_state', ok, text: `${state}: ${why}` },
    lagSeconds.known
      ? { check: 'cdc_service_lag', ok: true, text: `it says that it is ${lagSeconds.value} s behind` }
      : { check: 'cdc_service_lag', ok: 'unknown', text: lagSeconds.why },
    client.source === undefined
      ? {
          check: 'cdc_service_source',
          ok: 'unknown',
          text: 'its source is not in the inventory: whether it reads what that writes cannot be told',
          fix: 'set address.source to the mysql target whose binary log it reads',
        }
      : { check: 'cdc_service_source', ok: true, text: `its reading is held against the binary log of ${client.source}` },
  ];
} // prettier-ignore

async function endpoint(name: string, what: string, asked: Promise<Endpoint<unknown>>): Promise<Finding> {
  const check = `cdc_service_${name}`;
  try {
    const found = await asked;
    if (found.state === 'ok') return { check, ok: true, text: `${what} can be read` };
    return { check, ok: 'unknown', text: `${what} are not served: ${found.why}` };
  } catch (error) {
    return { check, ok: false, text: `${what} cannot be read: ${messageOf(error)}` };
  }
}

async function offsetsOf(client: CdcServiceClient, call: Call): Promise<Finding> {
  const check = 'cdc_service_offsets';
  const { offsets } = client.address;
  if (offsets === undefined) return { check, ok: 'unknown', text: 'offsets is not in the inventory' };
  try {
    const { rows, ageSeconds } = await readOffsets(await client.offsetsDb(call), offsets, call);
    if (!ageSeconds.known) return { check, ok: 'unknown', text: `${rows} rows, but ${ageSeconds.why}` };
    return { check, ok: true, text: `${rows} rows, the newest ${Math.round(ageSeconds.value)} s old` };
  } catch (error) {
    return { check, ok: false, text: messageOf(error) };
  }
}
