// What one worker of Kafka Connect says of all connectors of its cluster:
// https://kafka.apache.org/documentation/#connect_rest, GET /connectors?expand=status&expand=info
import { factKey } from '../../facts.ts';
import { TargetError } from '../../runtime/errors.ts';
import { fieldOf, isObject, jsonObjectOf } from '../cdc-service/facts-endpoint.ts';
import { connectStateOf, type ConnectState } from './facts-status.ts';

export interface ConnectWorker {
  readonly version: string;
  readonly commit: string;
  readonly clusterId: string;
}

export interface ConnectTask {
  readonly id: number;
  readonly state: ConnectState | 'unknown';
  /** host:port of the worker that runs it; empty when none does. */
  readonly workerId: string;
  /** Class of what ended it, by its simple name: `RecordTooLargeException`. Undefined unless it has failed. */
  readonly failure: string | undefined;
}

export interface Connector extends Omit<ConnectTask, 'id'> {
  readonly name: string;
  readonly type: 'source' | 'sink' | 'unknown';
  /** connector.class of its configuration: the only part that is kept, as others may hold secrets. */
  readonly class: string;
  readonly tasks: readonly ConnectTask[];
}

export type Connectors = ReadonlyMap<string, Connector>;

export const connectorsFact = factKey<Connectors>('kafka_connect.connectors');

/** GET / @throws TargetError `protocol` when it is no Kafka Connect that answers */
export function workerOf(text: string): ConnectWorker {
  const answer = jsonObjectOf(text);
  const [version, clusterId] = [fieldOf(answer, 'version'), fieldOf(answer, 'kafka_cluster_id')];
  if (typeof version !== 'string' || typeof clusterId !== 'string') {
    throw new TargetError('protocol', 'the answer has no version and kafka_cluster_id: this is no Kafka Connect');
  }
  return { version, commit: textOf(fieldOf(answer, 'commit')), clusterId };
}

/**
 * A connector without a status is left out by Kafka Connect itself: it was made just now.
 * @throws TargetError `protocol`
 */
export function connectorsOf(text: string): Connectors {
  return new Map(
    Object.entries(jsonObjectOf(text)).map(([name, value]) => {
      const status = isObject(value) ? value['status'] : undefined;
      const tasks = isObject(status) ? status['tasks'] : undefined;
      if (!isObject(status) || !Array.isArray(tasks)) {
        throw new TargetError('protocol', 'a connector has no status with tasks');
      }
      const info = isObject(value) ? value['info'] : undefined;
      const config = isObject(info) ? info['config'] : undefined;
      const type = isObject(info) ? info['type'] : status['type'];
      return [
        name,
        {
          name,
          type: type === 'source' || type === 'sink' ? type : 'unknown',
          class: textOf(isObject(config) ? config['connector.class'] : undefined), // a name with a dot, not a path
          ...stateOf(status['connector']),
          tasks: (tasks as readonly unknown[]).map((task) => ({ id: idOf(task), ...stateOf(task) })),
        },
      ] as const;
    }),
  );
}

function stateOf(value: unknown): Omit<ConnectTask, 'id'> {
  const state = connectStateOf(value) ?? 'unknown';
  const trace = isObject(value) ? value['trace'] : undefined;
  return {
    state,
    workerId: textOf(isObject(value) ? value['worker_id'] : undefined),
    failure: state === 'FAILED' ? failureClassOf(typeof trace === 'string' ? trace : '') : undefined,
  };
}

function idOf(task: unknown): number {
  const id = isObject(task) ? task['id'] : undefined;
  if (typeof id === 'number' && Number.isInteger(id)) return id;
  throw new TargetError('protocol', 'a task of a connector has no id');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 200) : '';
}

/**
 * The class of the innermost cause in a Java stack trace, without its package; `other` for a text that is none. The
 * messages in the trace quote records and addresses: nothing of them is kept.
 */
export function failureClassOf(trace: string): string {
  const causes = [...trace.matchAll(/^(?:Caused by: )?(?:[a-z_][\w$]*\.)+([A-Z][\w$]{0,99})(?=:|$)/gm)];
  return causes.at(-1)?.[1] ?? 'other';
}
