import { gauge } from '../../families.ts';

const absent = { state: 'kafka_connect_worker_state' } as const;

export const kafkaConnectUp = gauge('kafka_connect_up', '1 when the worker tells its version.', []);

export const workerStates = ['serving', 'rebalancing', 'unknown'] as const;
export type WorkerState = (typeof workerStates)[number];

export const connectorStates = [
  'running',
  'failed',
  'paused',
  'stopped',
  'unassigned',
  'restarting',
  'unknown',
] as const;

export const kafkaConnectFamilies = {
  workerState: gauge(
    'kafka_connect_worker_state',
    'Whether the worker can tell of connectors: one series per state, 1 for the present one. rebalancing: it refuses to, as its cluster is sharing out the work anew.',
    ['state'],
  ),
  workerInfo: gauge(
    'kafka_connect_worker_info',
    'Version of the worker, and id of the Kafka cluster that it uses: 1.',
    ['version', 'commit', 'kafka_cluster_id'],
    absent,
  ),
  connectors: gauge('kafka_connect_connectors', 'Connectors in the cluster of the worker.', [], absent),
  connectorInfo: gauge(
    'kafka_connect_connector_info',
    'Type and class of each connector, and the worker that runs it: 1.',
    ['connector', 'type', 'class', 'worker_id'],
    absent,
  ),
  connectorState: gauge(
    'kafka_connect_connector_state',
    'State of each connector: one series per state, 1 for the present one. unknown: the worker does not tell of it now. A connector that runs may have tasks that failed.',
    ['connector', 'state'],
  ),
  connectorTasks: gauge(
    'kafka_connect_connector_tasks',
    'Tasks of the connector, whatever their state: 0 for one that runs means that it does nothing.',
    ['connector'],
    absent,
  ),
  taskState: gauge(
    'kafka_connect_task_state',
    'State of each task of a connector: one series per state, 1 for the present one. unknown: the worker does not tell of it now.',
    ['connector', 'task', 'state'],
  ),
  taskInfo: gauge(
    'kafka_connect_task_info',
    'The worker that runs the task: 1.',
    ['connector', 'task', 'worker_id'],
    absent,
  ),
  failureInfo: gauge(
    'kafka_connect_failure_info',
    'What ended a connector (task="") or task that has failed, by the class of the innermost exception: 1. Nothing of its text is kept.',
    ['connector', 'task', 'exception'],
    absent,
  ),
} as const;
