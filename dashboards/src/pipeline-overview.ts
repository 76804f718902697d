import { render } from './render.ts';
import { backupDepthRow } from './rows-backup.ts';
import { kafkaDepthRow } from './rows-kafka.ts';
import { canaryRow, consistencyRow, hostRow } from './rows-measured.ts';
import { redisDepthRow } from './rows-redis.ts';
import { exporterRow, remediatorRow } from './rows-own.ts';
import { flowRow, statesRow } from './rows-flow.ts';
import { backupRow, jvmRow, kafkaRow, redisRow } from './rows-downstream.ts';
import { cdcServiceRow, maxwellRow, mysqlRow } from './rows-source.ts';
import type { Row } from './spec.ts';

export const rows: readonly Row[] = [
  flowRow,
  canaryRow,
  statesRow,
  mysqlRow,
  maxwellRow,
  cdcServiceRow,
  kafkaRow,
  kafkaDepthRow,
  redisRow,
  redisDepthRow,
  jvmRow,
  backupRow,
  backupDepthRow,
  consistencyRow,
  hostRow,
  remediatorRow,
  exporterRow,
];

/** Queries of the variables, in the order in which they depend on each other. */
export const variables = {
  pipeline: 'label_values(pipeline_lag_objective_seconds, pipeline)',
  target: 'label_values(pipemedic_pipeline_member_info{pipeline=~"$pipeline"}, target)',
} as const;

export const annotations = {
  alerts: 'ALERTS{alertstate="firing",severity=~"critical|warning"}',
  repairs: 'sum by (action, outcome) (increase(pipemedic_remediator_runs_total[$__rate_interval])) > 0',
} as const;

export function pipelineOverview(): object {
  return render({
    uid: 'pipemedic-pipeline-overview',
    title: 'pipemedic / Pipeline overview',
    description:
      'Is data flowing from end to end, and if not, where does it stand? From source to cache, with repairs.',
    rows,
    variables,
    annotations,
  });
}
