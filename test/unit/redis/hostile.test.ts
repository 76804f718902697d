// A Redis server that answers without an end: the connection is ended before its answer fills the memory.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { within } from '../../../exporter/runtime/deadline.ts';
import type { TargetError } from '../../../exporter/runtime/errors.ts';
import { limitReplies, mostReplyBytes } from '../../../exporter/systems/redis/client-limit.ts';
import { openRedis } from '../../../exporter/systems/redis/client.ts';
import { pour } from '../../support/pour.ts';

const chunk = Buffer.alloc(1024 * 1024, 0x61);

test('a reply that does not end is refused, and little more than the limit has been read', async () => {
  const beginnings = ['$9000000000\r\n', '+'];
  const sockets = new Set<Socket>();
  let asked = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.once('data', () => {
      socket.write(beginnings[asked++ % 2] ?? '');
      pour(socket, chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const address = { host: '127.0.0.1', port } as Parameters<typeof openRedis>[0]['address'];
  const opening = { target: 'r', address, auth: undefined, tls: undefined, resolve: () => assert.fail('no reference') };
  for (const _ of beginnings) {
    const call = { signal: within(60_000), clock: systemClock };
    const client = await openRedis(opening, call);
    await assert.rejects(client.info(call), (error: TargetError) => {
      assert.equal(error.code, 'protocol');
      assert.match(error.message, /more than 64 MiB/);
      return true;
    });
    assert.equal(client.usable(), false);
    await client[Symbol.asyncDispose]();
  }
  server.close();
  for (const socket of sockets) socket.destroy();
});

test('the room is for the replies that are waited for, anew each time, and said to be used up once', async () => {
  const stream = new PassThrough();
  stream.resume();
  const told: TargetError[] = [];
  const limit = limitReplies(stream, (why) => told.push(why), 100);
  const receive = async (bytes: number): Promise<void> => {
    stream.write(`+${'a'.repeat(bytes - 3)}\r\n`);
    await new Promise(setImmediate);
  };
  for (let i = 0; i < 5; i++) {
    limit.sent();
    await receive(100);
    limit.answered();
  }
  assert.equal(told.length, 0);
  limit.sent();
  limit.sent();
  await receive(60);
  limit.answered();
  limit.sent();
  await receive(60);
  await receive(60);
  assert.equal(told.length, 1);
  assert.ok(mostReplyBytes > 1e7);
});
