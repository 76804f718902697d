// Every query of the dashboard, as Prometheus gets it: to be run against a real one, which must answer with data.
import { annotations, rows, variables } from './src/pipeline-overview.ts';

export interface DashboardQuery {
  /** Row, panel and place of the query in it. */
  readonly where: string;
  readonly expr: string;
  readonly isInstant: boolean;
  /** Why a healthy pipeline may have no data here; undefined when no data is a fault. */
  readonly emptyWhen: string | undefined;
}

/** What stands for a variable: names, or undefined for All. */
export interface VariableValues {
  readonly pipeline?: readonly string[];
  readonly target?: readonly string[];
  /** `$__rate_interval`: at least four scrape intervals. */
  readonly rateInterval?: string;
}

/** As Grafana does it for `=~`: names are escaped and joined; All matches every name. */
export function expandVariables(text: string, values: VariableValues = {}): string {
  const names = (list: readonly string[] | undefined): string =>
    list === undefined ? '.+' : list.map((name) => name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\\\$&')).join('|');
  return text
    .replaceAll('$__rate_interval', values.rateInterval ?? '5m')
    .replaceAll('$pipeline', () => names(values.pipeline))
    .replaceAll('$target', () => names(values.target));
}

/** All queries of panels, annotations and variables. */
export function dashboardQueries(values: VariableValues = {}): DashboardQuery[] {
  const ofPanels = rows.flatMap((row) =>
    row.panels.flatMap((panel) =>
      panel.queries.map((query, i) => ({
        where: `${row.title} / ${panel.title} / ${String.fromCharCode('A'.charCodeAt(0) + i)}`,
        expr: query.expr,
        isInstant: panel.kind === 'number' || panel.kind === 'table',
        emptyWhen: query.emptyWhen,
      })),
    ),
  );
  const ofVariables = Object.entries(variables).map(([name, query]) => ({
    where: `variable ${name}`,
    expr: seriesOf(query),
    isInstant: true,
    emptyWhen: undefined,
  }));
  const ofAnnotations = Object.entries(annotations).map(([name, expr]) => ({
    where: `annotation ${name}`,
    expr,
    isInstant: false,
    emptyWhen: 'nothing happened',
  }));
  return [...ofPanels, ...ofVariables, ...ofAnnotations].map((query) => ({
    ...query,
    expr: expandVariables(query.expr, values),
  }));
}

/** `label_values(SELECTOR, label)` lists a label of what the selector finds. */
function seriesOf(query: string): string {
  const [, selector, label] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? [];
  if (selector === undefined || label === undefined) throw new Error(`${query} is no label_values()`);
  return `count by (${label}) (${selector})`;
}
