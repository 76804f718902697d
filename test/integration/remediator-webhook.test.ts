// The receiver as the real program: what it takes, what it refuses, and that what it took is there whatever happens.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { waitFor } from '../../deploy/lab/ready.ts';
import { makeHome, payload, sent, startRemediator, token, type Home } from '../support/remediator-serve.ts';

const labels = { alertname: 'MaxwellDown', target: 'maxwell1', cluster: 'prod' };

async function episodes(home: Home, wanted: number): Promise<readonly string[]> {
  return waitFor(
    async () => {
      await using store = home.store();
      const open = await store.openEpisodes();
      return open.length === wanted ? open.map((e) => e.id) : undefined;
    },
    { what: `${wanted} open episodes` },
  );
}

test('the receiver: authentication, bounds, shape, and what becomes of alerts', async (t) => {
  await using home = await makeHome();
  await using remediator = await startRemediator(home);
  const { post, metric } = remediator;
  const good = payload([sent(labels)]);

  await t.test('no token is 401, a wrong one 403, and the body is not looked at', async () => {
    assert.equal((await post(good, { authorization: undefined })).status, 401);
    assert.equal((await post(good, { authorization: 'Basic dXNlcjp3' })).status, 401);
    assert.equal((await post(good, { authorization: `Bearer ${token}x` })).status, 403);
    assert.equal((await post('garbage', { authorization: 'Bearer no', raw: true })).status, 403);
    assert.equal(await metric('pipemedic_remediator_webhooks_total{source="main",result="forbidden"}'), 2);
  });

  await t.test('an unknown source is 404, and its name is no label', async () => {
    assert.equal((await post(good, { source: 'other' })).status, 404);
    assert.equal(await metric('pipemedic_remediator_webhooks_total{source="unknown",result="unknown_source"}'), 1);
  });

  await t.test('a GET on the ingest path is 405, said loudly and counted', async () => {
    for (const method of ['GET', 'PUT']) {
      const answer = await post(good, { method });
      assert.equal(answer.status, 405);
      assert.match(answer.body.error ?? '', /redirect/);
    }
    assert.equal(await metric('pipemedic_remediator_webhooks_total{source="main",result="wrong_method"}'), 2);
    assert.ok(remediator.log().some((l) => l['level'] === 'error' && l['result'] === 'wrong_method'));
  });

  await t.test('what is not a notification of version 4 is 400', async () => {
    const wrong: readonly unknown[] = [
      '{"version": "4", "alerts": [',
      '',
      '[]',
      'null',
      '\ud800',
      JSON.stringify({ ...good, version: '3' }),
      JSON.stringify({ ...good, alerts: 'x' }),
      JSON.stringify(payload([sent(labels, { status: 'odd' })])),
      JSON.stringify(payload([sent(labels, { startsAt: 'yesterday' })])),
      JSON.stringify(payload([sent(labels, { labels: { a: 1 } })])),
      JSON.stringify(payload([{}])),
      '['.repeat(100_000),
    ];
    for (const body of wrong) assert.equal((await post(body, { raw: true })).status, 400, String(body).slice(0, 80));
  });

  await t.test('5 MB and 2,000 alerts are 413', async () => {
    const large = payload([sent({ ...labels, long: 'x'.repeat(5 * 1024 * 1024) })]);
    assert.equal((await post(large)).status, 413);
    assert.equal(
      (await post(payload(Array.from({ length: 2000 }, (_, i) => sent({ ...labels, i: String(i) }))))).status,
      413,
    );
  });

  await t.test('nothing of all this was stored', async () => {
    await using store = home.store();
    assert.deepEqual([await store.openEpisodes(), await store.pendingWebhooks(10)], [[], []]);
  });

  await t.test(
    'unknown fields are tolerated; two peers with other order and externalURL are one episode, two deliveries',
    async () => {
      const other = sent({ alertname: 'RedisDown', target: 'r1' });
      const first = payload([sent(labels), other], { notification_reason: 'first notification', routeLabels: {} });
      const second = payload(
        [other, sent(labels, { startsAt: '2026-01-31T12:01:00.400Z', fingerprint: 'fedcba9876543210' })],
        { externalURL: 'http://alertmanager-b:9093' },
      );
      assert.equal((await post(first)).status, 200);
      assert.equal((await post(second)).status, 200);
      const ids = await episodes(home, 2);
      await using store = home.store();
      for (const id of ids) {
        await waitFor(async () => (await store.webhooksOf(id)).length === 2, { what: 'both deliveries' });
      }
      await episodes(home, 2);
    },
  );

  await t.test('alerts of pipemedic itself are refused as input, but the notification is taken', async () => {
    const own = sent({ alertname: 'RemediationFailed', target: 'maxwell1', generator: 'pipemedic' });
    assert.equal((await post(payload([own]))).status, 200);
    const name = 'pipemedic_remediator_alerts_total{source="main",result="own"}';
    await waitFor(async () => (await metric(name)) === 1, { what: 'the alert to be counted as own' });
    await episodes(home, 2);
  });

  await t.test('the watchdog only says that it was seen', async () => {
    const name = 'pipemedic_remediator_watchdog_last_seen_timestamp_seconds{source="main"}';
    assert.equal(await metric(name), undefined);
    assert.equal((await post(payload([sent({ alertname: 'PipemedicWatchdog', generator: 'pipemedic' })]))).status, 200);
    const seen = await waitFor(() => metric(name), { what: 'the watchdog to be seen' });
    assert.ok(Math.abs(seen - Date.now() / 1000) < 30, String(seen));
    await episodes(home, 2);
  });

  await t.test('hostile labels are kept as they are and hold up nothing', async () => {
    const hostile = { alertname: '$(reboot);rm -rf /', target: '../../etc/passwd\u0000', '"': "'; DROP TABLE run; --" };
    const raw = JSON.stringify(payload([sent(hostile)])).replace(
      '"annotations"',
      '"__proto__":{"x":"y"},"annotations"',
    );
    assert.equal((await post(raw, { raw: true })).status, 200);
    assert.equal((await post(payload([sent({ alertname: 'Next' })], { truncatedAlerts: 7 }))).status, 200);
    await episodes(home, 4);
    await using store = home.store();
    const open = await store.openEpisodes();
    assert.deepEqual(open.find((e) => e.labels['"'] !== undefined)?.labels, hostile);
    assert.equal(open.find((e) => e.labels['alertname'] === 'Next')?.truncated, true);
  });

  await t.test('a token that is replaced counts at once; two are valid in between', async () => {
    await writeFile(home.file('token.new'), 'webhook-secret-2');
    await rename(home.file('token.new'), home.file('token'));
    assert.equal((await post(good)).status, 403);
    assert.equal((await post(good, { authorization: 'Bearer webhook-secret-2' })).status, 200);
    await writeFile(home.file('token'), '  \n');
    const unreadable = await post(good, { authorization: 'Bearer ' });
    assert.equal(unreadable.status, 401, 'an empty token admits nobody');
    assert.equal(
      (await post(good, { authorization: 'Bearer x' })).status,
      503,
      'ours is the fault: Alertmanager keeps it',
    );
  });

  await t.test('SIGTERM ends it in order', async () => {
    assert.equal(await remediator.stop(), 0);
  });
});

