import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FactBoard, factKey, SharedFacts } from '../../exporter/facts.ts';
import { pause } from '../../exporter/runtime/deadline.ts';
import { known, unknown } from '../../exporter/runtime/known.ts';

const numberFact = factKey<number>('number');
const other = factKey<number>('other');

test('a board looks in the one under it, and tells what was never collected', () => {
  const under = new FactBoard();
  const board = new FactBoard(under);
  under.publish('db', numberFact, known(1, 0));
  assert.deepEqual(board.read('db', numberFact), known(1, 0));
  board.publish('db', numberFact, known(2, 0));
  assert.deepEqual(board.read('db', numberFact), known(2, 0));
  assert.deepEqual(under.read('db', numberFact), known(1, 0));
  assert.deepEqual(board.read('db2', numberFact), unknown('number of db2 was not collected'));
  assert.equal([...board.entries].length, 1, 'its own only');
});

test('a fact of this round is awaited; what came before the round counts only when nothing newer comes', async () => {
  const facts = new SharedFacts();
  const share = (value: number, atMs: number, target = 'db'): void => {
    const board = new FactBoard();
    board.publish(target, numberFact, known(value, 0));
    facts.share(board, atMs);
  };
  const never = new AbortController().signal;
  const newest = async (sinceMs: number, waitMs: number, signal = never): Promise<number | string> => {
    const fact = await facts.newest('db', numberFact, { sinceMs, waitMs, signal });
    return fact.known ? fact.value : fact.why;
  };
  const nothing = 'number of db was not collected';
  assert.equal(await newest(0, 10), nothing);
  share(1, 100);
  assert.equal(await newest(100, 60_000), 1);
  assert.equal(await newest(101, 10), 1, 'late: as it was');
  let isOver = false;
  const waiting = newest(101, 60_000).finally(() => (isOver = true));
  share(9, 140, 'another');
  const board = new FactBoard();
  board.publish('db', other, known(9, 0));
  facts.share(board, 145);
  await pause(5);
  assert.equal(isOver, false, 'another target and another fact are not it');
  share(2, 150);
  assert.equal(await waiting, 2);
  assert.equal(await newest(200, 60_000, AbortSignal.abort()), 2, 'no time left');
  const controller = new AbortController();
  const ended = newest(200, 60_000, controller.signal);
  controller.abort();
  assert.equal(await ended, 2);
  facts.forget('db');
  assert.equal(await newest(0, 0), nothing);
  assert.deepEqual(
    await facts.newest('another', numberFact, { sinceMs: 0, waitMs: 0, signal: never }),
    known(9, 0),
    'the others are kept',
  );
});

test('what nobody has collected for ten minutes is not known any more', async () => {
  let nowMs = 0;
  const facts = new SharedFacts(() => nowMs);
  const board = new FactBoard();
  board.publish('db', numberFact, known(1, 0));
  facts.share(board, 0);
  const round = { sinceMs: -Infinity, waitMs: 0, signal: new AbortController().signal };
  nowMs = 600_000;
  assert.deepEqual(await facts.newest('db', numberFact, round), known(1, 0));
  nowMs = 600_001;
  assert.deepEqual(await facts.newest('db', numberFact, round), unknown('number of db was not collected lately'));
  facts.share(board, nowMs);
  assert.deepEqual(await facts.newest('db', numberFact, round), known(1, 0));
});
