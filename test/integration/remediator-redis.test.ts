// Repairs of a Redis replica on real servers, with the least rights that they need. The witness is not the remediator: the
// servers' own slow log (every command, with its arguments), their counts of copies, and the keys themselves.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ports } from '../../deploy/lab/address.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import type { RedisName } from '../../deploy/lab/redis.ts';
import { redisReleases, startRedis, type RedisLab } from '../../deploy/lab/redis-releases.ts';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { systems } from '../../exporter/systems/index.ts';
import type { Action, Applied, Look, Step, StepRun } from '../../remediator/action.ts';
import { aclLine, needs } from '../../remediator/actions/redis/acl.ts';
import { redisReplicaFullResync } from '../../remediator/actions/redis-replica-full-resync.ts';
import { redisReplicaReconnect } from '../../remediator/actions/redis-replica-reconnect.ts';
import { asJson } from '../../remediator/canonical.ts';
import type { JournalEntry, Json, Run } from '../../remediator/model.ts';
import { createWorld, type World } from '../../remediator/world.ts';
import { HalfOpenLink } from '../support/half-open-link.ts';
import { harness } from '../unit/remediator/run-harness.ts';

// Another release by its name, by hand: `REDIS_RELEASE=Valkey`
const wanted = process.env['REDIS_RELEASE'] ?? 'Redis 7';
const release = redisReleases.find(({ name }) => name === wanted);
assert.ok(release !== undefined, `no such release: ${wanted}`);

const keys = 400;
const slowly = { silentSeconds: 5, verifySeconds: 60 };
let lab: RedisLab;
let link: HalfOpenLink;
let world: World;
/** What a full copy was allowed on. */
let allowed: Look<unknown> | undefined;

before(async () => {
  const all = [
    'repl-diskless-sync yes',
    'repl-diskless-sync-delay 0',
    'slowlog-log-slower-than 0',
    'slowlog-max-len 100000',
  ];
  lab = await startRedis(release, { redis: [...all, 'repl-ping-replica-period 1'], redisReplica: all });
  await lab.link.cut();
  const at = (port: number) => ({ host: lab.address, port });
  link = new HalfOpenLink(at(ports.redisReplicaToRedis), at(ports.redis));
  await link.open();
  for (const [name, side] of [
    ['redis', 'primary'],
    ['redisReplica', 'replica'],
  ] as const) {
    // prettier-ignore
    const rights = [...new Set([...needs('redis.replica.reconnect')[side], ...needs('redis.replica.full-resync')[side]])];
    await allow(name, 'medic', rights);
  }
  await allow('redisReplica', 'nokill', needs('redis.replica.reconnect').primary);
  await allow('redisReplica', 'blind', ['ping', 'info', 'client|kill']);
  world = worldOf('medic');
  await lab.redis('redis', async (r) => {
    for (let i = 0; i < keys; i++) await r.set(`key-${String(i)}`, 'x'.repeat(50));
  });
  await inStep();
});

after(async () => {
  await link[Symbol.asyncDispose]();
  await lab.stop();
});

async function allow(name: RedisName, user: string, commands: readonly string[]): Promise<void> {
  const words = aclLine(user, commands).replace('>PASSWORD', `>${user}-secret`).split(' ').slice(1);
  await lab.redis(name, (r) => r.call('ACL', words));
}

function worldOf(user: string): World {
  const file = join(lab.dir, `password-${user}`);
  writeFileSync(file, `${user}-secret\n`, { mode: 0o600 });
  const other = join(lab.dir, 'password-of-medic');
  writeFileSync(other, 'medic-secret\n', { mode: 0o600 });
  const host = lab.address;
  const targets = [
    { name: 'nobody', kind: 'mysql', address: { host, port: 1 } },
    { name: 'cache', kind: 'redis', address: { host, port: ports.redis } },
    { name: 'copy', kind: 'redis', address: { host, port: ports.redisReplica } },
  ];
  const pipelines = [
    { name: 'p', objective: '10s', source: 'nobody', cache: { primary: 'cache', replicas: ['copy'] } },
  ];
  const inventory = inventoryOf({ targets, pipelines }, 'test', systems);
  const auth = new Map([
    ['cache', { user: 'medic', password_file: other }],
    ['copy', { user, password_file: file }],
  ]);
  return createWorld({ inventory, settings: { auth, supervisors: new Map() }, clock: systemClock });
}

const limit = (): AbortSignal => AbortSignal.timeout(60_000);

