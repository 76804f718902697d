// The Redis system on real servers: a primary, a replica behind a link that can be broken, users with few rights.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ports } from '../../deploy/lab/address.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { redisReleases, startRedis, type RedisLab, type RedisRelease } from '../../deploy/lab/redis-releases.ts';
import { TcpProxy } from '../../deploy/lab/tcp-proxy.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { redis } from '../../exporter/systems/redis/index.ts';
import { makeCertificates } from '../support/certificates.ts';
import { WatchedTarget, type Measured } from '../support/watched-target.ts';
import { replicationInDepth } from './redis-suite-replication.ts';

const [own, ...others] = redisReleases;
assert.ok(own !== undefined && others.length > 0);
let lab: RedisLab;

/** Without a file of the first copy, which a primary would come back with. */
function startPair(release: RedisRelease): Promise<RedisLab> {
  return startRedis(release, {
    redis: ['repl-diskless-sync yes', 'repl-diskless-sync-delay 0', 'unixsocket redis.sock'],
  });
}

before(async () => {
  lab = await startPair(own);
});

after(async () => {
  await lab.stop();
});

function watch(port: number, more: object = {}): WatchedTarget {
  return new WatchedTarget(redis, { address: { host: lab.address, port }, ...more });
}

function secretFile(text: string): string {
  const file = join(lab.dir, `password-${text}`);
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
  return file;
}

async function until(target: WatchedTarget, what: string, is: (m: Measured) => boolean): Promise<Measured> {
  return await waitFor(
    async () => {
      const measured = await target.measure();
      return is(measured) && measured;
    },
    { what },
  );
}

test('primary and replica agree, both sides of a lag come from the primary', async () => {
  await using primary = watch(ports.redis);
  await using replica = watch(ports.redisReplica);
  const labels = { slave_ip: lab.address, slave_port: String(ports.redisReplica) };
  await primary.measure();
  await lab.redis('redis', async (r) => {
    for (let i = 0; i < 200; i++) await r.set(`key-${i}`, 'x'.repeat(1_000));
  });
  const caught = await until(primary, 'the replica to acknowledge', (m) => m.value('redis_replica_behind_bytes') === 0);
  assert.equal(caught.failure, undefined);
  assert.equal(caught.state('redis_replication_state'), 'primary');
  assert.equal(caught.value('redis_replica_lag_seconds', labels), 0);
  assert.equal(caught.value('redis_connected_slaves'), 1);
  assert.equal(caught.value('redis_connected_slave_offset_bytes', { ...labels, slave_state: 'online' }), caught.value('redis_master_repl_offset')); // prettier-ignore
  assert.equal(caught.value('redis_replica_backlog_headroom_bytes', labels), 16 * 1024 * 1024);
  assert.equal(caught.value('redis_instance_info', { role: 'master', tcp_port: String(ports.redis) }), 1);
  const other = await replica.measure();
  assert.equal(other.state('redis_replication_state'), 'replica_up');
  assert.equal(other.value('redis_master_link_up'), 1);
  assert.equal(other.value('redis_replica_unapplied_bytes'), 0);
  assert.ok((other.value('redis_slave_repl_offset') ?? 0) > 200_000);
  assert.equal(other.value('redis_slave_info', { read_only: '1' }), 1);
});

test('a stopped replica falls behind in bytes and in seconds', async () => {
  await using primary = watch(ports.redis);
  await primary.measure();
  const part = lab.part('redisReplica');
  part.freeze();
  try {
    await lab.redis('redis', (r) => r.set('while-stopped', 'x'.repeat(50_000)));
    const frozenAtMs = performance.now();
    const behind = await until(
      primary,
      'the lag to reach a second',
      (m) => (m.value('redis_replica_lag_seconds') ?? 0) >= 1,
    );
    const sinceSeconds = (performance.now() - frozenAtMs) / 1_000;
    assert.ok((behind.value('redis_replica_behind_bytes') ?? 0) > 50_000);
    assert.ok((behind.value('redis_replica_lag_seconds') ?? 0) <= sinceSeconds + 1.5);
  } finally {
    part.thaw();
  }
  const healed = await until(primary, 'the replica to catch up', (m) => m.value('redis_replica_behind_bytes') === 0);
  assert.equal(healed.value('redis_replica_lag_seconds'), 0);
});

test('a cut link: the replica says down and since when, the primary no longer has it', async () => {
  await using primary = watch(ports.redis);
  await using replica = watch(ports.redisReplica);
  const { link } = lab;
  await link.cut();
  try {
    const down = await until(replica, 'the link to be down', (m) => m.value('redis_master_link_up') === 0);
    assert.equal(down.state('redis_replication_state'), 'replica_down');
    assert.equal(down.value('redis_master_last_io_seconds_ago'), -1);
    assert.ok((down.value('redis_master_link_down_since_seconds') ?? -1) >= 0);
    const alone = await until(primary, 'the primary to notice', (m) => m.value('redis_connected_slaves') === 0);
    assert.equal(alone.value('redis_replica_behind_bytes'), undefined);
    assert.equal(alone.value('redis_replica_lag_seconds'), undefined);
    assert.equal(alone.state('redis_replication_state'), 'primary');
  } finally {
    await link.restore();
  }
  await until(replica, 'the link to be up', (m) => m.state('redis_replication_state') === 'replica_up');
});

