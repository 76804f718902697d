// /probe, /sd and /metrics?self=1 as HTTP answers them, over targets that are scripted.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test, type TestContext } from 'node:test';
import { inventoryOf, type Inventory } from '../../../exporter/config/inventory.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { defaultDeadline } from '../../../exporter/scrape/deadline.ts';
import type { DiscoveryGroup } from '../../../exporter/scrape/discovery.ts';
import { componentsOf, discoveryOf } from '../../../exporter/scrape/discovery.ts';
import { withoutInventoryLabels } from '../../../exporter/scrape/probe.ts';
import { SampleWriter } from '../../../exporter/scrape/writer.ts';
import { gauge, summary } from '../../../exporter/families.ts';
import { serve } from '../../../exporter/serve.ts';
import { systems } from '../../../exporter/systems/index.ts';
import { parseExposition, valueOf } from '../../support/exposition-parser.ts';
import { fakeSystem, script, type Script } from '../../support/fake-system.ts';
import { portOf } from '../../support/serving-port.ts';

const redis = { name: 'cache', kind: 'redis', address: { host: '127.0.0.1', port: 1 } };

function fakes(scripts: Readonly<Record<string, Script>>, more: readonly object[] = []): Inventory {
  const targets = Object.keys(scripts).map((id) => ({
    name: id,
    kind: 'fake',
    address: { id },
    labels: { team: `the "${id}"\n` },
    ...(id === 'b' ? { instance: 'b.example:9104' } : {}),
  }));
  return inventoryOf({ targets: [...targets, ...more] }, 'test.yml', [fakeSystem(scripts), ...systems]);
}

async function serving(t: TestContext, inventory: Inventory): Promise<(path: string) => Promise<Response>> {
  const exporter = await serve({
    load: () => Promise.resolve(inventory),
    listen: [{ host: '127.0.0.1', port: 0 }],
    version: '1.2.3',
    clock: systemClock,
    log: createLog('test', 'silent'),
    pipelines: () => undefined,
    deadline: { ...defaultDeadline, defaultMs: 3000 },
  });
  t.after(exporter.stop);
  return (path) => fetch(`http://127.0.0.1:${portOf(exporter)}${path}`);
}

test('a probe has the series of one target without the labels of the inventory, and nothing of the program', async (t) => {
  const get = await serving(t, fakes({ a: script(), b: script() }));
  const text = await (await get('/probe?target=a')).text();
  const whole = parseExposition(await (await get('/metrics')).text());
  const probed = parseExposition(text);
  assert.equal(valueOf(probed, 'pipemedic_target_up', {}), 1);
  assert.doesNotMatch(text, /target=|team=|pipemedic_exporter_|process_|pipemedic_target_info/);
  for (const [name, family] of whole) {
    const mine = family.samples.filter(({ labels }) => labels['target'] === 'a' && labels['team'] !== undefined);
    const bare = mine.map(({ labels: { target: _target, team: _team, ...rest } }) => rest);
    const seen = probed.get(name)?.samples.map(({ labels }) => labels) ?? [];
    assert.deepEqual(seen, bare, name);
  }
});

test('a name that is not in the inventory is 400 with the reason, and nothing is asked', async (t) => {
  const a = script();
  const get = await serving(t, fakes({ a }, [redis]));
  for (const [path, reason] of [
    ['/probe', /one target=NAME or one pipeline=NAME/],
    ['/probe?target=a&target=a', /one target=NAME/],
    ['/probe?target=nope%0Ainjected', /there is no target "nope\\ninjected" in the inventory; \/sd lists them/],
    ['/probe?target=127.0.0.1:3306', /there is no target "127\.0\.0\.1:3306"/],
    [`/probe?target=${'x'.repeat(4000)}`, /there is no target "x{80}…"/],
    ['/probe?pipeline=nope', /there is no pipeline "nope"/],
    ['/probe?pipeline=nope&collect[]=value', /collect\[\] goes with a target/],
    ['/probe?target=a&collect[]=nope', /a has no collector "nope"; there are value/],
    ['/probe?target=cache&collect[]=redis_streams', /redis_streams is off for cache|has no collector/],
    ['/metrics?self=2', /self: 1 is the only value/],
    ['/metrics?target=a', /^target goes with \/probe; \/metrics is the whole inventory$/m],
    ['/metrics?collect[]=value', /^collect\[\] goes with \/probe/],
  ] as const) {
    const answer = await get(path);
    const text = await answer.text();
    assert.equal(answer.status, 400, path);
    assert.match(text, reason);
    assert.ok(text.length < 300);
  }
});

test('collect[] runs the named collectors only', async (t) => {
  let runs = 0;
  const a = script({
    collect: () => {
      runs += 1;
      return Promise.resolve();
    },
  });
  const get = await serving(t, fakes({ a }));
  const all = parseExposition(await (await get('/probe?target=a')).text());
  const names = all.get('pipemedic_collector_success')?.samples.map(({ labels }) => labels['collector'] ?? '') ?? [];
  assert.ok(names.length >= 1);
  const before = runs;
  const one = parseExposition(await (await get(`/probe?target=a&collect[]=${names[0] ?? ''}`)).text());
  assert.deepEqual(
    one.get('pipemedic_collector_success')?.samples.map(({ labels }) => labels['collector']),
    [names[0]],
  );
  assert.ok(runs <= before + 1);
});

