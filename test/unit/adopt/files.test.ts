// Files, folders and what is wrong with them: one that is broken names its place, and the others are judged.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { adopt, exitStatusOf, type AdoptReport } from '../../../exporter/adopt/adopt.ts';
import { adoptText } from '../../../exporter/adopt/text.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adopt-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const placesOf = (report: AdoptReport): string[] =>
  report.files.flatMap((f) => f.expressions.map((e) => `${e.verdict} ${e.place} ${String(e.line)}`));
const problemsOf = (report: AdoptReport): string[] => report.files.flatMap((f) => f.problems);

const rules = `groups:
- name: db
  # expr: in a comment
  rules:
  - record: instance:lag
    expr: mysql_slave_status_seconds_behind_master
      - mysql_slave_status_sql_delay
  - alert: Lag
    expr: |
      instance:lag > 30
    labels: {severity: page}
  - {alert: Size, expr: mysql_info_schema_table_size > 1}
`;

test('rules: group, rule and line; a recorded name is as good as what it is made of', async () => {
  const report = await adopt([await file('db.rules.yml', rules)]);
  assert.deepEqual(placesOf(report), ['served db / instance:lag 6', 'served db / Lag 9', 'not_served db / Size 12']);
  assert.equal(exitStatusOf(report), 1);
  const other = `groups: [{name: g, rules: [
    {record: 'a:b', expr: mysql_info_schema_table_size},
    {alert: Far, expr: 'a:b > 1'},
    {record: 'x:x', expr: 'x:x + mysql_up'},
    {alert: Self, expr: 'x:x > 1'},
    {record: 'l:l', expr: 'sum by (instance) (redis_up)'},
    {alert: Join, expr: 'l:l and on (instance) l:l'}]}]`;
  assert.deepEqual(placesOf(await adopt([await file('other.yml', other)])), [
    'not_served g / a:b 2',
    'not_served g / Far 3',
    'served g / x:x 4',
    'served g / Self 5',
    'raw g / l:l 6',
    'raw g / Join 7',
  ]);
});

test('the same rules in a PrometheusRule, in a list of them, in a ConfigMap; provisioned rules of Grafana', async () => {
  const inner = rules.replaceAll('\n', '\n  ').trimEnd();
  const resource = `apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nspec:\n  ${inner}\n`;
  const map = `kind: ConfigMap\ndata:\n  db.yml: |\n    ${rules.replaceAll('\n', '\n    ').trimEnd()}\n  note.txt: hello\n`;
  const grafana = `apiVersion: 1
groups:
- name: g
  folder: f
  rules:
  - title: Down
    data:
    - {refId: A, datasourceUid: prom, model: {expr: 'mysql_up{instance=~"$i"}'}}
    - {refId: C, datasourceUid: __expr__, model: {type: threshold}}
`;
  assert.deepEqual(placesOf(await adopt([await file('two.yml', `${resource}---\n${resource}`)])).slice(2), [
    'not_served db / Size 15',
    'served db / instance:lag 25',
    'served db / Lag 28',
    'not_served db / Size 31',
  ]);
  const list = `kind: List\nitems:\n- ${resource.trimEnd().replaceAll('\n', '\n  ')}\n`;
  assert.equal(placesOf(await adopt([await file('list.yml', list)])).length, 3);
  assert.deepEqual(placesOf(await adopt([await file('map.yml', map)])), [
    'served db / instance:lag undefined',
    'served db / Lag undefined',
    'not_served db / Size undefined',
  ]);
  assert.deepEqual(placesOf(await adopt([await file('grafana.yml', grafana)])), ['raw g / Down / A undefined']);
});

