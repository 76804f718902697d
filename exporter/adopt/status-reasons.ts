// Status variables of MySQL that are a label of a family: which of them are read is a selection.
import type { Matcher } from '../promql.ts';
import { defaultStatusNames, groupOf } from '../systems/mysql/facts-status.ts';
import { statusFamilies } from '../systems/mysql/families-status.ts';
import type { Setting } from './setting.ts';
import type { Reason } from './verdict.ts';

const collector = 'global_status';
const prefixes: readonly string[] = ['com_', 'handler_', 'connection_errors_', 'innodb_buffer_pool_pages_', 'innodb_rows_', 'performance_schema_']; // prettier-ignore

const selected: ReadonlySet<string> = new Set(defaultStatusNames);

/** `mysql_global_status_commands_total{command="create_view"}`: Com_create_view is read only when it is asked for. */
export function statusReasons(metric: string, { label, op, value }: Matcher, { inventory }: Setting): Reason[] {
  if (!metric.startsWith('mysql_global_status_') || op.startsWith('!')) return [];
  const values = op === '=~' ? value.replaceAll(/[()^$]/g, '').split('|') : [value];
  const names = values.flatMap((one) => variableOf(metric, label, one) ?? []);
  const targets = inventory?.filter(({ kind }) => kind === 'mysql');
  const missing = names.filter((name) => {
    if (selected.has(name)) return false;
    return targets?.some((target) => target.hasOption(collector, `mysql_global_status_${name}`)) !== true;
  });
  if (missing.length === 0) return [];
  const what = `${metric}{${label}${op}"${value}"} needs ${missing.join(', ')}, which ${missing.length === 1 ? 'is' : 'are'} not read unless asked for`;
  return [
    {
      verdict: inventory === undefined ? 'note' : 'off',
      metric,
      text: what,
      fix: `at the mysql target: collectors: {${collector}: {also: [${missing.join(', ')}]}}`,
      isNeed: true,
    },
  ];
}

/** The variable behind a value of a label; undefined where there is none, or a pattern. */
function variableOf(metric: string, label: string, value: string): string | undefined {
  if (!/^[a-z0-9_]+$/.test(value)) return undefined;
  return prefixes
    .map((prefix) => `${prefix}${value}`)
    .find((name) => {
      const group = groupOf(name);
      if (group === undefined || group.family === 'none') return false;
      const family = statusFamilies[group.family];
      return family.name === metric && family.labels.at(0) === label;
    });
}