function look(action: Action<World>, params: Json, by = world): Promise<Look<unknown>> {
  return action.look('copy', asJson(action.params.parse(params)), by, AbortSignal.timeout(15_000));
}

function codes({ alreadyFixed, preconditions }: Look<unknown>): Readonly<Record<string, string>> {
  const all = Object.entries({ already_fixed: alreadyFixed, ...preconditions });
  return Object.fromEntries(all.map(([name, v]) => [name, `${v.is} ${v.code}`]));
}

function mayBegin(found: Look<unknown>): boolean {
  return [found.alreadyFixed, ...Object.values(found.preconditions)].every((v) => v.is === 'allow');
}

/** A run as the remediator does it: claimed, journalled, verified, soaked. The harness calls its target by another name. */
async function conduct(action: Action<World>, params: Json): Promise<Conducted> {
  const written = asJson(action.params.parse(params));
  const { fence } = action;
  const bound: Action<unknown> = {
    ...action,
    lock: undefined,
    look: (_target, _params, _world, signal) => action.look('copy', written, world, signal),
    fence: fence && ((_target, _params, _world, sessions, signal) => fence('copy', written, world, sessions, signal)),
    steps: () => action.steps('copy', written, world),
    soak: (_target, _params, _world, run) => action.soak('copy', written, world, run),
  };
  await using h = await harness();
  const { run, hold, evidenceHash } = await h.claim(bound);
  const runner = h.runner(bound);
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  const { outcome, because } = await h.onlyRun();
  return { outcome, because, journal: await h.journal() };
}

interface Conducted extends Pick<Run, 'outcome' | 'because'> {
  readonly journal: readonly JournalEntry[];
}

function stepsOf(action: Action<World>, params: Json, by = world): readonly Step<unknown>[] {
  return action.steps('copy', asJson(action.params.parse(params)), by);
}

function runOf(found: Look<unknown>, memo: StepRun<unknown>['memo'] = {}): StepRun<unknown> {
  assert.ok(found.before !== undefined);
  const before = asJson(found.before);
  return {
    before,
    memo,
    fence: 1,
    runId: 'run-1',
    attempt: 1,
    signal: limit(),
    note: () => undefined,
    lock: undefined,
  };
}

async function applyIn(step: Step<unknown>, run: StepRun<unknown>): Promise<Applied> {
  assert.ok(step.apply !== undefined);
  if (step.session === undefined) return await step.apply(run, undefined);
  await using session = await step.session(run);
  return await step.apply(run, session);
}

async function info(name: RedisName, field: string): Promise<string> {
  const text = await lab.redis(name, (r) => r.info());
  return new RegExp(`^${field}:(.*?)\r?$`, 'm').exec(text)?.[1] ?? '';
}

async function inStep(): Promise<void> {
  await waitFor(
    async () => {
      const offsets = [await info('redis', 'master_repl_offset'), await info('redisReplica', 'slave_repl_offset')];
      const up = (await info('redisReplica', 'master_link_status')) === 'up';
      const same = (await info('redis', 'master_replid')) === (await info('redisReplica', 'master_replid'));
      return up && same && Number(offsets[1]) >= Number(offsets[0]);
    },
    { what: 'the replica to be in step' },
  );
}

interface Copies {
  readonly full: number;
  readonly partial: number;
}

async function copies(): Promise<Copies> {
  return { full: Number(await info('redis', 'sync_full')), partial: Number(await info('redis', 'sync_partial_ok')) };
}

/** Every command that could change something, as the servers have logged it since the last call. */
async function commandsSince(name: RedisName): Promise<readonly string[]> {
  const reply = await lab.redis(name, async (r) => {
    const got = (await r.call('SLOWLOG', 'GET', '100000')) as readonly (readonly unknown[])[];
    await r.call('SLOWLOG', 'RESET');
    return got;
  });
  return reply
    .map((entry) => (entry[3] as readonly string[]).join(' '))
    .reverse()
    .filter((text) =>
      /^(client kill|replicaof|slaveof|flush|multi|exec|config set|debug|shutdown|failover)/i.test(text),
    );
}

async function linkAddress(): Promise<string> {
  const text = String(await lab.redis('redisReplica', (r) => r.call('CLIENT', 'LIST', 'TYPE', 'master')));
  return /laddr=(\S+)/.exec(text)?.[1] ?? '';
}

test('a link that is well is left alone', async () => {
  const found = await look(redisReplicaReconnect, { ...slowly, silentSeconds: 20 });
  assert.equal(codes(found)['already_fixed'], 'deny healthy');
  assert.ok((found.observers ?? []).every(({ says }) => says !== 'broken') || found.observers?.[0]?.says === 'healthy');
  assert.equal(codes(await look(redisReplicaFullResync, {}))['already_fixed'], 'deny healthy');
});

