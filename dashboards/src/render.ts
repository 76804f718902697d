// Data to classic dashboard JSON by the Grafana Foundation SDK. What the SDK leaves out (ids, refIds, legends that show,
// `current` of variables) is set here.
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as statetimeline from '@grafana/grafana-foundation-sdk/statetimeline';
import * as table from '@grafana/grafana-foundation-sdk/table';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';
import type { Panel, Query, Row, State } from './spec.ts';

export interface DashboardSpec {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly Row[];
  readonly variables: { readonly pipeline: string; readonly target: string };
  readonly annotations: { readonly alerts: string; readonly repairs: string };
}

/** A variable, not a fixed datasource: provisioned files know no uid of the Grafana they come to. */
const datasource = { type: 'prometheus', uid: '${datasource}' };

export function render(spec: DashboardSpec): object {
  const builder = new dashboard.DashboardBuilder(spec.title)
    .id(null)
    .uid(spec.uid)
    .description(spec.description)
    .tags(['pipemedic', 'pipeline'])
    .readonly()
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .time({ from: 'now-6h', to: 'now' })
    .refresh('30s')
    .timezone('browser')
    .link(
      new dashboard.DashboardLinkBuilder('pipemedic')
        .type(dashboard.DashboardLinkType.Dashboards)
        .tags(['pipemedic'])
        .asDropdown(true)
        .keepTime(true)
        .includeVars(true),
    )
    .withVariable(new dashboard.DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(listVariable('pipeline', 'Pipeline', spec.variables.pipeline))
    .withVariable(listVariable('target', 'Target', spec.variables.target))
    .annotation(annotation('Firing alerts', 'red', spec.annotations.alerts, '{{alertname}}', '{{target}}{{pipeline}}'))
    .annotation(annotation('Repairs', 'blue', spec.annotations.repairs, '{{action}}', '{{outcome}}'));
  let id = 0;
  for (const row of spec.rows) {
    id += 1;
    builder.withRow(new dashboard.RowBuilder(row.title).id(id));
    for (const panel of row.panels) {
      id += 1;
      builder.withPanel(panelOf(panel, id));
    }
  }
  return builder.build();
}

/** All means: every one that the query lists, not every series there is. */
function listVariable(name: string, label: string, query: string): dashboard.QueryVariableBuilder {
  return new dashboard.QueryVariableBuilder(name)
    .label(label)
    .datasource(datasource)
    .query({ query, refId: `${name}-values` })
    .definition(query)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .current({ selected: true, text: ['All'], value: ['$__all'] });
}

function annotation(
  name: string,
  color: string,
  expr: string,
  title: string,
  text: string,
): dashboard.AnnotationQueryBuilder {
  return new dashboard.AnnotationQueryBuilder()
    .name(name)
    .datasource(datasource)
    .enable(true)
    .iconColor(color)
    .expr(expr)
    .titleFormat(title)
    .textFormat(text);
}

/** What the panel builders have in common; the SDK has no type for it. */
interface AnyPanelBuilder {
  id(id: number): this;
  title(title: string): this;
  description(description: string): this;
  datasource(reference: common.DataSourceRef): this;
  height(h: number): this;
  span(w: number): this;
  noValue(text: string): this;
  withTarget(target: prometheus.DataqueryBuilder): this;
}

function dressed<B extends AnyPanelBuilder>(builder: B, panel: Panel, id: number, height: number): B {
  builder
    .id(id)
    .title(panel.title)
    .description(panel.description)
    .datasource(datasource)
    .height(height)
    .span(panel.width)
    .noValue('No data');
  for (const [i, query] of panel.queries.entries()) builder.withTarget(targetOf(query, i, panel.kind));
  return builder;
}

function targetOf(query: Query, index: number, kind: Panel['kind']): prometheus.DataqueryBuilder {
  const target = new prometheus.DataqueryBuilder()
    .expr(query.expr)
    .legendFormat(query.legend)
    .refId(String.fromCharCode('A'.charCodeAt(0) + index))
    .datasource(datasource);
  if (kind === 'table') return target.instant().format(prometheus.PromQueryFormat.Table);
  return kind === 'number' ? target.instant() : target.range();
}

function panelOf(panel: Panel, id: number): { build: () => dashboard.Panel } {
  switch (panel.kind) {
    case 'lines':
      return linesOf(panel, id);
    case 'number':
      return dressed(new stat.PanelBuilder(), panel, id, 4)
        .unit(panel.unit)
        .thresholds(redFrom(panel.redFrom))
        .colorMode(panel.redFrom === undefined ? common.BigValueColorMode.None : common.BigValueColorMode.Value)
        .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']));
    case 'states':
      return dressed(new statetimeline.PanelBuilder(), panel, id, 7)
        .mappings([mappingOf(panel.states)])
        .mergeValues(true)
        .showValue(common.VisibilityMode.Auto)
        .legend(new common.VizLegendOptionsBuilder().showLegend(false));
    case 'table':
      return dressed(new table.PanelBuilder(), panel, id, 6).withTransformation({
        id: 'organize',
        options: { excludeByName: { Time: true, Value: true } },
      });
  }
}

function linesOf(panel: Extract<Panel, { kind: 'lines' }>, id: number): timeseries.PanelBuilder {
  const builder = dressed(new timeseries.PanelBuilder(), panel, id, 8)
    .unit(panel.unit)
    .min(0)
    .lineWidth(1)
    .fillOpacity(panel.isStacked === true ? 30 : 5)
    .showPoints(common.VisibilityMode.Never)
    // a gap is "unknown": it must be seen
    .spanNulls(false)
    .legend(
      new common.VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom),
    )
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi));
  if (panel.max !== undefined) builder.max(panel.max);
  if (panel.isStacked === true) builder.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal));
  return builder;
}

function redFrom(value: number | undefined): dashboard.ThresholdsConfigBuilder {
  const steps = [{ value: null, color: 'green' }, ...(value === undefined ? [] : [{ value, color: 'red' }])];
  return new dashboard.ThresholdsConfigBuilder().mode(dashboard.ThresholdsMode.Absolute).steps(steps);
}

function mappingOf(states: Readonly<Record<number, State>>): dashboard.ValueMapping {
  return {
    type: dashboard.MappingType.ValueToText,
    options: Object.fromEntries(
      Object.entries(states).map(([value, { text, color }], index) => [value, { text, color, index }]),
    ),
  };
}
