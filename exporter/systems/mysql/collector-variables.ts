import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import type { MysqlClient } from './client.ts';
import {
  cdcSettingsOf,
  defaultVariableNames,
  gcacheBytes,
  isolationOf,
  readVariables,
  variableName,
  variableNumber,
  type CdcSetting,
} from './facts-variables.ts';
import { plainVariables, variableFamilies, variableOpen, type PlainVariable } from './families-variables.ts';

const plain: ReadonlySet<string> = new Set(plainVariables);

interface State {
  /** Values that a variable has had since this program began, the present one last. */
  readonly values: Map<string, readonly string[]>;
}

/** Somebody who changes a variable back and forth must not fill the memory. */
const maxValues = 8;

export const variablesCollector = collectorOf<MysqlClient>()({
  name: 'global_variables',
  help: 'Variables of the server, named and typed as in mysqld_exporter, and the text ones that CDC depends on.',
  config: z.strictObject({
    /** Every variable that is a number, not only those that pipelines and widespread rules and dashboards need. */
    all: z.boolean().default(false),
    /** Further variables, by their names on the server. */
    also: z.array(z.string().toLowerCase().regex(variableName, 'the name of a variable')).default([]),
  }),
  families: variableFamilies,
  open: variableOpen,
  state: (): State => ({ values: new Map() }),
  async collect({ client, config, emit, call, state }) {
    const names = config.all ? undefined : [...defaultVariableNames, ...config.also];
    const variables = await readVariables(client, 'VARIABLES', names, call);
    for (const [name, text] of variables) {
      const value = variableNumber(text);
      if (value === undefined) continue;
      if (isPlain(name)) emit[name](value);
      else emit.other(`mysql_global_variables_${name}`, value);
    }
    for (const setting of cdcSettingsOf(variables)) {
      for (const value of withFormer(setting, state)) {
        emit.setting(value === setting.value ? 1 : 0, { variable: setting.variable, value });
      }
    }
    const level = isolationOf(variables);
    if (level !== undefined) emit.isolation(1, { level });
    const cluster = variables.get('wsrep_cluster_name') ?? '';
    if (cluster !== '') emit.galeraVariables(1, { wsrep_cluster_name: cluster });
    const gcache = gcacheBytes(variables.get('wsrep_provider_options') ?? '');
    if (gcache !== undefined) emit.gcacheSize(gcache);
  },
});

function isPlain(name: string): name is PlainVariable {
  return plain.has(name);
}

/** Every value that is shown for a variable: those that it may have, and those that it has had. */
function withFormer({ variable, value, possible }: CdcSetting, state: State): ReadonlySet<string> {
  const former = state.values.get(variable) ?? [];
  const values = [...former.filter((v) => v !== value), value].slice(-maxValues);
  state.values.set(variable, values);
  return new Set([...possible, ...values]);
}
