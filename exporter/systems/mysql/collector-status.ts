import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import type { Emit } from '../../families.ts';
import type { MysqlClient } from './client.ts';
import { defaultStatusNames, galeraLatency, groupOf, type LabelledStatus } from './facts-status.ts';
import { readVariables, variableName, variableNumber, type Variables } from './facts-variables.ts';
import { plainStatus, statusFamilies, statusOpen, type PlainStatus } from './families-status.ts';

const plain: ReadonlySet<string> = new Set(plainStatus);

export const statusCollector = collectorOf<MysqlClient>()({
  name: 'global_status',
  help: 'Status variables of the server, named and typed as in mysqld_exporter.',
  config: z.strictObject({
    /** Every status variable, not only those that pipelines and widespread rules and dashboards need. */
    all: z.boolean().default(false),
    /** Further variables, by their names on the server. */
    also: z.array(z.string().toLowerCase().regex(variableName, 'the name of a status variable')).default([]),
  }),
  families: statusFamilies,
  open: statusOpen,
  state: () => undefined,
  async collect({ client, config, emit, call }) {
    const names = config.all ? undefined : [...defaultStatusNames, ...config.also];
    const variables = await readVariables(client, 'STATUS', names, call);
    for (const [name, text] of variables) {
      const value = variableNumber(text);
      if (value === undefined) continue;
      const group = groupOf(name);
      if (group !== undefined) emitGroup(emit, group.family, group.label, value);
      else if (isPlain(name)) emit[name](value);
      else emit.other(`mysql_global_status_${name}`, value);
    }
    emitGalera(emit, variables);
  },
});

function isPlain(name: string): name is PlainStatus {
  return plain.has(name);
}

function emitGroup(
  emit: Emit<typeof statusFamilies>,
  family: LabelledStatus | 'none',
  label: string,
  value: number,
): void {
  switch (family) {
    case 'commands':
      emit.commands(value, { command: label });
      break;
    case 'handlers':
      emit.handlers(value, { handler: label });
      break;
    case 'connectionErrors':
      emit.connectionErrors(value, { error: label });
      break;
    case 'rowOps':
      emit.rowOps(value, { operation: label });
      break;
    case 'pages':
      emit.pages(value, { state: label });
      break;
    case 'dirtyPages':
      emit.dirtyPages(value);
      break;
    case 'pageChanges':
      emit.pageChanges(value, { operation: label });
      break;
    case 'instrumentsLost':
      emit.instrumentsLost(value, { instrumentation: label });
      break;
    case 'none':
  }
}

function emitGalera(emit: Emit<typeof statusFamilies>, variables: Variables): void {
  const text = (name: string): string => variables.get(name) ?? '';
  if (text('wsrep_local_state_uuid') !== '') {
    emit.galeraStatus(1, {
      wsrep_local_state_uuid: text('wsrep_local_state_uuid'),
      wsrep_cluster_state_uuid: text('wsrep_cluster_state_uuid'),
      wsrep_provider_version: text('wsrep_provider_version'),
    });
  }
  const latency = galeraLatency(text('wsrep_evs_repl_latency'));
  if (latency === undefined) return;
  const [min, avg, max, stdev, samples] = latency;
  emit.galeraLatencyMin(min);
  emit.galeraLatencyAvg(avg);
  emit.galeraLatencyMax(max);
  emit.galeraLatencyStdev(stdev);
  emit.galeraLatencySamples(samples);
}
