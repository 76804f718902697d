// What `doctor` says of Kafka Connect: what does not work, and the request that mends it.
import type { Call } from '../../collector.ts';
import type { Finding } from '../../findings.ts';
import type { KafkaConnectClient } from './client.ts';
import type { Connector } from './facts-connectors.ts';

export async function examineKafkaConnect(client: KafkaConnectClient, call: Call): Promise<readonly Finding[]> {
  const { version, clusterId } = await client.worker(call);
  const worker: Finding = {
    check: 'kafka_connect_version',
    ok: true,
    text: `Kafka Connect ${version} of the Kafka cluster ${clusterId}`,
  };
  const found = await client.connectors(call);
  if (found === 'rebalancing') {
    const text = 'the workers are rebalancing: no connector can be told of';
    const fix = 'look again in a minute; when it stays so, look for a worker that comes and goes in the logs';
    return [worker, { check: 'kafka_connect_worker_state', ok: 'unknown', text, fix }];
  }
  const none: Finding = { check: 'kafka_connect_connectors', ok: 'unknown', text: 'there is no connector' };
  return [worker, ...(found.size === 0 ? [none] : [...found.values()].map((c) => connectorFinding(client.url, c)))];
}

function connectorFinding(url: string, connector: Connector): Finding {
  const { name, tasks, state } = connector;
  const path = `${url}/connectors/${encodeURIComponent(name)}`;
  const check = 'kafka_connect_connector_state';
  const failed = tasks.filter((t) => t.state === 'FAILED');
  const causes = new Set([connector, ...failed].flatMap(({ failure }) => (failure === undefined ? [] : [failure])));
  if (state === 'FAILED' || failed.length > 0) {
    const which = failed.length === 0 ? 'it' : `task ${failed.map((t) => t.id).join(', ')} of ${tasks.length}`;
    return {
      check,
      ok: false,
      text: `${name}: ${which} has failed (${[...causes].join(', ')})`,
      fix: `read the trace (curl ${path}/status), mend its cause, then: curl -X POST '${path}/restart?includeTasks=true&onlyFailed=true'`,
    };
  }
  if (state === 'PAUSED' || state === 'STOPPED') {
    const text = `${name} is ${state.toLowerCase()}: somebody has asked for it`;
    return { check, ok: 'unknown', text, fix: `when it is no longer wanted: curl -X PUT ${path}/resume` };
  }
  if (state === 'RUNNING' && tasks.length === 0) {
    const fix = `look at its configuration (curl ${path}/config) and at the log of ${connector.workerId}`;
    return { check, ok: false, text: `${name} runs without a task: it does nothing`, fix };
  }
  const idle = tasks.filter((t) => t.state !== 'RUNNING');
  if (state !== 'RUNNING' || idle.length > 0) {
    const text = `${name} is ${state.toLowerCase()}, ${idle.length} of ${tasks.length} tasks do not run yet`;
    return { check, ok: 'unknown', text, fix: 'look again in a minute; then look whether enough workers are there' };
  }
  return { check, ok: true, text: `${name} runs, with ${tasks.length} ${tasks.length === 1 ? 'task' : 'tasks'}` };
}