test('a dashboard of the Grafana Operator; other texts beside rules in a ConfigMap', async () => {
  const dashboard = '{"title": "x", "panels": [{"title": "P", "targets": [{"refId": "A", "expr": "redis_up"}]}]}';
  const resource = `kind: GrafanaDashboard\nspec:\n  json: >\n    ${dashboard}\n`;
  assert.deepEqual(placesOf(await adopt([await file('operator.yml', resource)])), ['served P / A undefined']);
  const mixed = `kind: ConfigMap\ndata:\n  my.cnf: |\n    [client]\n    user=x\n  d.json: '${dashboard}'\n`;
  const report = await adopt([await file('mixed.yml', mixed)]);
  assert.deepEqual([placesOf(report), problemsOf(report)], [['served P / A undefined'], []]);
  const broken = await adopt([await file('broken.yml', mixed.replace('my.cnf', 'my.json'))]);
  assert.match(problemsOf(broken).join('\n'), /^my\.json: neither JSON/);
});

test('a rule that records under a name that is served here', async () => {
  const text =
    'groups: [{name: g, rules: [{record: mysql_heartbeat_lag_seconds, expr: mysql_heartbeat_now_timestamp_seconds - mysql_heartbeat_stored_timestamp_seconds}]}]';
  const report = await adopt([await file('records.yml', text)]);
  assert.match(
    adoptText(report, false),
    /BREAKS: g \/ mysql_heartbeat_lag_seconds[^]*pipemedic serves mysql_heartbeat_lag_seconds itself/,
  );
});

test('rules, dashboards and jobs in one file of several resources; inside values of a chart; a list of rules by itself', async () => {
  const dashboard = '{"title": "x", "panels": [{"title": "P", "targets": [{"refId": "A", "expr": "redis_up"}]}]}';
  const resources = `kind: PrometheusRule\nspec: {groups: [{name: g, rules: [{alert: A, expr: mysql_up == 0}]}]}\n---\nkind: ConfigMap\ndata:\n  d.json: '${dashboard}'\n`;
  assert.deepEqual(placesOf(await adopt([await file('all.yml', resources)])), [
    'served g / A undefined',
    'served P / A undefined',
  ]);
  const values = `prometheus:
  spec:
    additionalScrapeConfigs:
    - {job_name: mysql, static_configs: [{targets: ['db1:9104']}]}
rulesMap:
  db:
    groups:
    - name: g
      rules:
      - alert: A
        expr: mysql_up == 0
alerts:
- alert: B
  expr: redis_up == 0
ports: [{name: http}]
`;
  const report = await adopt([await file('values.yml', values)]);
  assert.deepEqual(placesOf(report), ['served g / A 11', 'served B 14']);
  assert.deepEqual(
    report.files.flatMap(({ jobs }) => jobs.map(({ job }) => job)),
    ['mysql'],
  );
  assert.deepEqual(placesOf(await adopt([await file('bare.yml', '- {alert: A, expr: mysql_up == 0}')])), [
    'served A 1',
  ]);
  const old = 'ALERT Down\n  IF mysql_up == 0\n  FOR 1m\n';
  assert.match(problemsOf(await adopt([await file('one.rules', old)])).join(), /form of Prometheus 1/);
});

test('shared labels by YAML anchors and merge keys', async () => {
  const text = `groups: [{name: g, rules: [{alert: A, expr: mysql_up == 0, labels: &l {a: b}}, {alert: B, expr: redis_up == 0, labels: {<<: *l, c: d}}]}]`;
  assert.deepEqual(placesOf(await adopt([await file('anchors.yml', text)])), ['served g / A 1', 'served g / B 1']);
});