test('a silent link is ended by its own address, and goes on with a partial copy', async () => {
  await Promise.all([commandsSince('redis'), commandsSince('redisReplica')]);
  const counted = await copies();
  const address = await linkAddress();
  link.freeze();
  await lab.redis('redis', (r) => r.set('written-while-silent', 'yes'));
  const found = await waitFor(
    async () => {
      const seen = await look(redisReplicaReconnect, slowly);
      return mayBegin(seen) ? seen : undefined;
    },
    { what: 'the silence to be seen' },
  );
  assert.equal(codes(found)['already_fixed'], 'allow link_silent');
  assert.deepEqual(found.observers, [
    { by: 'replica', says: 'broken' },
    { by: 'primary', says: 'broken' },
  ]);
  assert.equal((await lab.redis('redisReplica', (r) => r.get('written-while-silent'))) ?? 'no', 'no');

  const done = await conduct(redisReplicaReconnect, slowly);
  const ofRun = JSON.stringify(done.journal);
  assert.equal(done.outcome, 'verified', `${done.because ?? ''} ${ofRun}`);
  assert.match(ofRun, /the stream flows[^"]*after a partial copy/);
  assert.equal(await lab.redis('redisReplica', (r) => r.get('written-while-silent')), 'yes');
  assert.deepEqual(await copies(), { full: counted.full, partial: counted.partial + 1 });
  assert.deepEqual(await commandsSince('redisReplica'), [`CLIENT KILL LADDR ${address} TYPE master`]);
  assert.deepEqual(await commandsSince('redis'), []);

  // the same once more, as of one that was held up: it names a connection that is no more
  const next = await linkAddress();
  assert.notEqual(next, address);
  const [endLink] = stepsOf(redisReplicaReconnect, slowly);
  assert.ok(endLink !== undefined);
  assert.equal((await endLink.probe(runOf(found))).is, 'present');
  const late = await applyIn(endLink, runOf(found));
  assert.deepEqual([late.is, late.code], ['refused', 'gone']);
  assert.equal(await linkAddress(), next);
  assert.deepEqual(await copies(), { full: counted.full, partial: counted.partial + 1 });
  const soaked = await redisReplicaReconnect.soak('copy', asJson(redisReplicaReconnect.params.parse(slowly)), world, runOf(found)); // prettier-ignore
  assert.equal(soaked.is, 'yes', soaked.because);
});

test('what the user may not do is told with the rule that allows it, and nothing is done', async () => {
  const blind = await look(redisReplicaReconnect, slowly, worldOf('blind'));
  assert.match(codes(blind)['link'] ?? '', /unknown link_unknown/);
  assert.match(blind.preconditions['link']?.because ?? '', /ACL SETUSER blind \+client\|list/);
  assert.equal(mayBegin(blind), false);

  const found = await look(redisReplicaReconnect, slowly);
  const address = await linkAddress();
  const [endLink] = stepsOf(redisReplicaReconnect, slowly, worldOf('nokill'));
  assert.ok(endLink !== undefined);
  const applied = await applyIn(endLink, runOf(found));
  assert.deepEqual([applied.is, applied.code], ['refused', 'not_permitted']);
  assert.match(applied.because, /ACL SETUSER nokill \+client\|kill/);
  assert.equal(await linkAddress(), address);
});

const confirmed = { lastReplica: true, primaryUpSeconds: 1, silentSeconds: 20, copySeconds: 60 };

test('a replica that has drifted is copied anew, by approval only, and nobody could write to it meanwhile', async () => {
  assert.equal(redisReplicaFullResync.highestMode, 'approve');
  await lab.redis('redisReplica', async (r) => {
    await r.call('CONFIG', 'SET', 'replica-read-only', 'no');
    for (let i = 0; i < keys / 2; i++) await r.del(`key-${String(i)}`);
    await r.call('CONFIG', 'SET', 'replica-read-only', 'yes');
  });
  await inStep();
  const alone = await look(redisReplicaFullResync, { ...confirmed, lastReplica: false });
  assert.equal(codes(alone)['other_replicas'], 'deny last_replica');
  // until the new connection has acknowledged something, its primary may be copying to it
  let last: Look<unknown> | undefined;
  const found = await waitFor(
    async () => {
      last = await look(redisReplicaFullResync, confirmed);
      return mayBegin(last) ? last : undefined;
    },
    { what: 'every condition to be met' },
  ).catch(async (error: unknown) => {
    throw new Error(
      JSON.stringify(last?.preconditions['primary_busy']) + (await lab.redis('redis', (r) => r.info('replication'))),
      { cause: error },
    );
  });
  assert.equal(codes(found)['already_fixed'], 'allow keys_differ');
  allowed = found;

  // a session that a successor has ended: what comes late over it does nothing
  const [fullCopy] = stepsOf(redisReplicaFullResync, confirmed);
  assert.ok(fullCopy?.session !== undefined && fullCopy.apply !== undefined);
  const counted = await copies();
  await Promise.all([commandsSince('redis'), commandsSince('redisReplica')]);
  {
    await using session = await fullCopy.session(runOf(found));
    const { identity } = session;
    const former = [{ step: 'full_copy', attempt: 1, fence: 1, identity }];
    const fenced = await redisReplicaFullResync.fence?.('copy', asJson(redisReplicaFullResync.params.parse(confirmed)), world, former, limit()); // prettier-ignore
    assert.equal(fenced?.is, 'yes', fenced?.because);
    assert.equal((await fullCopy.apply(runOf(found), session)).is, 'unknown');
  }
  assert.equal((await fullCopy.probe(runOf(found))).is, 'absent');
  assert.ok((await commandsSince('redisReplica')).every((text) => /^CLIENT KILL ID \d+ TYPE normal$/.test(text)));
  assert.deepEqual(await copies(), counted);

  const done = await conduct(redisReplicaFullResync, confirmed);
  assert.equal(done.outcome, 'verified', `${done.because ?? ''} ${JSON.stringify(done.journal)}`);
  // what a successor needs to end the connection is in the journal before the call
  const intent = done.journal.find((entry) => entry.kind === 'intent' && entry.step === 'full_copy');
  assert.match(JSON.stringify(intent?.data), /"session":\{"serverRunId":"[0-9a-f]{40}","clientId":"\d+"\}/);
  assert.equal(await info('redisReplica', 'role'), 'slave');
  assert.deepEqual(await copies(), { full: counted.full + 1, partial: counted.partial });
  const sizes = await Promise.all([
    lab.redis('redis', (r) => r.dbsize()),
    lab.redis('redisReplica', (r) => r.dbsize()),
  ]);
  assert.equal(sizes[0], sizes[1]);
  const changes = await commandsSince('redisReplica');
  const target = `${lab.address} ${String(ports.redisReplicaToRedis)}`;
  assert.deepEqual(
    changes.filter((text) => !/^(MULTI|EXEC)$/.test(text)),
    ['REPLICAOF NO ONE', `REPLICAOF ${target}`],
  );
  assert.deepEqual(await commandsSince('redis'), []);
  assert.equal((await fullCopy.probe(runOf(found))).is, 'present');
});

test('a primary that came back empty is never copied from, and no link to it is touched', async () => {
  await look(redisReplicaFullResync, confirmed); // remembers the primary as it is
  await link[Symbol.asyncDispose]();
  await lab.part('redis').kill();
  await lab.part('redis').start();
  await waitFor(async () => (await info('redisReplica', 'master_link_status')) === 'down', {
    what: 'the replica to notice',
  });
  await allow('redis', 'medic', needs('redis.replica.full-resync').primary);
  const found = await look(redisReplicaFullResync, { ...confirmed, divergence: 'alert' });
  assert.equal(codes(found)['primary_data'], 'deny primary_empty');
  assert.match(found.preconditions['primary_data']?.because ?? '', /started anew since the link was last seen well/);
  assert.equal(codes(found)['same_primary'], 'deny other_stream');
  const reconnect = await look(redisReplicaReconnect, slowly);
  assert.equal(codes(reconnect)['primary_data'], 'deny primary_empty');
  assert.equal(codes(reconnect)['link'], 'deny nothing_to_end');
  // a run that was begun before and is taken up again now: what it froze does not count any more
  assert.ok(allowed !== undefined);
  const stale = runOf(allowed);
  const [fullCopy] = stepsOf(redisReplicaFullResync, confirmed);
  assert.ok(fullCopy !== undefined);
  await commandsSince('redisReplica');
  const late = await applyIn(fullCopy, stale);
  assert.deepEqual([late.is, late.code], ['refused', 'changed_since'], late.because);
  assert.match(late.because, /^(primary_empty|primary_young)/);
  assert.deepEqual(await commandsSince('redisReplica'), []);
  assert.equal(await lab.redis('redisReplica', (r) => r.dbsize()), keys + 1);
});
