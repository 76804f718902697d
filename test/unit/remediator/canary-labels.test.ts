// What an alert says is never trusted: every label value (and name, and annotation) of an episode is a token full of what
// shells, SQL and RESP take for more than text. With no guard at all in the way, each registered action looks and begins,
// and no token may be in any byte that left: statements, commands, requests, words of programs, all recorded on the wire.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { connect, createServer, type AddressInfo, type NetConnectOpts, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { systems } from '../../../exporter/systems/index.ts';
import type { Action } from '../../../remediator/action.ts';
import { actions } from '../../../remediator/actions/index.ts';
import { dialectOf } from '../../../remediator/actions/mysql/dialect.ts';
import { openTarget } from '../../../remediator/actions/mysql/facts.ts';
import { withRedis } from '../../../remediator/actions/redis/connection.ts';
import { createEvaluator } from '../../../remediator/evaluator.ts';
import type { Policy } from '../../../remediator/guard.ts';
import { processPending } from '../../../remediator/intake.ts';
import type { Decision, Json } from '../../../remediator/model.ts';
import { defaultLimits } from '../../../remediator/policies.ts';
import { createMetrics } from '../../../remediator/metrics.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import type { Store } from '../../../remediator/store/store.ts';
import { supervisorOf, type SupervisorSettings } from '../../../remediator/supervisors/index.ts';
import { createWorld, type World } from '../../../remediator/world.ts';
import { startEngine } from '../../support/engine-stand-in.ts';
import { hostileMysql, type Reply } from '../../support/hostile-mysql.ts';
import { saneServer } from '../../support/mysql-tape.ts';
import { redisFixture } from '../../support/redis-replies.ts';
import { MovableClock, policy as basePolicy } from './run-harness.ts';

type Labels = Readonly<Record<string, string>>;
/** What left for whom: all bytes that a client has written, or the words of a program. */
type Recorder = 'mysql' | 'redis' | 'docker' | 'http' | 'argv';

/** Found again in whatever way it is quoted or escaped. No NUL: no program can be started with it, so it would hide. */
const core = (n: number): string => `canary${String(n).padStart(3, '0')}token`;
const wild = (n: number): string =>
  `${core(n)}'"\`; $(touch ${core(n)}) | & \\ /*${core(n)}*/ --${core(n)} ../../${core(n)}?x=1#\r\n*1\r\n$8\r\nFLUSHALL\r\n`;
/** A name that a channel may have, as far as its letters go. */
const tame = (n: number): string => `${core(n)}'; STOP SLAVE; -- \`$(id)"`;
/** A connection that the stand-in lists. */
const listedName = 'east';
const anyToken = /canary\d{3}token/gi;

const targetOf: Readonly<Record<string, string>> = {
  'maxwell.restart': 'maxwell1',
  'cdc-service.restart': 'cdc1',
  'mysql.replica.restart-thread': 'db2',
  'redis.replica.reconnect': 'cache2',
  'redis.replica.full-resync': 'cache2',
};
/** Whom each asks when nothing is in its way. */
const asks: Readonly<Record<string, readonly Recorder[]>> = {
  'maxwell.restart': ['mysql', 'docker'],
  'cdc-service.restart': ['http', 'argv'],
  'mysql.replica.restart-thread': ['mysql'],
  'redis.replica.reconnect': ['redis'],
  'redis.replica.full-resync': ['redis'],
};

const dir = mkdtempSync(join(tmpdir(), 'pipemedic-canary-'));
const stack = new AsyncDisposableStack();
const seen = new Map<Recorder, Buffer[]>();
const clock = new MovableClock();
const path = process.env['PATH'] ?? '';
let store: Store;
let world: World;

