import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { openSession } from '../../../remediator/store/mysql-session.ts';
import { StoreError } from '../../../remediator/store/store.ts';

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
