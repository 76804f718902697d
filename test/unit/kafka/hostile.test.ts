// A broker that announces or sends more than can be held: the connection is ended before it fills the memory.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { within } from '../../../exporter/runtime/deadline.ts';
import type { TargetError } from '../../../exporter/runtime/errors.ts';
import { limitFrames } from '../../../exporter/systems/kafka/client-limit.ts';
import { KafkaWire } from '../../../exporter/systems/kafka/client-wire.ts';

function frame(bytes: number): Buffer {
  const whole = Buffer.alloc(4 + bytes, 0xff);
  whole.writeUInt32BE(bytes);
  return whole;
}

test('answers are told apart however they are cut, and only one that is too large is refused', async () => {
  for (const piece of [1, 3, 7, 1000]) {
    const stream = new PassThrough();
    stream.resume();
    const told: TargetError[] = [];
    limitFrames(stream, (why) => told.push(why), 100);
    const send = async (bytes: Buffer): Promise<void> => {
      for (let at = 0; at < bytes.length; at += piece) stream.write(bytes.subarray(at, at + piece));
      await new Promise(setImmediate);
    };
    await send(Buffer.concat([frame(100), frame(0), frame(4), frame(99), frame(1)]));
    assert.equal(told.length, 0);
    await send(Buffer.concat([frame(101), frame(1000)]));
    assert.equal(told.length, 1);
    assert.match(told[0]?.message ?? '', /an answer of 101 bytes, more than 100 are not read/);
  }
});

test('a port that speaks TLS is told as that', async () => {
  const stream = new PassThrough();
  stream.resume();
  const told: TargetError[] = [];
  limitFrames(stream, (why) => told.push(why));
  stream.write(Buffer.from([0x15, 3, 3, 0, 2, 2, 0x50])); // what Kafka 4.1.1 answers to plain text: a fatal alert
  await new Promise(setImmediate);
  assert.deepEqual(
    told.map(({ code, message }) => [code, message]),
    [['tls', 'the broker speaks TLS on this port: set tls']],
  );
});

test('a broker that announces two gigabytes is refused at once', async (t) => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.once('data', () => socket.write(Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])));
  });
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const wire = new KafkaWire({ brokers: [{ host: '127.0.0.1', port }], tls: undefined, sasl: undefined });
  const call = { signal: within(60_000), clock: systemClock };
  await assert.rejects(wire.metadata(call, null), (error: TargetError) => {
    assert.equal(error.code, 'protocol');
    assert.match(error.message, /an answer of 2147483647 bytes/);
    return true;
  });
  await wire.close();
});
