// Dashboards in the shapes that Grafana has had; each made for this test.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { contentOf } from '../../../exporter/adopt/content.ts';
import { parse } from '../../../exporter/adopt/read.ts';

function read(document: unknown): { queries: string[]; problems: readonly string[]; notes: readonly string[] } {
  const opened = parse(JSON.stringify(document));
  assert.ok(typeof opened !== 'string');
  const content = contentOf(opened);
  assert.equal(content?.kind, 'dashboard');
  return {
    queries: content.parts.flatMap((p) => p.expressions.map((e) => `${e.use} ${e.place}: ${e.promql}`)),
    problems: content.parts.flatMap((p) => p.problems),
    notes: content.parts.flatMap((p) => p.notes),
  };
}

const timeseries = {
  id: 2,
  type: 'timeseries',
  title: 'Lag',
  datasource: { type: 'prometheus', uid: '${datasource}' },
  targets: [
    { refId: 'A', expr: 'mysql_slave_status_seconds_behind_master{instance=~"$instance"}' },
    { refId: 'B', expr: 'rate(mysql_global_status_questions[$__rate_interval])' },
    { refId: 'C', expr: '' },
    { refId: 'D', datasource: { type: '__expr__' }, type: 'math', expression: '$A' },
  ],
};

test('panels, rows that hold panels, variables and annotations of the classic model', () => {
  const { queries, problems, notes } = read({
    title: 'MySQL',
    schemaVersion: 39,
    templating: {
      list: [
        { type: 'datasource', name: 'datasource', query: 'prometheus' },
        { type: 'query', name: 'instance', query: { query: 'label_values(mysql_up{job=~"$job"}, instance)' } },
        { type: 'query', name: 'job', query: 'label_values(job)' },
        { type: 'query', name: 'n', query: 'query_result(count(redis_up))' },
        { type: 'query', name: 'names', query: 'metrics(mysql_)' },
        { type: 'query', name: 'pods', definition: 'kube_pod_info' },
        {
          type: 'interval',
          name: 'window',
          current: { value: '$__auto_interval_window' },
          options: [{ value: '15m' }],
        },
        { type: 'constant', name: 'prefix', query: 'mysql' },
        { type: 'query', name: 'logs', datasource: { type: 'loki' }, query: 'label_values(app)' },
      ],
    },
    annotations: {
      list: [
        { name: 'built in', builtIn: 1, datasource: { type: 'grafana' } },
        { name: 'Alerts', datasource: { type: 'prometheus' }, expr: 'ALERTS{alertstate="firing"}' },
        { name: 'Restarts', target: { expr: 'changes(process_start_time_seconds[$window])' } },
      ],
    },
    panels: [
      timeseries,
      {
        type: 'row',
        title: 'Cache',
        collapsed: true,
        panels: [{ title: 'Hits', targets: [{ refId: 'A', expr: '${prefix}_up' }] }],
      },
      { title: 'Logs', datasource: { type: 'loki' }, targets: [{ refId: 'A', expr: '{app="x"} |= "y"' }] },
      {
        title: 'Mixed',
        datasource: { type: 'datasource', uid: '-- Mixed --' },
        targets: [
          { refId: 'A', expr: 'redis_up' },
          { refId: 'B', datasource: { type: 'elasticsearch' }, expr: 'x' },
        ],
      },
      { title: 'Broken', targets: [{ refId: 'A', expr: { a: 1 } }] },
      { title: 'Shared', libraryPanel: { uid: 'lib1', name: 'Our lag' } },
    ],
  });
  assert.deepEqual(queries, [
    'panel Lag / A: mysql_slave_status_seconds_behind_master{instance=~"(.+)"}',
    'panel Lag / B: rate(mysql_global_status_questions[5m])',
    'panel Cache / Hits / A: mysql_up',
    'panel Mixed / A: redis_up',
    'variable variable instance: count by (instance) (mysql_up{job=~"(.+)"})',
    'variable variable n: count(redis_up)',
    'variable variable pods: kube_pod_info',
    'annotation annotation Alerts: ALERTS{alertstate="firing"}',
    'annotation annotation Restarts: changes(process_start_time_seconds[15m])',
  ]);
  assert.deepEqual(problems, ['Broken / A: expr is no text']);
  assert.deepEqual(notes, [
    'queries of library panels are not in this file: Our lag. Export them and name their files too',
    'queries of other data sources are not judged: 1 of loki, 1 of elasticsearch',
  ]);
});

