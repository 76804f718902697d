// What a real Prometheus makes of the exposition: its parser is the one that matters.
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { waitFor } from '../../deploy/lab/ready.ts';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import { counter, gauge, untyped } from '../../exporter/families.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { closeServer, createHttpServer, listen } from '../../exporter/runtime/http.ts';
import { contentTypes, join, negotiate, type Format } from '../../exporter/scrape/exposition.ts';
import { SampleWriter, type Block } from '../../exporter/scrape/writer.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { serve } from '../../exporter/serve.ts';
import { systems } from '../../exporter/systems/index.ts';
import { collectPipelines } from '../../exporter/systems/pipeline/collector-pipeline.ts';
import { FlowMemory } from '../../exporter/systems/pipeline/facts-flow.ts';
import { freePort } from '../support/free-port.ts';
import { noPrometheus, startPrometheus } from '../support/prometheus-process.ts';
import { portOf } from '../support/serving-port.ts';

const values = [
  '"',
  '\\',
  '\n',
  '\r',
  '\t',
  '{',
  '}',
  '=',
  ',',
  '#',
  '\\n',
  'é',
  '日本',
  '🐢',
  '\u2028',
  '\0',
  '\ud800',
  'x'.repeat(10_000),
];
const families = [
  gauge('hostile', 'Quotes ", backslashes \\ and\nnewlines.', ['value']),
  counter('hostile_events_total', 'A counter.', ['value']),
  counter('hostile_queries', 'A counter with a name of old.', ['value']),
  untyped('hostile_untyped', 'Untyped.', ['value']),
];

function hostileBlocks(): Block[] {
  const writer = new SampleWriter({ level: 'target', constant: { target: 'a"b\\c\nd' } });
  for (const family of families)
    for (const [i, value] of values.entries())
      writer.put({ family, value: 1, labels: { value: `${value}.${String(i)}` } });
  return writer.finish();
}

const global = { scrape_interval: '1s', scrape_timeout: '1s' };

test('Prometheus reads both formats, every series of them', { skip: noPrometheus }, async (t) => {
  const asked = new Set<Format>();
  const answer = async (req: IncomingMessage): Promise<[Format, Buffer]> => {
    // one job is made to ask for text by its path: 2.42 cannot be told which format to ask for
    const format = req.url === '/text' ? 'text' : negotiate(req.headers.accept);
    asked.add(format);
    return [format, await join(hostileBlocks(), format, systemClock)];
  };
  const server = createHttpServer((req, res) => {
    void answer(req).then(([format, body]) => {
      res.writeHead(200, { 'Content-Type': contentTypes[format] }).end(body);
    });
  });
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  t.after(() => closeServer(server, 0));
  const job = (name: string): object => ({
    job_name: name,
    metrics_path: `/${name}`,
    static_configs: [{ targets: [`127.0.0.1:${String(port)}`] }],
  });
  const prometheus = await startPrometheus(t, { global, scrape_configs: [job('text'), job('open')] });

  const query = async (expression: string): Promise<Readonly<Record<string, number>>> => {
    const found = await prometheus.query(expression);
    return Object.fromEntries<number>(found.map(({ labels, value }) => [labels['job'] ?? '', value]));
  };
  const wanted = values.length * families.length;
  let last = '';
  await waitFor(
    async () => {
      const count = await query('count by (job) ({__name__=~"hostile.*"})');
      const isWhole = count['text'] === wanted && count['open'] === wanted;
      if (!isWhole) last = JSON.stringify([count, await prometheus.api('targets')]);
      return isWhole;
    },
    { deadlineMs: 60_000, what: `${wanted} series of each`, intervalMs: 200, detail: () => last },
  );
  assert.deepEqual(await query('up'), { text: 1, open: 1 });
  assert.deepEqual(asked, new Set(['text', 'openmetrics']));
  assert.deepEqual(await query('hostile{target="a\\"b\\\\c\\nd",value="\\n.2",job="text"}'), { text: 1 });
});