before(async () => {
  const mysql = stack.use(await hostileMysql({ reply: sqlReply }));
  const mysqlPort = await tapped('mysql', { port: mysql.port, host: '127.0.0.1' });
  const engine = stack.use(await startEngine());
  const socket = join(dir, 'engine.sock');
  await tapped('docker', { path: engine.socket }, socket);
  const http = createHttp((_request, response) => response.writeHead(404).end());
  const httpPort = await tapped('http', { port: await listening(http), host: '127.0.0.1' });
  const primary = await tapped('redis', { port: await respServer('info-7.0.15-primary.txt'), host: '127.0.0.1' });
  const replica = await tapped('redis', { port: await respServer('info-7.0.15-replica-down.txt'), host: '127.0.0.1' });
  for (const name of ['systemctl', 'journalctl', 'jcmd']) program(name);
  process.env['PATH'] = `${dir}:${path}`;
  const host = '127.0.0.1';
  const targets = [
    { name: 'db1', kind: 'mysql', address: { host, port: mysqlPort } },
    { name: 'db2', kind: 'mysql', address: { host, port: mysqlPort } },
    { name: 'maxwell1', kind: 'maxwell', address: { mysql: 'db1' } },
    { name: 'cdc1', kind: 'cdc-service', address: { http: `http://${host}:${String(httpPort)}`, source: 'db1' } },
    { name: 'cache1', kind: 'redis', address: { host, port: primary } },
    { name: 'cache2', kind: 'redis', address: { host, port: replica } },
  ];
  const pipelines = [
    { name: 'p', objective: '10s', source: 'db1', replicas: ['db2'], cdc: 'maxwell1', cache: { primary: 'cache1', replicas: ['cache2'] } },
    { name: 'q', objective: '10s', source: 'db1', cdc: 'cdc1' },
  ]; // prettier-ignore
  const supervisors = new Map<string, SupervisorSettings>([
    ['maxwell1', { kind: 'docker', socket, container: 'cdc', stop_seconds: 5 }],
    ['cdc1', systemd('cdc.service')],
  ]);
  const inventory = inventoryOf({ targets, pipelines }, 'test', systems);
  const settings = { auth: new Map(), supervisors, evidenceDir: join(dir, 'evidence') };
  world = { ...createWorld({ inventory, settings, clock }), inventory };
  store = stack.use(openSqlite({ file: join(dir, 'store.db') }));
});