test('one broken file names place and reason, and does not stop the others', async () => {
  const good = await file('good.yml', 'groups: [{name: g, rules: [{alert: A, expr: mysql_up == 0}]}]');
  for (const [name, content, problem] of [
    ['syntax.yml', 'groups:\n- name: a\n  rules: [', /^not YAML in line \d+: /],
    [
      'helm.yml',
      'groups:\n{{- range .Values.x }}\n- name: {{ . }}\n{{- end }}\n',
      /^a template, no YAML yet: line 2 is \{\{- range .Values.x \}\}; render it first/,
    ],
    ['top.yml', '{{- if .Values.on }}\ngroups: []\n{{- end }}', /^a template, no YAML yet: line 1/],
    ['jinja.yml', 'groups:\n- name: g\n  rules:\n  - alert: A\n    expr: {{ limit }} < 3\n', /^a template.*line 5/],
    [
      'indent.yml',
      'groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n   for: 5m\n    annotations: {a: "{{ $labels.job }}"}\n',
      /^not YAML in line \d+: [^{]*$/,
    ],
    [
      'templated.yml',
      'groups: [{name: g, rules: [{alert: A, expr: \'up{job="{{ .Release.Name }}"} == 0\'}]}]',
      /^groups\[0\]\.rules\[0\]\.expr \(g \/ A\): holds a template, \{\{ \.Release/,
    ],
    ['mixin.libsonnet', '{ _config+:: {} }', /^Jsonnet: render it first/],
    ['monitor.yml', 'kind: ServiceMonitor\nspec: {endpoints: []}', /^a ServiceMonitor of the Prometheus Operator/],
    ['cut.json', '{"panels": [{"title": "x"', /^neither JSON \(.*\) nor YAML \(not YAML in line 1/],
    [
      'bytes.yml',
      Buffer.concat([Buffer.from('groups:\n- name: '), Buffer.from([0xff, 0xfe]), Buffer.from('\n')]),
      /^not UTF-8 in line 2$/,
    ],
    ['utf16.yml', Buffer.from('\ufeffgroups: []', 'utf16le'), /^UTF-16: save it as UTF-8$/],
    ['no-list.yml', 'groups: [{name: g, rules: 7}]', /^groups\[0\]: rules is the number 7, not a list$/],
    ['no-expr.yml', 'groups: [{name: g, rules: [{alert: A}]}]', /^groups\[0\]\.rules\[0\]\.expr \(g \/ A\): missing/],
    [
      'list-expr.yml',
      'groups: [{name: g, rules: [{alert: A, expr: [1]}]}]',
      /rules\[0\]\.expr \(g \/ A\): a list, not an expression/,
    ],
    ['map-expr.yml', 'groups: [{name: g, rules: [{record: r, expr: {a: 1}}]}]', /\(g \/ r\): a mapping/],
    ['nameless.yml', 'groups: [{name: g, rules: [{expr: mysql_up}]}]', /neither alert nor record/],
    ['null-rule.yml', 'groups: [{name: g, rules: [~, {alert: B, expr: up}]}]', /rules\[0\]: missing, not a rule/],
    ['null-group.yml', 'groups: [~]', /^groups\[0\]: rules is missing/],
    ['scalar.yml', 'hello', /^neither rules, nor a dashboard/],
    ['empty.yml', '', /^nothing is in it$/],
    ['empty.json', '{}', /^neither rules/],
    [
      'long.yml',
      `groups: [{name: g, rules: [{alert: A, expr: "${'x'.repeat(60_000)}"}]}]`,
      /longer than 50000 characters/,
    ],
  ] as const) {
    const report = await adopt([await file(name, content), good]);
    assert.match(problemsOf(report).join('\n'), problem, name);
    assert.equal(exitStatusOf(report), 2, name);
    assert.ok(placesOf(report).includes('served g / A 1'), name);
    assert.ok(adoptText(report, true).includes(name));
  }
  const gone = await adopt([join(folder, 'gone.yml'), join(folder, 'none-*.yml'), good]);
  assert.equal(problemsOf(gone).filter((p) => p === 'there is no such file, and no file that fits').length, 2);
  const numbers = await adopt([await file('number.yml', 'groups: [{name: g, rules: [{record: one, expr: 1}]}]')]);
  assert.deepEqual(placesOf(numbers), ['served g / one 1']);
});

test('folders and patterns; what is neither rules nor dashboards is passed over there', async () => {
  const inner = join(folder, 'tree', 'deep');
  await mkdir(inner, { recursive: true });
  await file('tree/a.yml', 'groups: [{name: g, rules: [{alert: A, expr: mysql_up == 0}]}]');
  await file(
    'tree/deep/b.json',
    '{"title": "x", "panels": [{"title": "P", "targets": [{"refId": "A", "expr": "redis_up"}]}]}',
  );
  await file('tree/values.yaml', 'replicas: 3');
  await file('tree/readme.md', '# no');
  const report = await adopt([join(folder, 'tree')]);
  assert.deepEqual(placesOf(report), ['served g / A 1', 'served P / A undefined']);
  assert.deepEqual(report.passedOver, [join(folder, 'tree', 'values.yaml')]);
  assert.equal(exitStatusOf(report), 0);
  assert.equal(placesOf(await adopt([join(folder, 'tree', '*.yml')])).length, 1);
  assert.equal(placesOf(await adopt([join(folder, 'tr*')])).length, 2);
  assert.equal(exitStatusOf(await adopt([])), 2);
});

test('hostile files end in a sentence, and soon', async () => {
  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 12; i += 1) {
    const [name, of] = [String.fromCharCode(97 + i), String.fromCharCode(96 + i)];
    bomb.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${of}`).join(', ')}]`);
  }
  const rule = '{alert: A, expr: mysql_up}';
  const group = `{name: g, rules: &r [${Array.from({ length: 1000 }, () => rule).join(',')}]}`;
  const many = Array.from({ length: 2_000 }, () => '{name: h, rules: *r}').join(',');
  const cases: readonly (readonly [string, string, RegExp | undefined])[] = [
    ['bomb.yml', `${bomb.join('\n')}\ngroups: *l\n`, /rules is a list|not a list/],
    ['bomb2.yml', `groups: [${group},${many}]`, /more than 20000 rules/],
    ['aliases.yml', `x: &x 1\ny: [${'*x,'.repeat(30_000)}]`, /not YAML/],
    ['nested.yml', '['.repeat(200_000), /not YAML/],
    ['nested.json', `${'{"spec":'.repeat(50_000)}{}${'}'.repeat(50_000)}`, /neither rules/],
    ['lists.json', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, /neither rules/],
    [
      'large.yml',
      `groups:\n- name: g\n  rules:\n${"  - {alert: A, expr: 'sum by (x) (rate(mysql_global_status_questions[5m])) > 1'}\n".repeat(2_000)}# ${'x'.repeat(9_800_000)}\n`,
      undefined,
    ],
    [
      'proto.json',
      '{"__proto__": {"panels": []}, "constructor": 1, "panels": [{"targets": [{"expr": "mysql_up"}], "__proto__": 1}]}',
      undefined,
    ],
  ];
  for (const [name, text, problem] of cases) {
    const report = await adopt([await file(name, text)]);
    if (problem === undefined) assert.deepEqual(problemsOf(report), [], name);
    else assert.match(problemsOf(report).join('\n'), problem, name);
    assert.ok(adoptText(report, false).length < 100_000, name);
  }
  const big = await adopt([await file('big.yml', Buffer.alloc(33 * 1024 * 1024, 32))]);
  assert.match(problemsOf(big).join(), /more than 33554432 are not read/);
});

test('a file of values that is too large to be looked through says so beside what was found', async () => {
  const rulesOf = (name: string): string => `${name}:\n  rules:\n  - {alert: ${name}, expr: mysql_up}\n`;
  const filler = Array.from({ length: 25_000 }, (_, i) => `  k${String(i)}: {v: 1}\n`).join('');
  const notesOf = (report: AdoptReport): string[] => report.files.flatMap((f) => f.notes);
  const all = await adopt([await file('values.yaml', `${rulesOf('a')}other:\n  k: {v: 1}\n${rulesOf('b')}`)]);
  assert.deepEqual([placesOf(all).length, notesOf(all)], [2, []]);
  const cut = await adopt([await file('values.yaml', `${rulesOf('a')}other:\n${filler}${rulesOf('b')}`)]);
  assert.equal(placesOf(cut).length, 1);
  assert.match(notesOf(cut).join(), /looked through to 20000 lists/);
});

test('nothing of a file reaches the terminal as a command', async () => {
  const report = await adopt([
    await file(
      'esc.json',
      JSON.stringify({
        panels: [{ title: '\u001b]0;x\u0007\u009b31m', targets: [{ refId: '\u202eA', expr: 'shop_\u001b[2J' }] }],
      }),
    ),
  ]);
  assert.doesNotMatch(adoptText(report, true).replaceAll('\n', ''), /[\p{Cc}\p{Bidi_Control}]/u);
});

const jobs = '- job_name: cache\n  static_configs: [{targets: ["r:9121"]}]\n';
const indented = jobs.replaceAll(/^/gm, '      ').trimEnd();
for (const [what, text] of [
  ['a chart', `prometheus:\n  extraScrapeConfigs: |\n${indented}\n`],
  ['a chart with rules beside it', `extra: |\n${indented}\nserverFiles: {r.yml: {groups: [{name: g, rules: []}]}}\n`],
  ['a compose file', `services: {p: {}}\nconfigs:\n  prom:\n    content: |\n      scrape_configs:\n${indented}\n`],
  ['a Secret', `kind: Secret\ndata: {add.yaml: ${Buffer.from(jobs).toString('base64')}}`],
  ['a Secret that is not coded yet', `kind: Secret\nstringData:\n  add.yaml: |\n${indented}\n`],
  [
    'a Secret behind a rule',
    `kind: PrometheusRule\nspec: {groups: []}\n---\nkind: Secret\ndata: {add.yaml: ${Buffer.from(jobs).toString('base64')}}`,
  ],
] as const) {
  test(`scrape configurations as a text in ${what}`, async () => {
    const { files } = await adopt([await file('held.yml', text)]);
    assert.deepEqual(
      files.flatMap((one) => one.jobs.map(({ job, instances }) => [job, ...instances])),
      [['cache', 'r:9121']],
    );
    assert.deepEqual(
      files.flatMap((one) => one.problems),
      [],
    );
  });
}

test('a text that cannot be read is told by its key; of a Secret nothing is repeated', async () => {
  const broken = "extraScrapeConfigs: |\n  - job_name: 'x'\n  static_configs:\n    - targets: []\n";
  const [chart] = (await adopt([await file('values.yml', broken)])).files;
  assert.deepEqual(chart?.problems, [
    'extraScrapeConfigs: not YAML in line 2: end of the stream or a document separator is expected',
  ]);
  const hidden = `{{ if }}\npassword: hunter2\n{% if x %}- job_name: hunter2`;
  const coded = Buffer.from(`${hidden}\n- job_name: y`).toString('base64');
  const report = await adopt([await file('secret.yml', `kind: Secret\ndata: {a.yaml: ${coded}, tls.key: eA==}`)]);
  assert.deepEqual(
    report.files.flatMap(({ problems }) => problems),
    ['a.yaml of a Secret: neither JSON nor YAML'],
  );
  assert.doesNotMatch(adoptText(report, true), /hunter2/);
});

test('a ServiceMonitor beside rules is told: what it scrapes is not read', async () => {
  const text =
    'kind: ServiceMonitor\nmetadata: {name: db}\nspec: {endpoints: []}\n---\nkind: PrometheusRule\nspec: {groups: [{name: g, rules: [{alert: A, expr: mysql_up == 0}]}]}';
  const [found] = (await adopt([await file('both.yml', text)])).files;
  assert.equal(found?.expressions.length, 1);
  assert.match(found.notes.join(), /^the ServiceMonitor db is not read: name the configuration/);
});

test('groups without rules are taken, as Prometheus takes them; what has something else in their place is not', async () => {
  const [found] = (await adopt([await file('none.yml', 'groups: [{name: a}, {name: b, interval: 1m, rules: }]')]))
    .files;
  assert.deepEqual([found?.kind, found?.problems], ['rules', []]);
  const [other] = (await adopt([await file('other.yml', 'groups: [{name: Databases, services: [{name: MySQL}]}]')]))
    .files;
  assert.deepEqual(other?.problems, ['groups[0]: rules is missing, not a list']);
});

test('rules that are no PromQL are told and left alone: of Graphite in vmalert, of Loki in Grafana', async () => {
  const text = [
    'groups:',
    "- {name: g, type: graphite, rules: [{alert: G, expr: 'alias(a.b)'}]}",
    '- {name: p, type: prometheus, rules: [{alert: P, expr: redis_up == 0}]}',
    '- name: managed',
    '  rules:',
    '  - name: Named',
    '    data:',
    '    - {refId: L, model: {expr: \'{a="b"} |= "c"\', datasource: {type: loki}}}',
    '    - {refId: M, model: {expr: mysql_up == 0}}',
  ].join('\n');
  const [found] = (await adopt([await file('types.yml', text)])).files;
  assert.deepEqual(
    found?.expressions.map(({ place, verdict }) => [place, verdict]),
    [
      ['p / P', 'served'],
      ['managed / Named / M', 'served'],
    ],
  );
  assert.deepEqual(found.notes, ['the group g is of the type graphite: no PromQL, not judged']);
});

test('what was saved by mistake is told as what it is', async () => {
  for (const [name, content, said] of [
    ['login.json', '<!DOCTYPE html><html></html>', /^a page for a browser/],
    ['noted.json', '// mine\n{"panels": []}', /^begins with a comment/],
    ['wide.json', Buffer.from('\ufeff{"panels": []}', 'utf16le'), /^UTF-16: save it as UTF-8$/],
    ['x.alloy', 'prometheus.scrape "x" {}', /Alloy/],
    [
      'elsewhere.yml',
      'kind: GrafanaDashboard\nspec: {grafanaCom: {id: 7362}}',
      /^a GrafanaDashboard whose dashboard is elsewhere/,
    ],
  ] as const) {
    const path = await file(name, '');
    await writeFile(path, content);
    const [found] = (await adopt([path])).files;
    assert.match(found?.problems.join() ?? '', said, name);
  }
});

test('templates of Jinja that begin with a comment, of Terraform, and of Helm with variables', async () => {
  for (const [text, line] of [
    ['{# licence #}\na: [ {{ x }} ]\n', 1],
    ['a: [\n  %{~ for h in hosts ~}\n  x,\n  %{~ endfor ~}\n]', 2],
    ['- a: 1\n\n{{- $v := .x -}}\n', 3],
  ] as const) {
    const [found] = (await adopt([await file('t.yml', text)])).files;
    assert.match(found?.problems.join() ?? '', new RegExp(`^a template, no YAML yet: line ${String(line)} is `));
  }
});

test('tags of other programs are no reason not to read the rest', async () => {
  const text =
    "password: !vault |\n  $ANSIBLE_VAULT;1.1\nx: !reference [a, b]\njobs:\n- {job_name: redis, static_configs: [{targets: ['r:9121']}]}\n";
  const [found] = (await adopt([await file('vault.yml', text)])).files;
  assert.deepEqual(found?.problems, []);
  assert.deepEqual(
    found.jobs.map(({ instances }) => instances),
    [['r:9121']],
  );
  const [rules] = (
    await adopt([await file('sub.yml', 'groups: [{name: g, rules: [{alert: A, expr: !Sub redis_up == 0}]}]')])
  ).files;
  assert.equal(rules?.expressions[0]?.verdict, 'served');
});