test(
  'two exporters behind service discovery, sharded by component: each target is served once, and what belongs together by one',
  { skip: noPrometheus },
  async (t) => {
    // Nothing listens there: a target that is down is served as well as one that is up.
    const closed = await freePort();
    const mysql = (name: string, more: object = {}): object => ({
      name,
      kind: 'mysql',
      address: { host: '127.0.0.1', port: closed },
      auth: { user: 'exporter', password_file: '/dev/null' },
      labels: { team: name.slice(0, 1) },
      ...more,
    });
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const document = {
      targets: names.flatMap((n) => [mysql(`${n}1`, n === 'a' ? { instance: 'a1.example:9104' } : {}), mysql(`${n}2`)]),
      pipelines: names.map((n) => ({ name: n, objective: '10s', source: `${n}1`, replicas: [`${n}2`] })),
    };
    const start = async (): Promise<number> => {
      const flows = new FlowMemory();
      const serving = await serve({
        load: () => Promise.resolve(inventoryOf(document, 'test.yml', systems)),
        listen: [{ host: '127.0.0.1', port: 0 }],
        version: '1.2.3',
        clock: systemClock,
        log: createLog('test', 'silent'),
        pipelines: (pipelines, board, put, all) => {
          collectPipelines(pipelines, board, put, systemClock, flows, all);
        },
      });
      t.after(() => serving.stop());
      return portOf(serving);
    };
    const ports = [await start(), await start()];
    const { api, query } = await startPrometheus(t, {
      global,
      scrape_configs: [
        {
          job_name: 'pipemedic-probe',
          http_sd_configs: [{ url: `http://127.0.0.1:${ports[0]}/sd`, refresh_interval: '1s' }],
          relabel_configs: [
            {
              source_labels: ['__meta_pipemedic_component'],
              modulus: 2,
              target_label: '__tmp_shard',
              action: 'hashmod',
            },
            ...ports.map((port, i) => ({
              source_labels: ['__tmp_shard'],
              regex: String(i),
              replacement: `127.0.0.1:${port}`,
              target_label: '__address__',
            })),
          ],
        },
      ],
    });
    const series = async (expression: string): Promise<readonly Readonly<Record<string, string>>[]> =>
      (await query(expression)).map(({ labels }) => labels);
    await waitFor(
      async () =>
        (await series('pipemedic_target_up')).length >= 12 && (await series('pipeline_stage_state == 1')).length >= 6,
      { deadlineMs: 60_000, what: 'all targets and pipelines' },
    );
    const served = await series('pipemedic_target_up');
    assert.deepEqual(
      served.map((m) => m['target']).sort(),
      names.flatMap((n) => [`${n}1`, `${n}2`]),
    );
    assert.deepEqual(await series('{__name__=~".+",exported_target!=""}'), []);
    assert.deepEqual(
      served.filter((m) => m['target'] === 'a1').map((m) => [m['instance'], m['team'], m['job']]),
      [['a1.example:9104', 'a', 'pipemedic-probe']],
    );
    assert.deepEqual([...new Set((await series('pipeline_stage_state')).map((m) => m['pipeline']))].sort(), names);
    const { activeTargets } = (await api('targets?state=active')) as {
      activeTargets: { scrapeUrl: string; health: string; discoveredLabels: Record<string, string> }[];
    };
    assert.equal(activeTargets.length, 18);
    const byComponent = new Map<string, Set<string>>();
    for (const { scrapeUrl, health, discoveredLabels } of activeTargets) {
      assert.equal(health, 'up', scrapeUrl);
      const component = discoveredLabels['__meta_pipemedic_component'] ?? '';
      byComponent.set(component, (byComponent.get(component) ?? new Set()).add(new URL(scrapeUrl).port));
    }
    assert.deepEqual(
      [...byComponent.keys()].sort(),
      names.map((n) => `${n}1`),
    );
    for (const [component, of] of byComponent) assert.equal(of.size, 1, component);
    assert.equal(new Set([...byComponent.values()].flatMap((of) => [...of])).size, 2, 'both take part');
  },
);
