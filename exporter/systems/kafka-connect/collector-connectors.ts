import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { KafkaConnectClient } from './client.ts';
import { connectorsFact, type Connector, type Connectors } from './facts-connectors.ts';
import type { ConnectState } from './facts-status.ts';
import { connectorStates, kafkaConnectFamilies, workerStates, type WorkerState } from './families.ts';

type ConnectEmit = Emit<typeof kafkaConnectFamilies>;

/** The connectors that were last seen: of each of them something is said until the worker says that it is gone. */
interface Memory {
  seen: Connectors;
}

export const kafkaConnectors = collectorOf<KafkaConnectClient>()({
  name: 'kafka_connectors',
  help: 'State of every connector of Kafka Connect and of its tasks, by one request.',
  keeps: 'the connectors last seen, whose state is served while the workers are away',
  config: z.strictObject({}),
  families: kafkaConnectFamilies,
  state: (): Memory => ({ seen: new Map() }),
  async collect({ client, emit, call, state }) {
    const { version, commit, clusterId } = await client.worker(call);
    const found = await client.connectors(call);
    emit.workerInfo(1, { version, commit, kafka_cluster_id: clusterId });
    if (found === 'rebalancing') {
      call.board.publish(call.target, connectorsFact, unknown('the workers of Kafka Connect are rebalancing'));
      emitUnknown(emit, state, 'rebalancing');
      return;
    }
    state.seen = found;
    call.board.publish(call.target, connectorsFact, known(found, call.clock.wallMs()));
    emitWorker(emit, 'serving');
    emit.connectors(found.size);
    for (const connector of found.values()) emitConnector(emit, connector);
  },
  unknown({ emit, call, state, why }) {
    call.board.publish(call.target, connectorsFact, unknown(why));
    emitUnknown(emit, state, 'unknown');
  },
});

function emitConnector(emit: ConnectEmit, connector: Connector): void {
  const { name, type, workerId } = connector;
  emit.connectorInfo(1, { connector: name, type, class: connector.class, worker_id: workerId });
  emitConnectorState(emit, name, connector.state);
  emit.connectorTasks(connector.tasks.length, { connector: name });
  if (connector.failure !== undefined) emit.failureInfo(1, { connector: name, task: '', exception: connector.failure });
  for (const task of connector.tasks) {
    const labels = { connector: name, task: String(task.id) };
    emitTaskState(emit, labels, task.state);
    emit.taskInfo(1, { ...labels, worker_id: task.workerId });
    if (task.failure !== undefined) emit.failureInfo(1, { ...labels, exception: task.failure });
  }
}

function emitUnknown(emit: ConnectEmit, { seen }: Memory, worker: WorkerState): void {
  emitWorker(emit, worker);
  for (const { name, tasks } of seen.values()) {
    emitConnectorState(emit, name, 'unknown');
    for (const { id } of tasks) emitTaskState(emit, { connector: name, task: String(id) }, 'unknown');
  }
}

function emitWorker(emit: ConnectEmit, state: WorkerState): void {
  emitState((value, of) => { emit.workerState(value, { state: of }); }, workerStates, state); // prettier-ignore
}

function emitConnectorState(emit: ConnectEmit, connector: string, state: ConnectState | 'unknown'): void {
  emitState((value, of) => { emit.connectorState(value, { connector, state: of }); }, connectorStates, lower(state)); // prettier-ignore
}

function emitTaskState(
  emit: ConnectEmit,
  labels: { readonly connector: string; readonly task: string },
  state: ConnectState | 'unknown',
): void {
  emitState((value, of) => { emit.taskState(value, { ...labels, state: of }); }, connectorStates, lower(state)); // prettier-ignore
}

function lower<S extends string>(state: S): Lowercase<S> {
  return state.toLowerCase() as Lowercase<S>; // the type of toLowerCase forgets it
}
