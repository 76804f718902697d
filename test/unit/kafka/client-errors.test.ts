import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthenticationError, MultipleErrors, NetworkError, UserError } from '@platformatic/kafka';
import { kafkaError } from '../../../exporter/systems/kafka/client-errors.ts';

function thrown(cause: Error): Error {
  return new MultipleErrors('Cannot connect to any broker.', [
    new NetworkError('Connection to b:1 failed.', { cause }),
  ]);
}

const reset = Object.assign(
  new Error('Client network socket disconnected before secure TLS connection was established'),
  { code: 'ECONNRESET' },
);

// Texts as Node 24 and @platformatic/kafka 2.12.1 were seen to give them; the brokers' answers are asked for by
// test/integration/kafka-auth.test.ts.
for (const [error, code, fix] of [
  [thrown(Object.assign(new Error('unable to verify the first certificate'), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })), 'tls', /set tls\.ca_file/],
  [thrown(new Error("Hostname/IP does not match certificate's altnames: IP: 127.0.0.1 is not in the cert's list: ")), 'tls', /set tls\.server_name/],
  [new NetworkError('Connection error', { cause: new Error('0A000412:SSL routines:ssl3_read_bytes:ssl/tls alert bad certificate:…:SSL alert number 42') }), 'tls', /set tls\.cert_file and tls\.key_file/],
  [new NetworkError('Connection error', { cause: new Error('SSL routines:ssl3_read_bytes:ssl/tls alert certificate expired') }), 'tls', /tls\.cert_file has expired/],
  [thrown(new Error('certificate has expired')), 'tls', /renew it there/],
  [thrown(new UserError('TLS handshake failed. Please verify the broker supports TLS.', { cause: reset })), 'tls', /take tls away/],
  [new UserError('Broker requires TLS.'), 'tls', /set tls$/],
  [thrown(new AuthenticationError('SASL authentication failed.')), 'auth', /another password/],
] as const) {
  test(`${error.cause instanceof Error ? error.cause.message : error.message}: ${code}, and what mends it`, () => {
    const found = kafkaError(error, 'Metadata');
    assert.equal(found.code, code);
    assert.match(found.message, fix);
  });
} // prettier-ignore

test('a connection that is closed without a word: what the client goes without is named', () => {
  const closed = new NetworkError('Connection closed');
  assert.match(kafkaError(closed, 'x', { tls: false, user: false }).message, /TLS \(set tls\) or a user \(set auth\)$/);
  assert.match(kafkaError(closed, 'x', { tls: true, user: false }).message, /wants a user \(set auth\)$/);
  assert.equal(kafkaError(closed, 'x', { tls: true, user: true }).message, 'x: Connection closed');
});