test('self=1: the program and its inventory, and no target is asked', async (t) => {
  const get = await serving(t, fakes({ a: script() }));
  await (await get('/metrics')).text();
  const found = parseExposition(await (await get('/metrics?self=1')).text());
  assert.equal(valueOf(found, 'pipemedic_target_info', { target: 'a', kind: 'fake' }), 1);
  assert.ok(found.has('pipemedic_exporter_build_info'));
  assert.ok(!found.has('pipemedic_target_up'));
});

test('service discovery: the door, the name, the identity, the labels, at the address that was asked', async (t) => {
  const get = await serving(t, fakes({ a: script(), b: script() }));
  const answer = await get('/sd');
  assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
  const groups = (await answer.json()) as readonly DiscoveryGroup[];
  const [a, b] = groups;
  assert.match(a?.targets[0] ?? '', /^127\.0\.0\.1:\d+$/);
  assert.deepEqual(a?.labels, {
    __metrics_path__: '/probe',
    __param_target: 'a',
    __meta_pipemedic_kind: 'fake',
    __meta_pipemedic_component: 'a',
    team: 'the "a"\n',
    instance: 'a',
    target: 'a',
  });
  assert.equal(b?.labels['instance'], 'b.example:9104');
});

test('a Host header that is none is refused', async (t) => {
  const get = await serving(t, fakes({ a: script() }));
  const { port } = new URL((await get('/sd')).url);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path: '/sd', headers: { host: 'evil"><script>:1' } }, (res) => {
      res.resume();
      resolve(res.statusCode);
    });
    asked.on('error', reject).end();
  });
  assert.equal(status, 400);
});

test('reload by POST is refused where nobody has to say who he is, and by GET always', async (t) => {
  const inventory = fakes({ a: script() });
  const get = await serving(t, inventory);
  const { origin } = new URL((await get('/-/healthy')).url);
  const posted = await fetch(`${origin}/-/reload`, { method: 'POST' });
  assert.equal(posted.status, 403);
  assert.match(await posted.text(), /send SIGHUP, or set --web\.config\.file/);
  const got = await get('/-/reload');
  assert.deepEqual([got.status, got.headers.get('allow')], [405, 'POST']);
});

test('what a pipeline or a reference joins is one component, named by its first target', () => {
  const targets = new Map(['z', 'db1', 'maxwell1', 'cache1', 'alone'].map((name) => [name, undefined as never]));
  const members = [
    { pipeline: 'orders', target: 'db1', role: 'source' as const },
    { pipeline: 'orders', target: 'cache1', role: 'cache_primary' as const },
  ];
  const upstreams = new Map([['maxwell1', new Set(['db1', 'z'])]]);
  const of = componentsOf({ targets, members, upstreams });
  assert.deepEqual(
    ['z', 'db1', 'maxwell1', 'cache1', 'alone'].map((name) => of(name)),
    ['cache1', 'cache1', 'cache1', 'cache1', 'alone'],
  );
  const groups = discoveryOf({ targets: new Map(), members, upstreams, pipelines: [{ name: 'orders' }] }, 'pm:9930');
  assert.deepEqual(groups, [
    {
      targets: ['pm:9930'],
      labels: {
        __metrics_path__: '/probe',
        __param_pipeline: 'orders',
        __meta_pipemedic_kind: 'pipeline',
        __meta_pipemedic_component: 'cache1',
        instance: 'pipeline:orders',
      },
    },
  ]);
});

test('only the labels of the inventory are taken out, whatever the others hold', () => {
  const target = { name: 'a"{},\n', labels: { team: 'x' } } as unknown as Inventory['targets'] extends ReadonlyMap<
    string,
    infer T
  >
    ? T
    : never;
  const writer = new SampleWriter({ level: 'target', constant: { target: target.name, team: 'x' } });
  const plain = gauge('plain', 'A family.', []);
  const labelled = gauge('labelled', 'A family.', ['of']);
  const parts = summary('parts', 'A family.', ['of']);
  writer.put({ family: plain, value: 1, labels: {} });
  writer.put({ family: labelled, value: 2, labels: { of: '{target="a\\"{},\\n",team="x"' } });
  writer.put({ family: labelled, value: 3, labels: { of: 'né\n"' } });
  writer.put({ family: parts, value: 4, labels: { of: 'y' }, part: '_sum' });
  writer.put({ family: parts, value: 5, labels: { of: 'y' }, part: '_count' });
  const text = withoutInventoryLabels({ target, blocks: writer.finish() })
    .map(({ bytes }) => bytes.toString())
    .join('');
  assert.equal(
    text,
    [
      'plain 1',
      'labelled{of="{target=\\"a\\\\\\"{},\\\\n\\",team=\\"x\\""} 2',
      'labelled{of="né\\n\\""} 3',
      'parts_sum{of="y"} 4',
      'parts_count{of="y"} 5',
      '',
    ].join('\n'),
  );
});

test('targets that hang keep nobody out who asks for another one', async (t) => {
  let finish = (): void => undefined;
  const made = new Promise<void>((resolve) => (finish = resolve));
  const get = await serving(t, fakes({ hang: script({ open: () => made }), well: script() }));
  const waiting = Array.from({ length: 100 }, () => get('/probe?target=hang'));
  try {
    assert.equal((await get('/probe?target=well')).status, 200);
  } finally {
    finish();
  }
  const all = await Promise.all(waiting);
  await Promise.all(all.map((answer) => answer.text()));
  assert.ok(all.every(({ status }) => status === 200));
});