test('rows of the Angular era, in the wrapper of the HTTP API', () => {
  const { queries } = read({
    meta: { slug: 'x' },
    dashboard: {
      title: 'Old',
      rows: [
        {
          title: 'Redis',
          panels: [
            {
              type: 'graph',
              title: 'Clients',
              datasource: '$datasource',
              targets: [{ refId: 'A', expr: 'redis_connected_clients{instance="[[instance]]"}' }],
            },
          ],
        },
      ],
    },
  });
  assert.deepEqual(queries, ['panel Redis / Clients / A: redis_connected_clients{instance="(.+)"}']);
});

test('library panels: carried by the dashboard, by themselves, and as the API gives them', () => {
  const model = { type: 'timeseries', title: 'Lag', targets: [{ refId: 'A', expr: 'redis_up' }] };
  const carried = read({
    panels: [{ title: 'Shared', libraryPanel: { uid: 'lib1', name: 'Our lag' } }],
    __elements: { lib1: { uid: 'lib1', name: 'Our lag', kind: 1, model } },
  });
  assert.deepEqual([carried.queries, carried.notes], [['panel library panel Our lag / Lag / A: redis_up'], []]);
  assert.deepEqual(read({ name: 'Our lag', kind: 1, model }).queries, ['panel Lag / A: redis_up']);
  assert.deepEqual(read({ result: { uid: 'lib1', model } }).queries, ['panel Lag / A: redis_up']);
});

test('the resource form, with the classic model and with the new schema', () => {
  const classic = {
    apiVersion: 'dashboard.grafana.app/v1beta1',
    kind: 'Dashboard',
    metadata: { name: 'x' },
    spec: { title: 'T', panels: [timeseries] },
  };
  assert.equal(read(classic).queries.length, 2);
  const { queries, notes } = read({
    apiVersion: 'dashboard.grafana.app/v2beta1',
    kind: 'Dashboard',
    metadata: { name: 'x' },
    spec: {
      title: 'T',
      layout: { kind: 'GridLayout', spec: { items: [] } },
      elements: {
        'panel-1': {
          kind: 'Panel',
          spec: {
            id: 1,
            title: 'Lag',
            data: {
              kind: 'QueryGroup',
              spec: {
                queries: [
                  {
                    kind: 'PanelQuery',
                    spec: {
                      refId: 'A',
                      query: { kind: 'DataQuery', group: 'prometheus', spec: { expr: 'kafka_brokers' } },
                    },
                  },
                  {
                    kind: 'PanelQuery',
                    spec: { refId: 'B', query: { kind: 'prometheus', spec: { expr: 'redis_up' } } },
                  },
                  {
                    kind: 'PanelQuery',
                    spec: { refId: 'C', query: { kind: 'DataQuery', group: 'loki', spec: { expr: '{a="b"}' } } },
                  },
                ],
              },
            },
          },
        },
        'panel-2': { kind: 'LibraryPanel', spec: { title: 'Shared', libraryPanel: { uid: 'lib1', name: 'Our lag' } } },
      },
      variables: [
        {
          kind: 'QueryVariable',
          spec: {
            name: 'g',
            query: {
              kind: 'DataQuery',
              group: 'prometheus',
              spec: { query: 'label_values(kafka_consumergroup_members, consumergroup)' },
            },
          },
        },
        { kind: 'CustomVariable', spec: { name: 'q', query: '0.9,0.99' } },
      ],
      annotations: [
        {
          kind: 'AnnotationQuery',
          spec: { name: 'Alerts', query: { kind: 'DataQuery', group: 'prometheus', spec: { expr: 'ALERTS' } } },
        },
      ],
    },
  });
  assert.deepEqual(queries, [
    'panel Lag / A: kafka_brokers',
    'panel Lag / B: redis_up',
    'variable variable g: count by (consumergroup) (kafka_consumergroup_members)',
    'annotation annotation Alerts: ALERTS',
  ]);
  assert.deepEqual(
    notes.map((note) => note.split(': ')[0]),
    ['queries of library panels are not in this file', 'queries of other data sources are not judged'],
  );
});

test('panels nested without an end, and titles made to mislead', () => {
  let panel: Record<string, unknown> = { title: 'x', targets: [{ expr: 'mysql_up' }] };
  for (let i = 0; i < 1000; i += 1) panel = { title: `p${i}`, panels: [panel] };
  const { problems, queries } = read({
    panels: [panel, { title: `\u001b[31m\n${'t'.repeat(5000)}`, targets: [{ expr: 'redis_up' }] }],
  });
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? '', /nested too deep/);
  assert.equal(queries.length, 1);
  assert.ok((queries[0] ?? '').length < 200);
});