test('every notification that was answered with 2xx is there after kill -9 under load', async () => {
  await using home = await makeHome();
  const acknowledged = new Set<number>();
  {
    await using remediator = await startRemediator(home);
    let sending = true;
    const senders = Array.from({ length: 8 }, async (_, sender) => {
      for (let i = 0; sending; i++) {
        const answer = await remediator
          .post(payload([sent({ alertname: `A${sender}`, n: String(i) })]))
          .catch(() => undefined);
        if (answer?.status === 200 && answer.body.id !== undefined) acknowledged.add(answer.body.id);
        if (answer === undefined) return;
      }
    });
    await waitFor(() => acknowledged.size >= 200, { what: '200 notifications to be taken' });
    await remediator.stop('SIGKILL');
    sending = false;
    await Promise.all(senders);
  }
  const known = new Set<number>();
  await using again = await startRemediator(home);
  await waitFor(
    async () => {
      await using store = home.store();
      return (await store.pendingWebhooks(1)).length === 0;
    },
    { what: 'what was pending to be processed' },
  );
  await using store = home.store();
  for (const episode of await store.openEpisodes())
    for (const hook of await store.webhooksOf(episode.id)) known.add(hook.id);
  assert.deepEqual(
    [...acknowledged].filter((id) => !known.has(id)),
    [],
  );
  assert.ok(again.url);
});