after(async () => {
  process.env['PATH'] = path;
  await stack[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

const sane = saneServer('mariadb');

/** As a real server did, with a connection of a name; and it gives its locks. */
function sqlReply(sql: string): Reply {
  if (sql.includes('LOCK(')) return { columns: ['got', 'ours'], rows: [['1', '1']] };
  if (sql.includes('CONNECTION_ID() AS connection')) {
    return { columns: ['connection', 'now', 'server_id'], rows: [['7', '1800000000', '2']] };
  }
  if (sql.includes("LIKE 'Uptime'")) return { columns: ['Variable_name', 'Value'], rows: [['Uptime', '86400']] };
  const listed = sane.recorded(sql);
  if (listed?.columns[0] !== 'Connection_name') return sane.reply(sql);
  return { ...listed, rows: listed.rows.map(([, ...cells]) => [listedName, ...cells]) };
}

function systemd(unit: string): SupervisorSettings {
  return { kind: 'systemd', unit, systemctl: [join(dir, 'systemctl')], journalctl: [join(dir, 'journalctl')] };
}

/** Writes its words down, each between two bytes that none of them has, and knows no unit. */
function program(name: string): void {
  const file = join(dir, name);
  writeFileSync(file, `#!/bin/sh\nprintf '%s\\037' ${name} "$@" >> '${join(dir, 'argv')}'\nexit 1\n`);
  chmodSync(file, 0o700);
}

async function listening(server: Server, at: string | number = 0): Promise<number> {
  if (typeof at === 'string') server.listen(at);
  else server.listen(at, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(async () => {
    const closed = once(server, 'close');
    server.close();
    await closed;
  });
  return typeof at === 'string' ? 0 : (server.address() as AddressInfo).port;
}

/** A way to a server on which everything that clients write is kept. */
async function tapped(as: Recorder, to: NetConnectOpts, at: string | number = 0): Promise<number> {
  const kept = seen.get(as) ?? [];
  seen.set(as, kept);
  const server = createServer((client) => {
    const onward = connect(to);
    const end = (): void => {
      client.destroy();
      onward.destroy();
    };
    for (const side of [client, onward]) side.on('error', end).on('close', end);
    stack.defer(end);
    client.on('data', (bytes: Buffer) => kept.push(bytes));
    client.pipe(onward).pipe(client);
  });
  return await listening(server, at);
}

/** Answers INFO as a real server did, lists nothing, and says OK to the rest. */
async function respServer(info: string): Promise<number> {
  const text = redisFixture(info);
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    let buffered = '';
    socket.setEncoding('latin1').on('data', (piece: string) => {
      buffered += piece;
      for (;;) {
        const [all = '', count = ''] = /^\*(\d+)\r\n/.exec(buffered) ?? [];
        const words: string[] = [];
        let at = all.length;
        while (all !== '' && words.length < Number(count)) {
          const [head = '', length = ''] = /^\$(\d+)\r\n/.exec(buffered.slice(at)) ?? [];
          const end = at + head.length + Number(length) + 2;
          if (head === '' || buffered.length < end) break;
          words.push(buffered.slice(at + head.length, end - 2));
          at = end;
        }
        if (all === '' || words.length < Number(count)) return;
        buffered = buffered.slice(at);
        const [first = '', second = ''] = words.map((w) => w.toUpperCase());
        if (first === 'INFO') socket.write(`$${String(Buffer.byteLength(text))}\r\n${text}\r\n`);
        else if (first === 'CLIENT' && second === 'LIST') socket.write('$0\r\n\r\n');
        else if (first === 'CONFIG') socket.write('*0\r\n');
        else socket.write('+OK\r\n');
      }
    });
  });
  return await listening(server);
}

function forget(): void {
  for (const kept of seen.values()) kept.length = 0;
  rmSync(join(dir, 'argv'), { force: true });
}

/** Everything since it was forgotten last, by recorder. */
function recorded(): ReadonlyMap<Recorder, string> {
  const argv = join(dir, 'argv');
  const wires = [...seen].map(([name, kept]) => [name, Buffer.concat(kept).toString('latin1')] as const);
  return new Map<Recorder, string>([...wires, ['argv', existsSync(argv) ? readFileSync(argv, 'latin1') : '']]);
}

function tokensOf(text: string): readonly string[] {
  return [...new Set(text.match(anyToken))];
}

function leaks(): readonly string[] {
  return [...recorded()].flatMap(([name, text]) => tokensOf(text).map((token) => `${name}: ${token}`));
}

let deliveries = 0;

/** A notification as it lies in the store, through the intake, and one evaluation with every guard out of the way. */
async function evaluated(action: Action<World>, labels: Labels, params: Json = {}): Promise<Decision> {
  deliveries += 1;
  const policy: Policy = {
    ...{ ...basePolicy, name: 'p', action: action.name, params, mode: 'auto', match: {}, soakMs: 1 },
    pace: { maxRuns: 1000, windowMs: 3_600_000, cooldownMs: 0, maxRelapses: 1000 },
  };
  const startsAt = new Date(clock.wallMs()).toISOString();
  const annotations = { summary: wild(900), runbook_url: wild(901), [wild(902)]: wild(903) };
  const body = {
    version: '4',
    alerts: [
      {
        status: 'firing',
        labels: { ...labels, delivery: String(deliveries) },
        annotations,
        startsAt,
        fingerprint: wild(904),
      },
    ],
  };
  await store.appendWebhook({
    ...{ source: 'main', receivedMs: clock.nowMs(), receivedBy: 'test', alertCount: 1, truncatedCount: 0 },
    body: Buffer.from(JSON.stringify(body)),
  });
  const opened: string[] = [];
  await processPending({
    store,
    clock,
    log: createLog('test', 'silent'),
    metrics: createMetrics('test'),
    changed: (_source, changes) =>
      void opened.push(...changes.flatMap((c) => (c.change === 'opened' ? [c.episodeId] : []))),
  });
  const [episodeId] = opened;
  assert.ok(episodeId, 'the alert was taken');
  await store.setAlertState(episodeId, 'active', '', clock.nowMs());
  const evaluator = createEvaluator<World>({
    store,
    inventory: world.inventory as Parameters<typeof createEvaluator>[0]['inventory'],
    policies: () => [policy],
    limits: () => ({ ...defaultLimits, global: { maxRuns: 1000, windowMs: 3_600_000, maxConcurrent: 10 } }),
    settings: { switchFile: join(dir, 'PAUSED'), evidenceDir: join(dir, 'evidence'), require: {} },
    actions: [action],
    world,
    clock,
    log: createLog('test', 'silent'),
    metrics: { decision: () => undefined, run: () => undefined },
    holder: 'h1',
    guards: [],
    symptomMs: 0,
  });
  await evaluator.tick();
  await evaluator.drain(AbortSignal.timeout(5_000));
  await evaluator.idle();
  const [decision] = (await store.decisionsOf(episodeId)).slice(-1);
  assert.ok(decision);
  for (const run of await store.activeRuns()) assert.fail(`the run ${run.id} of ${run.action} has no end`);
  for (const latch of await store.latches()) await store.clearLatch(latch.id, 'test', 'next one', clock.nowMs());
  await store.closeEpisode(episodeId, (await store.episode(episodeId))?.version ?? 0, 'healed', clock.nowMs());
  return decision;
}

/** All that an alert may carry and something in a target may be called by; `n` keeps the tokens of each apart. */
function hostile(n: number): Record<string, string> {
  const names = ['alertname', 'instance', 'job', 'severity', 'cluster', 'kind', 'container', 'container_name', 'container_id', 'name', 'id', 'image', 'unit', 'service', 'pid', 'host', 'port', 'socket', 'topic', 'schema', 'database', 'client_id', 'server_id', 'user', 'mysqlUser', 'thread', 'channel', 'connection', 'run_id', 'addr', 'command', 'threadDump', 'policy', 'action']; // prettier-ignore
  return { ...Object.fromEntries(names.map((name, i) => [name, wild(n + i)])), [wild(n + 90)]: wild(n + 91) };
}

for (const action of actions) {
  const target = targetOf[action.name] ?? '';
  const objectLabels = Object.values(action.objectLabels);

  test(`${action.name}: no label reaches what it asks, and it does ask`, async () => {
    forget();
    const decision = await evaluated(action, { ...hostile(0), target });
    assert.equal(decision.target, target);
    assert.equal(decision.verdict, 'act', 'with no guard in its way');
    const all = recorded();
    for (const name of asks[action.name] ?? assert.fail('a new action: say above whom it asks')) {
      assert.notEqual(all.get(name), '', `${action.name} has asked ${name}`);
    }
    assert.deepEqual(leaks(), []);
  });

  test(`${action.name}: a target that is not in the inventory is nothing to ask`, async () => {
    for (const named of [wild(100), tame(101), `${target}${wild(102)}`, `${target}\r\n${core(103)}`]) {
      forget();
      const decision = await evaluated(action, { ...hostile(0), target: named });
      assert.equal(decision.target, undefined);
      assert.deepEqual(leaks(), []);
    }
    forget();
    assert.equal((await evaluated(action, hostile(0))).target, undefined, 'an instance alone');
    assert.deepEqual(leaks(), []);
  });

  for (const label of objectLabels) {
    test(`${action.name}: ${label} is compared with what the server lists, and never sent`, async () => {
      for (const value of [wild(200), tame(201), core(202), `${core(203)}\0`, core(204).repeat(9)]) {
        forget();
        const decision = await evaluated(action, { ...hostile(0), target, [label]: value });
        assert.equal(decision.target, target);
        assert.deepEqual(leaks(), [], JSON.stringify(value));
      }
    });
  }
}

test('mysql.replica.restart-thread: a name that the server lists is found, another is not', async () => {
  const action = actionNamed('mysql.replica.restart-thread');
  const said: string[] = [];
  for (const name of [listedName, tame(400)]) {
    await evaluated(action, { ...hostile(0), target: 'db2', connection_name: name });
    const [run] = await store.runsOf({ target: 'db2', limit: 1 });
    said.push(run?.because ?? '');
  }
  assert.deepEqual(said, [
    'receiver and applier are running',
    'no_such_channel: the server lists no channel or connection of that name',
  ]);
});

// The recorders are not blind: an action that trusts a label is seen, by each of them.

function actionNamed(name: string): Action<World> {
  return actions.find((a) => a.name === name) ?? assert.fail(`no action ${name}`);
}

const trusting: readonly (readonly [Recorder, string, (word: string, world: World, signal: AbortSignal) => unknown])[] =
  [
    [
      'mysql',
      'mysql.replica.restart-thread',
      async (word, world, signal) => {
        await using client = await openTarget('db2', world, signal);
        await client.query(dialectOf(client).stop('io', word), [], { signal, clock });
      },
    ],
    [
      'redis',
      'redis.replica.reconnect',
      (word, world, signal) =>
        withRedis(world, 'cache2', signal, (client, call) => client.send(call, 'CLIENT', 'KILL', 'ADDR', word)),
    ],
    [
      'docker',
      'maxwell.restart',
      (word, _world, signal) =>
        supervisorOf(
          { kind: 'docker', socket: join(dir, 'engine.sock'), container: word, stop_seconds: 5 },
          clock,
        ).state(signal),
    ],
    ['argv', 'cdc-service.restart', (word, _world, signal) => supervisorOf(systemd(word), clock).state(signal)],
  ];

for (const [recorder, name, use] of trusting) {
  test(`a mutant of ${name} that takes any label is caught by the recorder of ${recorder}`, async () => {
    const real = actionNamed(name);
    const label = Object.values(real.objectLabels)[0] ?? 'container';
    const mutant: Action<World> = {
      ...real,
      objectLabels: { word: label },
      params: z.looseObject({}),
      look: async (target, params, world, signal) => {
        const { word } = z.object({ word: z.string() }).parse(params);
        await use(word, world, signal);
        return await real.look(target, {}, world, signal);
      },
      steps: (target, _params, world) => real.steps(target, {}, world),
      lock: undefined,
    };
    forget();
    await evaluated(mutant, { ...hostile(0), target: targetOf[name] ?? '', [label]: tame(300) });
    assert.deepEqual(leaks(), [`${recorder}: ${core(300)}`]);
  });
}
