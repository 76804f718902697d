// What Kafka Connect says of a connector: https://kafka.apache.org/documentation/#connect_rest, GET /connectors/{name}/status
import { TargetError } from '../../runtime/errors.ts';
import { fieldOf, isObject, jsonObjectOf } from '../cdc-service/facts-endpoint.ts';

/** org.apache.kafka.connect.runtime.AbstractStatus.State, without DESTROYED: what is deleted is not listed. */
const connectStates = ['RUNNING', 'FAILED', 'PAUSED', 'STOPPED', 'UNASSIGNED', 'RESTARTING'] as const;
export type ConnectState = (typeof connectStates)[number];

export interface ConnectStatus {
  readonly connector: ConnectState;
  readonly tasks: readonly ConnectState[];
}

/** The trace of a failed task can hold data and is not kept. @throws TargetError `protocol` */
export function connectStatusOf(text: string): ConnectStatus {
  const answer = jsonObjectOf(text);
  const tasks = fieldOf(answer, 'tasks');
  if (!Array.isArray(tasks)) throw new TargetError('protocol', 'the status of the connector has no tasks');
  return {
    connector: stateOf(fieldOf(answer, 'connector')),
    tasks: (tasks as readonly unknown[]).map((task) => stateOf(task)),
  };
}

function stateOf(value: unknown): ConnectState {
  const found = connectStateOf(value);
  if (found === undefined) throw new TargetError('protocol', 'the status of the connector has a state that is unknown');
  return found;
}

/** Of a connector or task, `{state: 'RUNNING', …}`; undefined when it is none that is known here. */
export function connectStateOf(value: unknown): ConnectState | undefined {
  const written = isObject(value) ? fieldOf(value, 'state') : undefined;
  return connectStates.find((state) => state === written);
}

/** What is in the way of its work; undefined when all of it runs, or is on its way to. */
export function hindranceOf({ connector, tasks }: ConnectStatus): string | undefined {
  const failed = tasks.findIndex((state) => state === 'FAILED');
  if (failed >= 0) return `task ${failed} of the connector has failed`;
  if (connector === 'FAILED') return 'the connector has failed';
  for (const state of ['PAUSED', 'STOPPED'] as const) {
    if (connector === state || tasks.includes(state)) return `the connector is ${state.toLowerCase()}`;
  }
  return connector === 'RUNNING' && tasks.length === 0 ? 'the connector has no task' : undefined;
}
