import { defineSystem } from '../../system.ts';
import { cdcServiceAddress, debeziumAddress } from './address.ts';
import type { CdcClient, CdcServiceClient } from './client.ts';
import { componentsCollector, ddlCollector, offsetsCollector, statusCollector } from './collector-api.ts';
import { pageCollectorOf } from './collector-page.ts';
import { stateCollectorOf } from './collector-state.ts';

const lag = { cdc_service_lag_seconds: 'age of the oldest change that it has not read, in seconds' } as const;

const sourceOf = (source: string | undefined): readonly { path: string; target: string; kind: string }[] =>
  source === undefined ? [] : [{ path: 'source', target: source, kind: 'mysql' }];

export const cdcService = defineSystem({
  kind: 'cdc-service',
  help: 'A CDC service with an HTTP API, a Prometheus page and a table of offsets.',
  address: cdcServiceAddress,
  thresholds: { ...lag, cdc_service_error_rate: 'share of changes that failed (0 to 1)' },
  references: ({ source, offsets }) => [
    ...sourceOf(source),
    ...(offsets === undefined || offsets.mysql === source
      ? []
      : [{ path: 'offsets.mysql', target: offsets.mysql, kind: 'mysql' }]),
  ],
  open: async (opening) => (await import('./client.ts')).openCdcService(opening),
  examine: async (client, call) => (await import('./facts-doctor.ts')).examineCdcService(client, call),
  collectors: [
    stateCollectorOf<CdcServiceClient>(),
    pageCollectorOf<CdcServiceClient>('cdc_', "What the service's own Prometheus page has."),
    statusCollector,
    componentsCollector,
    ddlCollector,
    offsetsCollector,
  ],
});

export const debezium = defineSystem({
  kind: 'debezium',
  help: 'A Debezium connector for MySQL or MariaDB, seen by the page of jmx_exporter.',
  address: debeziumAddress,
  thresholds: lag,
  references: ({ source }) => sourceOf(source),
  open: async (opening) => (await import('./client.ts')).openDebezium(opening),
  examine: async (client, call) => (await import('./facts-doctor.ts')).examineDebezium(client, call),
  collectors: [
    stateCollectorOf<CdcClient>(),
    pageCollectorOf<CdcClient>('debezium_', 'What the page of Debezium has.'),
  ],
});
