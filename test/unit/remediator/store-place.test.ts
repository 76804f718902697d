// Where the store may be, and the clock of a shared one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openServerLedger, type ServerTime } from '../../../remediator/clock-server.ts';
import type { Machine } from '../../../remediator/clock.ts';
import { placementProblems, placeText, storeField } from '../../../remediator/store/place.ts';

const hour = 3_600_000;
const written = { host: 'db.example', port: 3307, database: 'remediator', user: 'remediator', password_file: '/p' };

test('store: a path, or a database with its address; anything else is named', () => {
  assert.equal(storeField.parse('/var/lib/r.db'), '/var/lib/r.db');
  const place = storeField.parse({ mysql: written });
  assert.ok(typeof place !== 'string');
  assert.deepEqual(place.mysql.address, { host: 'db.example', port: 3307 });
  assert.equal(place.mysql.allowRelaxedDurability, false);
  assert.equal(placeText(place.mysql), 'mysql://db.example:3307/remediator');
  const { host: _host, port: _port, ...socket } = written;
  assert.ok(storeField.safeParse({ mysql: { ...socket, socket: '/run/s' } }).success);
  for (const wrong of [
    'relative.db',
    { mysql: { ...written, socket: '/run/s' } },
    { mysql: { ...written, database: 'a`b' } },
    { mysql: { ...written, password: 'x' } },
    { mysql: socket },
    {},
  ]) {
    assert.equal(storeField.safeParse(wrong).success, false, JSON.stringify(wrong));
  }
});

test('a server that is watched and may be repaired is no place for the store', () => {
  const at = (host: string, port = 3306): Parameters<typeof placementProblems>[0] => ({
    ...{ address: { host, port }, database: 'd', auth: {}, tls: undefined },
  });
  const targets = [
    ['source1', { kind: 'mysql', address: { host: 'db1', port: 3306 } }],
    ['local', { kind: 'mysql', address: { host: '127.0.0.1', port: 3310 } }],
    ['cache', { kind: 'redis', address: { host: 'db2', port: 3306 } }],
  ] as const;
  const [problem] = placementProblems(at('DB1'), targets);
  assert.match(problem ?? '', /db1|DB1.*target source1/i);
  assert.equal(placementProblems(at('localhost', 3310), targets).length, 1);
  assert.deepEqual(placementProblems(at('db1', 3307), targets), []);
  assert.deepEqual(placementProblems(at('db2'), targets), []);
});

class Fake {
  serverMs = 5_000_000_000_000;
  boot = 1_000_000;
  mono = 1_000_000;
  id = 'b';
  wall = 5_000_000_000_000;
  synced = true;
  meta = new Map<string, string>();
  readonly machine: Machine = {
    clock: { wallMs: () => this.wall, monoMs: () => this.mono },
    bootId: () => this.id,
    bootMs: () => this.boot,
    synchronised: () => this.synced,
  };
  readonly store: ServerTime = {
    serverMs: () => Promise.resolve(this.serverMs),
    meta: (k) => Promise.resolve(this.meta.get(k)),
    setMeta: (k, v) => Promise.resolve(void this.meta.set(k, v)),
  };
  pass(ms: number, serverMs = ms): void {
    this.boot += ms;
    this.mono += ms;
    this.wall += ms;
    this.serverMs += serverMs;
  }
}

test('shared clock: the server’s time, carried on between two looks, kept in the store', async () => {
  const fake = new Fake();
  const clock = await openServerLedger(fake.store, hour, fake.machine);
  assert.equal(clock.nowMs(), 5_000_000_000_000);
  fake.pass(30_000);
  assert.equal(clock.nowMs(), 5_000_000_030_000);
  await clock.persist();
  assert.equal(fake.meta.get('clock_high'), '5000000030000');
  assert.ok(clock.steady().known);
  const second = await openServerLedger(fake.store, hour, fake.machine);
  assert.equal(second.nowMs(), clock.nowMs(), 'the same for every remediator');
});

test('shared clock: a jump of the server’s clock, either way, is not trusted for a window, and never goes back', async () => {
  for (const jumpMs of [hour, -hour]) {
    const fake = new Fake();
    const clock = await openServerLedger(fake.store, hour, fake.machine);
    fake.pass(5000, 5000 + jumpMs);
    const before = clock.nowMs();
    await clock.persist();
    assert.ok(clock.nowMs() >= before);
    assert.equal(clock.steady().known, false);
    const again = await openServerLedger(fake.store, hour, fake.machine);
    assert.ok(again.nowMs() >= before);
    assert.equal(again.steady().known, false, 'a restart forgets nothing');
    for (let i = 0; i < 61; i++) {
      fake.pass(60_000);
      await clock.persist();
    }
    assert.ok(clock.steady().known, 'after a window');
  }
});

