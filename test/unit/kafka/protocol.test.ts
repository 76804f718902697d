import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import {
  Admin,
  AuthenticationError,
  MultipleErrors,
  NetworkError,
  ProtocolError,
  TimeoutError,
} from '@platformatic/kafka';
import { kafkaAddress } from '../../../exporter/systems/kafka/address.ts';
import { kafkaError } from '../../../exporter/systems/kafka/client-errors.ts';
import { assignedTopics } from '../../../exporter/systems/kafka/facts-protocol.ts';

function assignment(topics: readonly (readonly [name: string, partitions: readonly number[]])[]): Buffer {
  const int32 = (n: number): Buffer => {
    const b = Buffer.alloc(4);
    b.writeInt32BE(n);
    return b;
  };
  const int16 = (n: number): Buffer => int32(n).subarray(2);
  return Buffer.concat([
    int16(1),
    int32(topics.length),
    ...topics.flatMap(([name, of]) => [int16(Buffer.byteLength(name)), Buffer.from(name), int32(of.length), ...of.map(int32)]), // prettier-ignore
    int32(-1),
  ]);
}

test('topics of an assignment', () => {
  assert.deepEqual(assignedTopics(assignment([['a', [0, 1]], ['bärte', [7]], ['none', []]])), ['a', 'bärte']); // prettier-ignore
  assert.deepEqual(assignedTopics(assignment([])), []);
});

test('bytes that are no assignment give nothing', () => {
  const whole = assignment([['topic', [0, 1, 2]]]);
  for (let length = 0; length < whole.length - 4; length++)
    assert.deepEqual(assignedTopics(whole.subarray(0, length)), []);
  assert.deepEqual(assignedTopics(Buffer.from('{"connector":"x"}')), []);
});

const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' });
const classes = [
  ['refused', new MultipleErrors('no broker', [new NetworkError('failed', { cause: refused })])],
  ['unreachable', new NetworkError('Connection closed')],
  ['deadline', new MultipleErrors('no broker', [new TimeoutError('Request timed out')])],
  ['auth', new NetworkError('failed', { cause: new AuthenticationError('SASL authentication failed.') })],
  ['denied', new ProtocolError('CLUSTER_AUTHORIZATION_FAILED')],
  ['unsupported', new ProtocolError('UNSUPPORTED_VERSION')],
  ['failed', new ProtocolError('UNKNOWN_SERVER_ERROR')],
  ['failed', new Error('something else')],
] as const;
for (const [code, error] of classes) {
  test(`class of ${error.name} "${error.message}": ${code}`, () => {
    assert.equal(kafkaError(error, 'doing').code, code);
    assert.match(kafkaError(error, 'doing').message, /^doing: /);
  });
}

// The library's schema of options does not know `requestTimeout`; without it a request waits half a minute.
test('the library takes a request time-out', async (t) => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const options = { retries: 0, connectTimeout: 1_000, requestTimeout: 300 };
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [{ host: '127.0.0.1', port }], ...options });
  const beganMs = performance.now();
  await assert.rejects(admin.listApis());
  assert.ok(performance.now() - beganMs < 2_000);
  await admin.close();
});

test('addresses', () => {
  assert.ok(kafkaAddress.safeParse({ brokers: ['kafka-1:9092', '[::1]:9092'] }).success);
  for (const brokers of [[], ['kafka'], ['kafka:70000'], ['PLAINTEXT://kafka:9092'], ['u:p@kafka:9092']]) {
    assert.equal(kafkaAddress.safeParse({ brokers }).success, false, brokers.join());
  }
});