test('a data source behind a variable or an input is what the dashboard says it is', () => {
  const target = { refId: 'A', expr: '{job="x"} |= "error"' };
  const { queries } = read({
    title: 'Logs and numbers',
    __inputs: [
      { name: 'DS_LOGS', type: 'datasource', pluginId: 'loki' },
      { name: 'DS_PROM', type: 'datasource', pluginId: 'prometheus' },
    ],
    templating: {
      list: [
        { type: 'datasource', name: 'logs', query: 'loki' },
        { type: 'datasource', name: 'prom', query: 'prometheus' },
        { type: 'query', name: 'app', datasource: '$logs', query: 'label_values(app)' },
      ],
    },
    panels: [
      { title: 'a', datasource: '$logs', targets: [target] },
      { title: 'b', datasource: '${DS_LOGS}', targets: [target] },
      { title: 'c', datasource: { uid: '${logs}' }, targets: [target] },
      { title: 'd', datasource: '$prom', targets: [{ refId: 'A', expr: 'mysql_up' }] },
      { title: 'e', datasource: '${DS_PROM}', targets: [{ refId: 'A', expr: 'redis_up' }] },
      { title: 'f', datasource: '$other', targets: [{ refId: 'A', expr: 'kafka_up' }] },
    ],
  });
  assert.deepEqual(queries, ['panel d / A: mysql_up', 'panel e / A: redis_up', 'panel f / A: kafka_up']);
});

const small = { title: 'Small', rows: [{ panels: [{ title: 'up', type: 'graph', targets: [{ expr: 'redis_up' }] }] }] };
for (const [what, document] of [
  ['a list of dashboards', [small]],
  ['by the names of their files', { grafanaDashboards: { 'small.json': small } }],
  ['a bundle', { dashboards: [small] }],
  ['a row of a table, as a text', { slug: 'small', data: JSON.stringify(small) }],
  [
    'values of a chart, as a text',
    { grafana: { dashboards: { default: { small: { json: JSON.stringify(small) } } } } },
  ],
  ['a list of library panels', { result: { elements: [{ uid: 'u', model: small.rows[0]?.panels[0] }] } }],
  [
    'a GrafanaDashboard that is packed',
    { kind: 'GrafanaDashboard', spec: { gzipJson: gzipSync(JSON.stringify(small)).toString('base64') } },
  ],
  ['a Secret', { kind: 'Secret', data: { 'small.json': Buffer.from(JSON.stringify(small)).toString('base64') } }],
] as const) {
  test(`a dashboard within: ${what}`, () => {
    const { queries, problems } = read(document);
    assert.deepEqual([queries.map((query) => query.split(': ').at(-1)), problems], [['redis_up'], []]);
  });
}

test('a table with rows is no dashboard; one that is elsewhere, or unfolds without end, is none either', () => {
  for (const document of [
    { tables: { a: { rows: [{ x: 1 }] } } },
    { kind: 'GrafanaDashboard', spec: { url: 'http://dashboards/1' } },
    { kind: 'GrafanaDashboard', spec: { gzipJson: 'no' } },
    { kind: 'GrafanaDashboard', spec: { gzipJson: gzipSync(Buffer.alloc(40_000_000)).toString('base64') } },
  ]) {
    const opened = parse(JSON.stringify(document));
    assert.ok(typeof opened !== 'string');
    assert.equal(contentOf(opened), undefined);
  }
});

test('queries of other data sources are counted by their kind, calculations are not; a snapshot has none', () => {
  const { queries, notes } = read({
    title: 'Mixed',
    __inputs: [{ name: 'DS_LOGS', type: 'datasource', pluginId: 'loki' }],
    panels: [
      {
        datasource: { uid: '-- Mixed --' },
        targets: [
          { expr: 'redis_up', datasource: { type: 'prometheus' } },
          { expr: '{a="b"}', datasource: { type: 'loki' } },
          { expr: '{a="c"}', datasource: { uid: '${DS_LOGS}' } },
          { rawSql: 'SELECT 1', datasource: { type: 'mysql' } },
          { refId: 'X', type: 'math', expression: '$A', datasource: { type: '__expr__' } },
          { refId: 'Y', panelId: 2, datasource: { type: 'datasource', uid: '-- Dashboard --' } },
          { refId: 'Z' },
        ],
      },
      { datasource: 'Elastic', targets: [{ query: 'status:500' }] },
    ],
  });
  assert.equal(queries.length, 1);
  assert.deepEqual(notes, ['queries of other data sources are not judged: 2 of loki, 1 of mysql, 1 of Elastic']);
  const snapshot = read({ dashboard: { title: 'S', panels: [{ snapshotData: [{}], targets: [] }] } });
  assert.deepEqual(snapshot.notes, ['a snapshot: its panels hold data in place of queries']);
});