test('nobody listens: refused, and the state says unknown', async () => {
  await using target = watch(1);
  const measured = await target.measure();
  assert.equal(measured.failure?.class, 'refused');
  assert.equal(measured.state('redis_replication_state'), 'unknown');
  assert.ok(
    measured.series.every((s) => /_state\{/.test(s)),
    'only states are told',
  );
});

test('a socket that was half open: ends at the deadline, and a new connection is made afterwards', async () => {
  const port = 16_399;
  const proxy = new TcpProxy({ name: 'half open', host: lab.address, port, to: { host: lab.address, port: ports.redis } }); // prettier-ignore
  await proxy.open();
  try {
    await using target = watch(port);
    assert.equal((await target.measure()).failure, undefined);
    await proxy.blackhole();
    const hung = await target.measure(500);
    assert.equal(hung.failure?.class, 'deadline');
    assert.ok(hung.tookMs < 1_500, `${hung.tookMs} ms`);
    assert.equal(target.client?.usable(), false);
    const before = target.client;
    const connecting = await target.measure(500); // accepted and silent from the first byte on
    assert.equal(connecting.failure?.class, 'deadline');
    await proxy.restore();
    const healed = await target.measure();
    assert.equal(healed.failure, undefined);
    assert.notEqual(target.client, before);
  } finally {
    proxy.close();
  }
});

test('a server that was killed while connected is refused, and served again after its start', async () => {
  await using target = watch(ports.redisReplica);
  assert.equal((await target.measure()).failure, undefined);
  const part = lab.part('redisReplica');
  await part.kill();
  await waitFor(() => target.client?.usable() === false, { what: 'the end to be noticed' });
  assert.equal((await target.measure()).failure?.class, 'refused');
  await part.start();
  assert.equal((await target.measure()).state('redis_replication_state'), 'replica_up');
});

test('credentials: none, wrong, too few rights, enough', async (t) => {
  await lab.redis('redis', async (r) => {
    await r.call('ACL', 'SETUSER', 'watcher', 'on', '>right', 'resetkeys', '-@all', '+info');
    await r.call('ACL', 'SETUSER', 'blind', 'on', '>right', 'resetkeys', '-@all', '+ping');
    await r.call('ACL', 'SETUSER', 'default', 'resetpass', '>main');
  });
  t.after(async () => {
    await using admin = watch(ports.redis, { auth: { password_file: secretFile('main') } });
    await admin.measure();
    const client = admin.client as unknown as { send: (call: object, ...args: string[]) => Promise<unknown> };
    const call = { signal: AbortSignal.timeout(2_000), clock: systemClock };
    await client.send(call, 'ACL', 'SETUSER', 'default', 'nopass');
  });
  const cases = [
    ['no password', undefined, 'auth', /NOAUTH/],
    ['a wrong password', { password_file: secretFile('wrong') }, 'auth', /WRONGPASS/],
    ['a user that is not there', { user: 'nobody', password_file: secretFile('right') }, 'auth', /WRONGPASS/],
    ['a user without INFO', { user: 'blind', password_file: secretFile('right') }, 'denied', /NOPERM/],
    ['a password that cannot be read', { password_file: join(lab.dir, 'nothing') }, 'secret', /cannot be read/],
    ['a user with INFO only', { user: 'watcher', password_file: secretFile('right') }, undefined, /^/],
  ] as const;
  for (const [what, auth, code, why] of cases) {
    await t.test(what, async () => {
      await using target = watch(ports.redis, auth === undefined ? {} : { auth });
      const measured = await target.measure();
      assert.equal(measured.failure?.class, code);
      assert.match(measured.failure?.why ?? '', why);
      assert.doesNotMatch(measured.failure?.why ?? '', /wrong\b.*wrong|right|main/);
      assert.equal(measured.state('redis_replication_state'), code === undefined ? 'primary' : 'unknown');
    });
  }
});

test('a password that the server does not want does no harm', async () => {
  await using target = watch(ports.redis, { auth: { password_file: secretFile('unwanted') } });
  assert.equal((await target.measure()).failure, undefined);
});

test('TLS with an own authority and a certificate of the client; a unix socket', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'redis-tls-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  makeCertificates(folder, `IP:${lab.address}`);
  const file = (name: string): string => join(folder, name);
  const port = 16_390;
  await lab.redis('redis', async (r) => {
    await r.config('SET', 'tls-ca-cert-file', file('ca.pem'));
    await r.config('SET', 'tls-cert-file', file('server.pem'), 'tls-key-file', file('server.key'));
    await r.config('SET', 'tls-port', String(port));
  });
  const identity = { cert_file: file('server.pem'), key_file: file('server.key') };
  const cases = [
    ['its own authority and certificate', { ca_file: file('ca.pem'), ...identity }, undefined],
    ['an authority that nobody here trusts', identity, 'tls'],
    ['no certificate of its own', { ca_file: file('ca.pem') }, 'tls'],
    ['another name', { ca_file: file('ca.pem'), ...identity, server_name: 'other.test' }, 'tls'],
    ['no TLS at all', undefined, 'unreachable'],
  ] as const;
  for (const [what, tls, code] of cases) {
    await using target = watch(port, tls === undefined ? {} : { tls });
    assert.equal((await target.measure()).failure?.class, code, what);
  }
  await using socket = new WatchedTarget(redis, { address: { socket: join(lab.dir, 'redis', 'redis.sock') } });
  assert.equal((await socket.measure()).state('redis_replication_state'), 'primary');
});

test(`${own.name}: replication in depth`, async () => {
  await replicationInDepth(lab);
});

for (const release of others) {
  test(`${release.name}: replication in depth`, { skip: release.missing() }, async () => {
    await using pair = await startPair(release);
    await replicationInDepth(pair);
  });
}
