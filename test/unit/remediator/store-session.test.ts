import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { LostSessionError, openSession } from '../../../remediator/store/mysql-session.ts';
import { StoreError } from '../../../remediator/store/store.ts';
import { hostileMysql } from '../../support/hostile-mysql.ts';

test('a store that cannot be had says what the network said', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  assert.ok(typeof bound === 'object' && bound !== null);
  server.close();
  await once(server, 'close');
  const address = { host: '127.0.0.1', port: bound.port };
  await assert.rejects(
    openSession({ address, database: 'd', auth: { user: 'u' }, tls: undefined }),
    (error) => error instanceof StoreError && /127\.0\.0\.1:\d+ was lost: .*ECONNREFUSED/.test(error.message),
  );
});

test('a session that is reset as a statement is written is not to be used again from the moment that this is told', async () => {
  let end: Socket | undefined;
  await using server = await hostileMysql({
    reply: (sql) =>
      sql === 'SELECT 1'
        ? (socket) => {
            end = socket;
          }
        : 'ok',
  });
  const address = { host: '127.0.0.1', port: server.port };
  const session = await openSession({ address, database: 'd', auth: { user: 'u' }, tls: undefined });
  const first = session.all('SELECT 1', []);
  first.catch(() => undefined);
  while (end === undefined) await new Promise((resolve) => setImmediate(resolve));
  // the reset is there before the next statement is written, and has not been read
  end.resetAndDestroy();
  const second = session.all('SELECT 2', []);
  const seen = second.catch((error: unknown) => ({ error, usable: session.usable() }));
  const { error, usable } = (await seen) as { readonly error: unknown; readonly usable: boolean };
  assert.ok(error instanceof LostSessionError, String(error));
  assert.match(error.message, /ECONNRESET|EPIPE/);
  assert.equal(usable, false, 'whoever tries the next idle session would take this one again, without end');
});
