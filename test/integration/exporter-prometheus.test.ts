// What a real Prometheus makes of the exposition: its parser is the one that matters.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { test } from 'node:test';
import { counter, gauge, untyped } from '../../exporter/families.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { pause } from '../../exporter/runtime/deadline.ts';
import { closeServer, createHttpServer, listen } from '../../exporter/runtime/http.ts';
import { contentTypes, join, negotiate, type Format } from '../../exporter/scrape/exposition.ts';
import { SampleWriter, type Block } from '../../exporter/scrape/writer.ts';

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

async function freePort(): Promise<number> {
  const server = createSocketServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const installed = spawnSync('prometheus', ['--version']).status === 0;

test(
  'Prometheus reads both formats, every series of them',
  { skip: !installed && 'prometheus is not installed' },
  async (t) => {
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
    const folder = await mkdtemp(joinPath(tmpdir(), 'pipemedic-prometheus-'));
    const own = await freePort();
    const job = (name: string): object => ({
      job_name: name,
      metrics_path: `/${name}`,
      static_configs: [{ targets: [`127.0.0.1:${String(port)}`] }],
    });
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [job('text'), job('open')],
    };
    await writeFile(joinPath(folder, 'prometheus.yml'), JSON.stringify(config));
    const child = spawn(
      'prometheus',
      [
        `--config.file=${folder}/prometheus.yml`,
        `--storage.tsdb.path=${folder}/data`,
        `--web.listen-address=127.0.0.1:${String(own)}`,
        '--log.level=warn',
      ],
      { stdio: 'ignore' },
    );
    t.after(async () => {
      child.kill('SIGKILL');
      await once(child, 'close');
      await rm(folder, { recursive: true, force: true });
    });

    const query = async (expression: string): Promise<Map<string, string>> => {
      try {
        const res = await fetch(`http://127.0.0.1:${String(own)}/api/v1/query?query=${encodeURIComponent(expression)}`);
        const { data } = (await res.json()) as {
          data: { result: { metric: { job: string }; value: [number, string] }[] };
        };
        return new Map(data.result.map((r) => [r.metric.job, r.value[1]]));
      } catch {
        return new Map(); // not up yet
      }
    };
    const endMs = performance.now() + 60_000;
    const wanted = String(values.length * families.length);
    let count = await query('count by (job) ({__name__=~"hostile.*"})');
    while (count.get('text') !== wanted || count.get('open') !== wanted) {
      const reasons = await fetch(`http://127.0.0.1:${String(own)}/api/v1/targets`).then((r) => r.text(), String);
      assert.ok(performance.now() < endMs, `${JSON.stringify([...count])} of ${wanted}: ${reasons}`);
      await pause(200);
      count = await query('count by (job) ({__name__=~"hostile.*"})');
    }
    assert.deepEqual(
      await query('up'),
      new Map([
        ['text', '1'],
        ['open', '1'],
      ]),
    );
    assert.deepEqual(asked, new Set(['text', 'openmetrics']));
    assert.equal((await query('hostile{target="a\\"b\\\\c\\nd",value="\\n.2",job="text"}')).get('text'), '1');
  },
);
