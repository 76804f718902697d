import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Places, Shares, sharerOf } from '../../../exporter/runtime/shares.ts';

test('who counts as one: an IPv4 address however it is written, a /64, and nobody behind a unix socket', () => {
  assert.equal(sharerOf('10.1.2.3'), '10.1.2.3');
  assert.equal(sharerOf('::ffff:10.1.2.3'), '10.1.2.3');
  assert.equal(sharerOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  assert.equal(sharerOf('2001:db8:1:2::9'), '2001:db8:1:2::/64');
  assert.equal(sharerOf('2001:db8::9'), '2001:db8:0:0::/64');
  assert.equal(sharerOf('fe80::1%eth0'), 'fe80:0:0:0::/64');
  assert.equal(sharerOf('::1'), '0:0:0:0::/64');
  assert.equal(sharerOf('1::'), '1:0:0:0::/64');
  assert.equal(sharerOf(undefined), undefined);
});

test('a share is what one has at most, and nothing is kept of one who has given all of it back', () => {
  const shares = new Shares(2);
  const [first, second] = [shares.take('a'), shares.take('a')];
  assert.deepEqual([shares.isFull('a'), shares.isFull('b'), shares.isFull(undefined)], [true, false, false]);
  first();
  assert.equal(shares.isFull('a'), false);
  second();
  const third = shares.take('a');
  shares.take('a');
  assert.equal(shares.isFull('a'), true);
  third();
});

test('places: one who has its share waits while others come in, and first come is first served', async () => {
  const places = new Places(3, 2);
  const got: string[] = [];
  const ask = async (who: string, name: string): Promise<() => void> => {
    const giveBack = await places.take(who);
    got.push(name);
    return giveBack;
  };
  const settle = (): Promise<void> => new Promise(setImmediate);
  const a1 = await ask('a', 'a1');
  const a2 = await ask('a', 'a2');
  const a3 = ask('a', 'a3');
  assert.deepEqual([places.isFull('a'), places.isFull('b'), places.taken], [true, false, 2]);
  const b1 = await ask('b', 'b1');
  const b2 = ask('b', 'b2');
  await settle();
  assert.deepEqual(got, ['a1', 'a2', 'b1']);
  b1();
  await settle();
  assert.deepEqual(got.slice(3), ['b2'], 'the one before it has its share');
  a1();
  a2();
  await settle();
  assert.deepEqual(got.slice(4), ['a3']);
  (await a3)();
  (await b2)();
  assert.equal(places.taken, 0);
});
