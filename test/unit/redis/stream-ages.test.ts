// What the collector leaves on the board for the stage of a pipeline: the ages of the places in its stream.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FactBoard } from '../../../exporter/facts.ts';
import type { OffsetAge } from '../../../exporter/runtime/offset-history.ts';
import type { RedisClient } from '../../../exporter/systems/redis/client.ts';
import { redisReplication } from '../../../exporter/systems/redis/collector-replication.ts';
import { redisStreamFact } from '../../../exporter/systems/redis/facts-replication.ts';

test('ages by all looks at one stream, and none of another one', async () => {
  const prepared = redisReplication.prepare({});
  const board = new FactBoard();
  let nowMs = 0;
  const call = {
    signal: new AbortController().signal,
    clock: { monoMs: () => nowMs, wallMs: () => nowMs },
    target: 'r1',
    board,
  };
  const look = async (atMs: number, offset: number, replId: string): Promise<void> => {
    nowMs = atMs;
    const lines = ['# Server', 'redis_mode:standalone', 'tcp_port:6379', '# Replication', 'role:master'];
    const info = [...lines, `master_replid:${replId}`, `master_repl_offset:${offset}`, ''].join('\r\n');
    const client = { host: '127.0.0.1', info: () => Promise.resolve(info) } as unknown as RedisClient;
    await prepared.collect(client, () => undefined, call);
  };
  const ageOf = (offset: number): OffsetAge | string | undefined => {
    const stream = board.read('r1', redisStreamFact);
    return stream.known ? stream.value.ageOf(offset) : stream.why;
  };
  await look(0, 1_000, 'a');
  await look(10_000, 2_000, 'a');
  await look(20_000, 3_000, 'a');
  assert.deepEqual(ageOf(1_500), { seconds: 15, atLeast: false });
  nowMs = 25_000;
  assert.deepEqual(ageOf(1_500), { seconds: 20, atLeast: false }, 'at the moment of the question');
  assert.deepEqual(ageOf(999), { seconds: 25, atLeast: true });
  await look(30_000, 3_500, 'b');
  assert.deepEqual(ageOf(1_500), { seconds: 0, atLeast: true });
  prepared.unknown('no answer', () => undefined, call);
  assert.equal(ageOf(1_500), 'no answer');
});
