import { gauge } from '../../families.ts';

const absent = { state: 'cdc_service_state' } as const;
const ofEndpoint = { state: 'cdc_service_endpoint_state' } as const;

/** Shared by all collectors: each tells about the endpoints that it reads. */
const endpointState = gauge(
  'cdc_service_endpoint_state',
  'What became of reading each part of what it serves: one series per state, 1 for the present one. missing: the service has none, which is no error.',
  ['part', 'state'],
);

export const stateFamilies = {
  state: gauge(
    'cdc_service_state',
    'State of the CDC process: one series per state, 1 for the present one. stalled: it lives and does not work.',
    ['state'],
  ),
  layer: gauge(
    'cdc_service_layer_state',
    'What is seen of each layer of its health (process, port, function, data_flow): one series per state, 1 for the present one.',
    ['layer', 'state'],
  ),
  lag: gauge(
    'cdc_service_lag_seconds',
    'Age of the oldest change that it has not read. Absent while what it says of it is old.',
    [],
    absent,
  ),
  lagAtLeast: gauge(
    'cdc_service_lag_at_least_seconds',
    'Time for which its source has been ahead of it while it read nothing.',
    [],
    absent,
  ),
  queue: gauge('cdc_service_queue_records', 'Records that it has read and not passed on.', [], absent),
} as const;

export const pageFamilies = {
  endpointState,
  dropped: gauge(
    'cdc_service_page_samples_dropped',
    'Samples of its Prometheus page that were not passed on in this sweep, by reason.',
    ['reason'],
    ofEndpoint,
  ),
} as const;

export const statusFamilies = {
  endpointState,
  ingest: gauge('cdc_service_ingest_rate', 'Changes that it takes in per second, as its /status says.', [], ofEndpoint),
  apply: gauge('cdc_service_apply_rate', 'Changes that it applies per second, as its /status says.', [], ofEndpoint),
  errors: gauge('cdc_service_error_rate', 'Share of changes that failed, as its /status says.', [], ofEndpoint),
  info: gauge('cdc_service_info', 'Version of the CDC service: 1.', ['version'], ofEndpoint),
} as const;

export const componentFamilies = {
  endpointState,
  component: gauge(
    'cdc_service_component_state',
    'State of each part of the service as it says: one series per state, 1 for the present one.',
    ['component', 'state'],
    ofEndpoint,
  ),
} as const;

export const ddlFamilies = {
  endpointState,
  alerts: gauge('cdc_service_ddl_alerts', 'Schema changes that block it or wait for a person.', [], ofEndpoint),
  alertStatements: gauge(
    'cdc_service_ddl_alert_statements',
    'Schema changes that block it, by the digest of their statement; the 20 most frequent.',
    ['digest'],
    ofEndpoint,
  ),
  history: gauge('cdc_service_ddl_history_entries', 'Schema changes in the history that it keeps.', [], ofEndpoint),
  historyStatements: gauge(
    'cdc_service_ddl_history_statements',
    'Schema changes in its history, by the digest of their statement; the 20 most frequent.',
    ['digest'],
    ofEndpoint,
  ),
} as const;

export const offsetsFamilies = {
  endpointState,
  rows: gauge('cdc_service_offsets_rows', 'Rows of its table of offsets.', [], ofEndpoint),
  age: gauge(
    'cdc_service_offsets_age_seconds',
    'Time since it wrote an offset, by the clock of the database. Grows on an idle source too.',
    [],
    ofEndpoint,
  ),
} as const;
