// Answers of all connections together: what is large is counted while it is held, and given back whatever becomes of it.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { AnswerBudget, answerBudget } from '../../../exporter/runtime/answer-budget.ts';
import type { TargetError } from '../../../exporter/runtime/errors.ts';
import { limitFrames } from '../../../exporter/systems/kafka/client-limit.ts';
import { limitReplies } from '../../../exporter/systems/redis/client-limit.ts';

test('small answers are always read; of large ones so many as there is room for', () => {
  const budget = new AnswerBudget(100, 10);
  const answers = Array.from({ length: 50 }, () => budget.begin());
  for (const answer of answers) assert.equal(answer.add(10), undefined);
  assert.equal(budget.held, 0);
  const [one, two, three] = answers;
  assert.equal(one?.add(60), undefined);
  assert.equal(two?.add(40), undefined);
  assert.equal(budget.held, 100);
  const full = three?.add(1);
  assert.equal(full?.code, 'queue');
  assert.match(full.message, /large answers of this and other targets are more than 1 MiB together/);
  assert.equal(budget.held, 100, 'what was refused is not counted');
  one?.end();
  one?.end();
  assert.equal(budget.held, 40);
  assert.equal(one?.add(9), undefined, 'the next answer begins anew');
  assert.equal(budget.held, 40);
  for (const answer of answers) answer.end();
  assert.equal(budget.held, 0);
});

test('one answer of Kafka may have all of it', () => {
  const answer = answerBudget.begin();
  assert.equal(answer.add(256 * 1024 * 1024), undefined);
  answer.end();
  assert.equal(answerBudget.held, 0);
});

const turn = (): Promise<void> => new Promise(setImmediate);

test('Redis: counted until what was asked is answered, the connection ends, or it is refused', async () => {
  const budget = new AnswerBudget(100, 10);
  const told: TargetError[] = [];
  const open = (): { stream: PassThrough; limit: ReturnType<typeof limitReplies>; seen: () => number } => {
    const stream = new PassThrough();
    let seen = 0;
    const limit = limitReplies(stream, (why) => told.push(why), 1000, budget);
    stream.on('data', (chunk: Buffer) => (seen += chunk.length));
    return { stream, limit, seen: () => seen };
  };
  const begin = `$90\r\n${'x'.repeat(55)}`; // 60 bytes of 97
  const [one, two, three] = [open(), open(), open()];
  for (const { limit } of [one, two, three]) limit.sent();
  one.stream.write(begin);
  await turn();
  assert.equal(budget.held, 50);
  two.stream.write(begin);
  await turn();
  assert.equal(budget.held, 100);
  three.stream.write(begin);
  await turn();
  assert.deepEqual(told.map(({ code }) => code), ['queue']); // prettier-ignore
  assert.equal(three.seen(), 0, 'the library sees none of it');
  one.limit.answered();
  assert.equal(budget.held, 50);
  two.stream.destroy();
  await turn();
  assert.equal(budget.held, 0);
});

test('Kafka: counted as it is read, not as it is announced, until the answer is whole or the connection ends', async () => {
  const budget = new AnswerBudget(100, 10);
  const told: TargetError[] = [];
  const open = (): PassThrough => {
    const stream = new PassThrough();
    stream.resume();
    limitFrames(stream, (why) => told.push(why), 1000, budget);
    return stream;
  };
  const announced = Buffer.from([0, 0, 0, 90]);
  const [one, two, three] = [open(), open(), open()];
  for (const stream of [one, two, three]) stream.write(announced);
  await turn();
  assert.equal(budget.held, 0);
  one.write(Buffer.alloc(60));
  two.write(Buffer.alloc(60));
  await turn();
  assert.equal(budget.held, 100);
  three.write(Buffer.alloc(60));
  await turn();
  assert.deepEqual(told.map(({ code }) => code), ['queue']); // prettier-ignore
  two.destroy();
  await turn();
  assert.equal(budget.held, 50);
  one.write(Buffer.alloc(30));
  await turn();
  assert.equal(budget.held, 0);
});