test('the log of the store is synced before the 2xx is written', async (t) => {
  if (spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status !== 0) {
    t.skip('strace is not here or not permitted: the order of system calls was NOT tested');
    return;
  }
  await using home = await makeHome();
  const trace = home.file('trace');
  await using remediator = await startRemediator(home, {
    under: ['strace', '-f', '-yy', '-s', '40', '-e', 'trace=fdatasync,fsync,read,write,writev,pwrite64,sendto', '-o', trace],
  }); // prettier-ignore
  for (let i = 0; i < 3; i++) {
    assert.equal((await remediator.post(payload([sent({ ...labels, i: String(i) })]))).status, 200);
    // what becomes of it is written too, and shall not be taken for the next one
    await waitFor(
      async () => {
        await using store = home.store();
        return (await store.pendingWebhooks(1)).length === 0;
      },
      { what: 'it to be processed' },
    );
  }
  await remediator.stop();
  const lines = (await readFile(trace, 'utf8')).split('\n');
  const at = (text: RegExp, from = 0): number => lines.findIndex((line, i) => i >= from && text.test(line));
  // It comes in, goes into the log, the log is synced, then it is answered; others may write meanwhile.
  let from = 0;
  for (let n = 0; n < 3; n++) {
    const come = at(/"POST \/webhook\//, from);
    const answered = at(/HTTP\/1\.1 200/, come);
    assert.ok(come >= 0 && answered > come, `${String(n)}: come at ${String(come)}, answered at ${String(answered)}`);
    const written = at(/pwrite64\(.*remediator\.db-wal/, come);
    const syncing = at(/(fdatasync|fsync)\(.*remediator\.db-wal/, written);
    const isOver = !(lines[syncing] ?? '').includes('<unfinished');
    const synced = isOver ? syncing : at(/<\.\.\. (fdatasync|fsync) resumed>/, syncing);
    assert.ok(
      written >= 0 && written < synced && synced < answered,
      `${String(n)}: written at ${String(written)}, synced at ${String(synced)}, answered at ${String(answered)}`,
    );
    from = answered + 1;
  }
  assert.equal(at(/HTTP\/1\.1 200/, from), -1, 'each was answered once');
});

test('a full store is 503 and no more; with room again the same notification is taken once', async () => {
  await using home = await makeHome();
  // A quota that is there when the program opens the store: as a full disk, it refuses what makes the file grow.
  await using remediator = await startRemediator(home, { under: ['prlimit', `--fsize=${512 * 1024}:unlimited`] });
  const noise = (): string =>
    Array.from({ length: 40_000 }, () => Math.floor(Math.random() * 36).toString(36)).join('');
  let stored = 0;
  const refused = await waitFor(
    async () => {
      const answer = await remediator.post(payload([sent({ alertname: 'Fill', noise: noise() })]));
      if (answer.status === 200) stored++;
      return answer.status === 200 ? undefined : answer;
    },
    { what: 'the store to be full' },
  );
  assert.equal(refused.status, 503);
  assert.ok(stored > 0);
  const wanted = payload([sent(labels, { annotations: { noise: noise() } })]);
  assert.equal((await remediator.post(wanted)).status, 503);
  assert.equal((await fetch(`${remediator.url}/-/healthy`)).status, 200);
  // As when somebody makes room on the disk: nothing is restarted, and Alertmanager's next try is taken.
  const { status } = spawnSync('prlimit', [`--pid=${String(remediator.child.pid)}`, '--fsize=unlimited']);
  assert.equal(status, 0, 'prlimit gave the program its room back');
  await waitFor(async () => (await remediator.post(wanted)).status === 200, {
    what: 'the same notification to be taken',
  });
  const find = async (): Promise<string | undefined> => {
    await using store = home.store();
    return (await store.findEpisodes({ alertname: 'MaxwellDown', limit: 5 })).map((e) => e.id)[0];
  };
  const id = await waitFor(find, { what: 'the episode' });
  await using store = home.store();
  assert.equal((await store.webhooksOf(id)).length, 1);
});

test('a sender that is slow or silent is cut off', async () => {
  await using home = await makeHome();
  await using remediator = await startRemediator(home);
  const socket = connect(Number(new URL(remediator.url).port), '127.0.0.1');
  let closed = false;
  socket.on('close', () => {
    closed = true;
  });
  socket.on('error', () => undefined);
  socket.resume(); // the answer is read, else the end is not seen
  socket.write('POST /webhook/main HTTP/1.1\r\nHost: x\r\nAuth');
  await waitFor(() => closed, { what: 'the connection to be closed' });
});

test('behind --web.config.file: everything wants a user, and only who is named may deliver', async () => {
  await using home = await makeHome();
  const hash = (password: string): string => hashSync(password, 4);
  await writeFile(home.file('web.yml'), `basic_auth_users: {am: "${hash('a')}", prom: "${hash('p')}"}\n`);
  await home.configure({ webhook: { basic_auth_users: ['am'] }, api: { token_files: [home.file('token')] } });
  await using remediator = await startRemediator(home, { args: [`--web.config.file=${home.file('web.yml')}`] });
  const basic = (login: string): string => `Basic ${Buffer.from(login).toString('base64')}`;
  const get = async (path: string, authorization?: string): Promise<number> => {
    const headers = authorization === undefined ? {} : { Authorization: authorization };
    return (await fetch(`${remediator.url}${path}`, { headers })).status;
  };
  for (const path of ['/metrics', '/-/healthy', '/-/ready', '/WEBHOOK/main']) assert.equal(await get(path), 401, path);
  assert.equal(await get('/metrics', basic('prom:p')), 200);
  assert.equal(await get('/api/v1/runs'), 401);
  assert.equal(await get('/api/v1/runs', `Bearer ${token}`), 200);
  const good = payload([sent(labels)]);
  assert.equal((await remediator.post(good)).status, 401, 'no token is configured for the receiver');
  assert.equal((await remediator.post(good, { authorization: basic('prom:p') })).status, 403);
  assert.equal((await remediator.post(good, { authorization: basic('am:a') })).status, 200);
  await episodes(home, 1);
});
