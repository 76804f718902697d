// The pure parts of the repairs of a Redis replica: lists of clients, movement, outcomes, rights.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { aclLine, needs, readCommands, sampleCommands } from '../../../remediator/actions/redis/acl.ts';
import { clientsOf, isAddress, sentinelNames } from '../../../remediator/actions/redis/clients.ts';
import { failureOf } from '../../../remediator/actions/redis/connection.ts';
import { judgeLink, type LinkSample } from '../../../remediator/actions/redis/movement.ts';
import { outcomeOf } from '../../../remediator/actions/redis/resync-steps.ts';
import { mastersOf } from '../../../remediator/actions/redis/sentinels.ts';
import { plainHost } from '../../../remediator/actions/redis/verdicts.ts';
import { redisReplicaFullResync } from '../../../remediator/actions/redis-replica-full-resync.ts';
import { redisReplicaReconnect } from '../../../remediator/actions/redis-replica-reconnect.ts';
import type { World } from '../../../remediator/world.ts';

test('CLIENT LIST: both ends of a link, and the names of Sentinels', () => {
  const line =
    'id=3 addr=127.0.0.1:17001 laddr=127.0.0.1:40088 fd=7 name= age=2 idle=2 flags=M db=0 user=(superuser) resp=2\n';
  assert.deepEqual(clientsOf(line), [{ id: '3', addr: '127.0.0.1:17001', laddr: '127.0.0.1:40088', name: '' }]);
  assert.deepEqual(clientsOf(''), []);
  const names = ['sentinel-1a2b3c4d-pubsub', 'sentinel-', 'app', 'sentinel-1a2b3c4d-cmd', 'my-sentinel-1a2b3c4d-cmd'];
  const clients = clientsOf(names.map((name, i) => `id=${String(i)} addr=1.2.3.4:5 name=${name}`).join('\n'));
  assert.deepEqual(sentinelNames(clients), ['sentinel-1a2b3c4d-pubsub', 'sentinel-1a2b3c4d-cmd']);
});

test('SENTINEL MASTERS: only what is said of this very primary counts, not of another one on the same port', () => {
  const master = (name: string, runid: string, flags: string): readonly string[] =>
    ['name', name, 'ip', '192.0.2.1', 'port', '6379', 'runid', runid, 'flags', flags]; // prettier-ignore
  const reply = [master('other', 'b'.repeat(40), 'master'), master('this', 'a'.repeat(40), 'o_down,master')];
  assert.deepEqual(mastersOf(reply, 'a'.repeat(40)), [{ name: 'this', flags: 'o_down,master' }]);
  assert.deepEqual(mastersOf(reply, 'c'.repeat(40)), []);
  assert.deepEqual(mastersOf([master('new', '', 'master')], ''), []);
  assert.throws(() => mastersOf('OK', 'a'), TargetError);
});

test('only an address goes back into a command', () => {
  for (const good of ['127.0.0.1:40088', '[::1]:40088', '::1:40088', 'fe80::1%eth0:40088'])
    assert.ok(isAddress(good), good);
  for (const bad of ['', '127.0.0.1', '127.0.0.1:0', '1.2.3.4:1 ID 5', '$(reboot):1', '/tmp/redis.sock:0', 'a;rm:1']) {
    assert.ok(!isAddress(bad), bad);
  }
  for (const good of ['10.0.0.1', 'cache-1.example', '::1', 'redis_1']) assert.ok(plainHost(good), good);
  for (const bad of ['', 'NO', 'no', 'a b', '$(reboot)', '-h', 'a\r\nFLUSHALL', `a${'b'.repeat(300)}`]) {
    assert.ok(!plainHost(bad), bad);
  }
});

const at = (replicaOffset: number, primaryOffset: number, more: Partial<LinkSample> = {}): LinkSample => ({
  up: true,
  syncing: false,
  lastIoSecondsAgo: 0,
  sameStream: true,
  primaryRunId: 'p1',
  replicaOffset,
  primaryOffset,
  ...more,
});
const down: Partial<LinkSample> = { up: false };

const movements: readonly (readonly [what: string, samples: readonly LinkSample[], expected: string])[] = [
  ['nothing seen', [], 'open'],
  ['one look', [at(100, 100)], 'open'],
  ['one advance', [at(100, 100), at(114, 114)], 'open'],
  ['two advances', [at(100, 100), at(114, 114), at(128, 128)], 'moves'],
  ['two advances under load', [at(100, 300), at(250, 500), at(400, 900)], 'moves'],
  ['advances, and what was missing is still missing', [at(100, 10_000), at(114, 10_014), at(128, 10_028)], 'open'],
  ['stands still', [at(100, 200), at(100, 300), at(100, 400)], 'open'],
  ['up only for a moment', [at(100, 100), at(114, 114), at(114, 128, down), at(128, 128)], 'open'],
  ['down', [at(100, 100, down)], 'open'],
  ['another stream', [at(1, 1), at(2, 2), at(3, 3, { sameStream: false })], 'open'],
  ['its offset went back', [at(300, 300), at(100, 100), at(310, 310)], 'open'],
  ['its primary was started anew', [at(100, 100), at(114, 114), at(128, 128, { primaryRunId: 'p2' })], 'failed'],
];
for (const [what, samples, expected] of movements) {
  test(`movement: ${what}`, () => {
    assert.equal(judgeLink(samples, { primaryRunId: 'p1' }).is, expected);
  });
}