test('shared clock: a jump while nobody looked is not time that has passed', async () => {
  const open = async (fake: Fake): Promise<boolean> =>
    (await openServerLedger(fake.store, hour, fake.machine)).steady().known;
  for (const [what, jumpMs, bootId, synced, isSteady] of [
    ['a restart', 0, 'b', false, true],
    ['set forward during a restart', hour, 'b', true, false],
    ['another machine, both clocks agree', 0, 'c', true, true],
    ['another machine, set forward meanwhile', hour, 'c', true, false],
    ['another machine that does not know the time', 0, 'c', false, false],
  ] as const) {
    const fake = new Fake();
    assert.ok(await open(fake), 'nothing was seen before');
    fake.pass(600_000, 600_000 + jumpMs);
    fake.id = bootId;
    fake.synced = synced;
    assert.equal(await open(fake), isSteady, what);
    fake.pass(60_000);
    assert.equal(await open(fake), isSteady, `${what}, and again`);
    fake.pass(hour);
    assert.ok(await open(fake), `${what}: over after a window`);
  }
});

test('shared clock: drift is no jump; silence of the server and a suspended machine are told', async () => {
  const fake = new Fake();
  const clock = await openServerLedger(fake.store, hour, fake.machine);
  for (let i = 0; i < 10; i++) {
    fake.pass(100_000, 100_050); // 500 ppm: as fast as NTP slews a clock
    await clock.persist();
  }
  assert.ok(clock.steady().known);
  fake.pass(61_000);
  assert.equal(clock.steady().known, false, 'silence');
  await clock.persist();
  assert.ok(clock.steady().known);
  fake.boot += 5000; // CLOCK_MONOTONIC stands still in suspend
  fake.serverMs += 5000;
  assert.equal(clock.steady().known, false, 'suspended');
  fake.pass(11_000);
  assert.ok(clock.steady().known);
});

test('shared clock: a reader writes nothing', async () => {
  const fake = new Fake();
  const clock = await openServerLedger(fake.store, 0, fake.machine, true);
  await clock.persist();
  assert.equal(fake.meta.size, 0);
});

test('shared clock: who knows of no windows leaves nothing behind that the others cannot read', async () => {
  const fake = new Fake();
  await openServerLedger(fake.store, hour, fake.machine);
  // a machine that has not looked before and whose clock nobody has set: it doubts, and does not know until when
  fake.pass(60_000);
  fake.id = 'elsewhere';
  fake.synced = false;
  const doubting = await openServerLedger(fake.store, Infinity, fake.machine);
  assert.equal(doubting.steady().known, false);
  fake.id = 'b';
  fake.synced = true;
  const server = await openServerLedger(fake.store, hour, fake.machine);
  assert.equal(server.steady().known, false, 'a doubt is not forgotten');
  for (let i = 0; i < 61; i++) {
    fake.pass(60_000);
    await server.persist();
  }
  assert.ok(server.steady().known, 'after a window');
  const again = await openServerLedger(fake.store, hour, fake.machine);
  assert.ok(again.steady().known, 'nor is it kept for ever');
});

test('shared clock: a window that is made longer while it serves reaches back to a jump that was over', async () => {
  const fake = new Fake();
  let longestMs = hour;
  const first = await openServerLedger(fake.store, () => longestMs, fake.machine);
  fake.pass(5000, 5000 + hour);
  await first.persist();
  const pass = async (hours: number): Promise<void> => {
    for (let i = 0; i < hours * 60; i++) {
      fake.pass(60_000);
      await first.persist();
    }
  };
  await pass(2);
  assert.ok(first.steady().known, 'after a window');
  longestMs = 4 * hour;
  assert.equal(first.steady().known, false, 'a window of four hours has the jump in it');
  // who has begun since knows of the jump by what was kept
  longestMs = hour;
  const second = await openServerLedger(fake.store, () => longestMs, fake.machine);
  assert.ok(second.steady().known, 'not for a window of one hour');
  longestMs = 4 * hour;
  assert.equal(second.steady().known, false);
  await pass(2);
  await second.persist();
  assert.ok(second.steady().known, 'four hours after it');
});
