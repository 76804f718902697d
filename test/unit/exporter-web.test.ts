// The exporter behind a web configuration: nothing without a password, and a reload only by who is known.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { serve } from '../../exporter/serve.ts';
import { systems } from '../../exporter/systems/index.ts';

const nobody = { name: 'r1', kind: 'redis', address: { host: '127.0.0.1', port: 1 } };

test('with --web.config.file every path wants a user, and POST /-/reload is open to users only', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-exweb-'));
  t.after(() => rm(dir, { recursive: true }));
  const web = join(dir, 'web.yml');
  const users = `basic_auth_users: {prometheus: "${hashSync('secret', 4)}"}`;
  await writeFile(web, users);
  let loads = 0;
  const start = (file: string | undefined): ReturnType<typeof serve> =>
    serve({
      load: () => {
        loads += 1;
        return Promise.resolve(inventoryOf({ targets: [nobody] }, 'pipemedic.yml', systems));
      },
      ...{ listen: { host: '127.0.0.1', port: 0 }, web: file, version: '1', clock: systemClock },
      ...{ log: createLog('test', 'silent'), pipelines: () => undefined },
    });
  const guarded = await start(web);
  t.after(() => guarded.stop());
  const open = await start(undefined);
  t.after(() => open.stop());
  const ask = async (port: number, path: string, method: string, login = ''): Promise<number> => {
    const headers = login === '' ? {} : { Authorization: `Basic ${Buffer.from(login).toString('base64')}` };
    return (await fetch(`http://127.0.0.1:${port}${path}`, { method, headers })).status;
  };
  const { port } = guarded.address;
  for (const path of ['/', '/metrics', '/probe?target=x', '/sd', '/-/healthy', '/-/ready', '/none']) {
    assert.equal(await ask(port, path, 'GET'), 401, path);
  }
  const login = 'prometheus:secret';
  assert.equal(await ask(port, '/metrics', 'GET', login), 200);
  assert.equal(loads, 2);
  assert.equal(await ask(port, '/-/reload', 'POST'), 401);
  assert.equal(loads, 2);
  assert.equal(await ask(port, '/-/reload', 'POST', login), 200);
  assert.equal(loads, 3);
  assert.equal(await ask(open.address.port, '/-/reload', 'POST'), 403);
  // the users are taken away while it runs: whoever asks now is not known
  await writeFile(web, '{}');
  assert.equal(await ask(port, '/-/reload', 'POST'), 500);
  assert.equal(loads, 3);
});