test('what EXEC says: all, nothing, or half', () => {
  assert.deepEqual(outcomeOf(['OK', 'OK']).data, { half: false });
  assert.equal(outcomeOf([new Error('ERR REPLICAOF not allowed in cluster mode.'), 'OK']).is, 'refused');
  const half = outcomeOf(['OK', new Error('ERR Invalid master port')]);
  assert.deepEqual([half.is, half.data], ['done', { half: true }]);
  for (const odd of [null, 'OK', [], ['OK']]) assert.equal(outcomeOf(odd).is, 'unknown', JSON.stringify(odd));
});

test('refused only by the server’s own word; a connection that ended leaves it open', () => {
  const of = (error: unknown) => failureOf(error, 'client|kill', 'medic');
  const noPerm = of(
    new TargetError('denied', "CLIENT: NOPERM User medic has no permissions to run the 'client|kill' command"),
  );
  assert.deepEqual([noPerm.is, noPerm.code], ['refused', 'not_permitted']);
  assert.match(noPerm.because, /ACL SETUSER medic \+client\|kill$/);
  assert.equal(of(new TargetError('failed', 'REPLICAOF: ERR REPLICAOF not allowed in cluster mode.')).is, 'refused');
  assert.equal(of(new TargetError('failed', 'EXEC: EXECABORT Transaction discarded')).is, 'refused');
  const open = [
    new TargetError('deadline', 'EXEC: no answer in time'),
    new TargetError('unreachable', 'CLIENT: the connection was closed'),
    new TargetError('failed', 'CLIENT: EPIPE of some kind', { cause: new Error('write EPIPE') }),
    new TargetError('unreachable', 'CLIENT: read ECONNRESET', { cause: new Error('x') }),
    new Error('Connection is closed.'),
  ];
  for (const error of open) assert.equal(of(error).is, 'unknown', error.message);
});

test('rights: nothing that reads or writes a key, and what changes something only on the replica', () => {
  for (const action of ['redis.replica.reconnect', 'redis.replica.full-resync'] as const) {
    assert.deepEqual(needs(action).primary, readCommands);
    assert.ok(needs(action).replica.includes('client|kill'));
  }
  const line = aclLine('medic', needs('redis.replica.reconnect').replica);
  assert.equal(
    line,
    'ACL SETUSER medic on >PASSWORD resetkeys resetchannels -@all +ping +info +client|list +config|get +client|kill',
  );
  assert.ok(!needs('redis.replica.reconnect').replica.includes('replicaof'));
});

test('the shipped users have what the actions need, and nothing else', () => {
  const shipped = readFileSync(new URL('../../../deploy/redis/remediator.acl', import.meta.url), 'utf8').split('\n');
  const user = 'pipemedic-remediator';
  for (const action of ['redis.replica.reconnect', 'redis.replica.full-resync'] as const) {
    const { primary, replica } = needs(action);
    assert.ok(shipped.includes(aclLine(user, primary)));
    assert.ok(shipped.includes(aclLine(user, [...replica, 'acl|dryrun'])), aclLine(user, [...replica, 'acl|dryrun']));
    assert.equal(sampleCommands(action).length, replica.length);
  }
});

test('a replica that was cut off and not pointed back takes writes: a pause does not keep it so', () => {
  const steps = redisReplicaFullResync.steps('r1', {}, {} as World);
  assert.deepEqual(
    steps.map((s) => [s.name, s.safePointAfter]),
    [
      ['full_copy', false],
      ['point_back', true],
      ['verify_copy', true],
    ],
  );
});

test('classes and modes are what they must be', () => {
  assert.equal(redisReplicaReconnect.highestMode, 'auto');
  assert.equal(redisReplicaFullResync.highestMode, 'approve');
  const nowhere = {} as World; // no step of these asks the world before it runs
  const classes = (action: typeof redisReplicaReconnect): string[] =>
    action.steps('copy', action.params.parse({}) as never, nowhere).map((s) => `${s.name} ${s.fencing} ${s.lateCopy}`);
  assert.deepEqual(classes(redisReplicaReconnect), ['end_link cas harmless', 'verify_link read harmless']);
  assert.deepEqual(classes(redisReplicaFullResync), [
    'full_copy session harmful',
    'point_back session harmless',
    'verify_copy read harmless',
  ]);
  const sessions = redisReplicaFullResync.steps('copy', redisReplicaFullResync.params.parse({}) as never, nowhere);
  assert.ok(sessions.every((s) => (s.fencing === 'session') === (s.session !== undefined)));
  assert.ok(redisReplicaFullResync.fence !== undefined);
  for (const bad of [{ host: 'x' }, { silentSeconds: 1 }])
    assert.ok(!redisReplicaReconnect.params.safeParse(bad).success);
});
