import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Flights } from '../../../remediator/flights.ts';

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const keyOf = (item: string): string => item.charAt(0);
/** No work of these tests is late unless it waits to be let go. */
const patient = { most: 3, lateMs: 60_000 };
const isSame = (one: string, other: string): boolean => one === other;

async function fly(flights: Flights<string>, items: readonly string[]): Promise<void> {
  for (const item of items) {
    if (!flights.isUnderWay(keyOf(item))) await flights.place(keyOf(item));
    flights.add(keyOf(item), item);
  }
}

test('of one key in order and never together, of different keys so many at a time', async () => {
  const done: string[] = [];
  const busy = new Set<string>();
  let most = 0;
  const flights = new Flights<string>(
    patient,
    async (item) => {
      assert.ok(!busy.has(keyOf(item)), item);
      busy.add(keyOf(item));
      most = Math.max(most, busy.size);
      await soon();
      busy.delete(keyOf(item));
      done.push(item);
    },
    isSame,
  );
  const items = ['a1', 'b1', 'a2', 'c1', 'd1', 'a3', 'b2', 'e1'];
  await fly(flights, items);
  await flights.ended();
  flights.raise();
  assert.deepEqual(done.toSorted(), items.toSorted());
  assert.deepEqual(
    done.filter((item) => item.startsWith('a')),
    ['a1', 'a2', 'a3'],
  );
  assert.equal(most, 3);
  assert.equal(flights.count, 0);
});

test('a failure is raised once; the rest of its key is left, and other keys go on', async () => {
  const done: string[] = [];
  const flights = new Flights<string>(
    patient,
    async (item) => {
      await soon();
      if (item === 'a1') throw new Error('full');
      done.push(item);
    },
    isSame,
  );
  await fly(flights, ['a1', 'a2', 'b1', 'b2']);
  await flights.ended();
  assert.throws(() => {
    flights.raise();
  }, /full/);
  flights.raise();
  assert.deepEqual(done, ['b1', 'b2']);
  flights.add('a', 'a3');
  await flights.ended();
  assert.deepEqual(done, ['b1', 'b2', 'a3'], 'the key is free again');
});

test('one that hangs gives up its place, and takes none when it is begun again', async () => {
  const begun: string[] = [];
  let release = (): void => undefined;
  let hangs = new Promise<void>((resolve) => (release = resolve));
  const flights = new Flights<string>(
    { most: 1, lateMs: 5 },
    async (item) => {
      begun.push(item);
      if (item.startsWith('h')) await hangs;
    },
    isSame,
  );
  flights.add('h', 'h1');
  await flights.place('b'); // the only place: free when h is late
  assert.ok(flights.isLate('h') && flights.isUnderWay('h'));
  flights.add('b', 'b1');
  release();
  await flights.ended();
  assert.deepEqual(begun, ['h1', 'b1']);

  hangs = new Promise<void>((resolve) => (release = resolve));
  await flights.place('h');
  flights.add('h', 'h2');
  await flights.place('c'); // would wait for h, if h had a place
  flights.add('c', 'c1');
  assert.deepEqual(begun, ['h1', 'b1', 'h2', 'c1']);
  release();
  await flights.ended();
  assert.ok(!flights.isLate('c'));
  hangs = soon();
  flights.add('h', 'h3'); // answers again
  await flights.ended();
  await soon();
  assert.ok(!flights.isLate('h'));
});
