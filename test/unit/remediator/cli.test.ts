// The command line as people use it: the real program, with and without a server.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { dump } from 'js-yaml';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { refused } from '../../../remediator/escalate.ts';
import { fileOf, parse, policiesFileOf } from '../../../remediator/cli-options.ts';
import { main } from '../../../remediator/cli.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import { readSwitchFile } from '../../../remediator/switch.ts';
import { makeHome, payload, sent, startRemediator, token, type Home } from '../../support/remediator-serve.ts';
import { deliver, episodeNow, firing, openEpisode, win } from './store-fixtures.ts';

const file = join(import.meta.dirname, '..', '..', '..', 'remediator', 'main.ts');

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** In this process, as `run` does it: a process of its own for each takes its time. */
async function cli(home: Home | undefined, ...args: readonly string[]): Promise<Ended> {
  const config = home === undefined ? [] : [`--config.file=${home.configFile}`];
  let out = '';
  let err = '';
  const code = await main([...args, ...config], {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

/** The real program. */
async function program(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk;
  });
  await once(child, 'close');
  return { code: child.exitCode, out, err };
}

test('the files may be named once, in the environment; an option says more', () => {
  const set = { PIPEMEDIC_CONFIG_FILE: '/a.yml', PIPEMEDIC_POLICIES_FILE: '/b.yml' };
  const { values: none } = parse(['runs']);
  assert.deepEqual([fileOf(none, set), policiesFileOf(none, set)], ['/a.yml', '/b.yml']);
  assert.equal(fileOf(parse(['runs', '--config.file=c.yml']).values, set), 'c.yml');
  assert.throws(() => fileOf(none, {}), /--config\.file=pipemedic\.yml is wanted/);
});

test('help, version, and one line for each mistake', async () => {
  assert.match((await cli(undefined, '--help')).out, /^Usage: pipemedic-remediator/);
  const version = await program('--version');
  assert.match(version.out, /^\d+\.\d+\.\d+\n$/);
  const nonsense = await program('fly');
  assert.deepEqual([version.code, nonsense.code, nonsense.out], [0, 2, '']);
  assert.match(nonsense.err, /^fly is no command/);
  const wrong: readonly (readonly [args: readonly string[], told: RegExp])[] = [
    [[], /which command\?/],
    [['fly'], /fly is no command/],
    [['runs', 'x', '--config.file=f'], /x is too much/],
    [['why', '--config.file=f'], /a run, an episode or an alert is wanted/],
    [['pause', '--config.file=f'], /--reason/],
    [['latch', 'set'], /latch clear ID/],
    [['latch', 'clear', 'x', '--config.file=f'], /--comment/],
    [['runs', '--limit=0', '--config.file=/nowhere'], /--limit/],
    [['--nonsense'], /nonsense/],
    [['serve'], /--config\.file/],
    [['serve', '--config.file=f', '--policies.file=f', '--web.listen-address=here'], /--web\.listen-address/],
    [['serve', '--config.file=f', '--policies.file=f', '--log.level=loud'], /--log\.level/],
    [['check', '--config.file=/nowhere/pipemedic.yml', '--policies.file=f'], /cannot be read/],
  ];
  const ended = await Promise.all(wrong.map(([args]) => cli(undefined, ...args)));
  for (const [i, { code, err, out }] of ended.entries()) {
    const [args, told] = wrong[i] ?? [[], /never/];
    assert.equal(code, 2, args.join(' '));
    assert.match(err, told);
    assert.ok(!/\n\s+at /.test(err), `no stack: ${err}`);
    assert.equal(out, '');
  }
});

test('check: says what is well, and names what is not with path, reason and fix', async () => {
  await using home = await makeHome();
  const check = (): Promise<Ended> => cli(home, 'check', `--policies.file=${home.policiesFile}`);
  const well = await check();
  assert.deepEqual([well.code, well.err], [0, '']);
  assert.match(well.out, /2 targets, 1 sources, 1 supervisors/);
  assert.match(well.out, /maxwell-down: maxwell\.restart, observe, at most 3 in 60 min/);

  await home.configure({ supervisors: {} });
  assert.match(
    (await check()).err,
    /policies\[0\]\.action: maxwell\.restart may be wanted for maxwell1, but remediation\.supervisors\.maxwell1 is missing/,
  );
  await home.configure({ store: '/nowhere/remediator.db', switch_file: '/nowhere/PAUSED' });
  const paths = await check();
  assert.equal(paths.code, 2);
  assert.match(paths.err, /remediation\.store: \/nowhere\/remediator\.db cannot be written: ENOENT.* Create \/nowhere/);
  assert.match(paths.err, /remediation\.switch_file/);
  await home.configure({ webhook: { token_files: [home.file('absent')] } });
  assert.match((await check()).err, /remediation\.webhook\.token_files\[0\]: ENOENT/);
  await home.configure({});
  await writeFile(
    home.policiesFile,
    dump({ policies: [{ name: 'p', match: { alertname: 'X', target: 'db1' }, action: 'maxwell.restart' }] }),
  );
  assert.match(
    (await check()).err,
    /policies\[0\]\.match\.target: db1 is of kind mysql, and maxwell\.restart works on maxwell/,
  );
  await writeFile(home.policiesFile, dump({ policies: [{ name: 'p', match: {}, action: 'fly' }] }));
  const policies = await check();
  assert.match(policies.err, /policies\[0\]\.match: .*at least one label/);
});

test('runs and why read the store beside a server or without one', async () => {
  await using home = await makeHome();
  const none = await cli(home, 'runs');
  assert.deepEqual([none.code, none.out], [1, '']);
  assert.match(none.err, /^there is no store .* yet/);

  let episodeId: string;
  let runId: string;
  {
    await using store = openSqlite({ file: home.file('remediator.db') });
    const nowMs = Date.now();
    const episode = await openEpisode(
      store,
      { alertname: 'MaxwellDown', target: 'maxwell1', evil: '\u001b[31mred\n' },
      { nowMs },
    );
    episodeId = episode.id;
    await deliver(store, [firing(episode.labels)], { nowMs: nowMs + 10 });
    const { decision } = await store.recordDecision(
      {
        ...{ episodeId, episodeVersion: 1, policy: 'maxwell-down', policyHash: 'h', action: 'maxwell.restart' },
        ...{
          target: 'maxwell1',
          params: {},
          verdict: 'refuse',
          reasonKey: 'budget:spent',
          because: '3 of 3 runs used',
        },
        trace: [
          { guard: 'clock', result: 'allow', code: 'steady', because: 'the clock is steady', inputs: {} },
          { guard: 'budget', result: 'deny', code: 'spent', because: '3 of 3 runs used', inputs: { used: 3 } },
        ],
        ...{ evidenceHash: undefined, advice: [{ title: 'Look at', text: 'SHOW BINARY LOGS;\nSELECT 1;' }] },
      },
      nowMs + 20,
    );
    await store.enqueue(refused(episode, decision), nowMs + 30);
    const hold = await win(store, await episodeNow(store, episodeId), nowMs + 1000);
    runId = hold.runId;
    await store.appendJournal(
      hold,
      { kind: 'result', step: 'stop', attempt: 1, outcome: 'unknown', data: { because: 'no answer in 15 s' } },
      () => nowMs + 3500,
    );
    await store.endRun(
      hold,
      { outcome: 'outcome_unknown', because: 'what stop did is not known', cooldownMs: 0 },
      () => nowMs + 4000,
    );
  }
  const list = await cli(home, 'runs');
  assert.match(
    list.out,
    /^claimed +target +action +outcome +took +run\n.* maxwell1 +maxwell\.restart +outcome_unknown +3\.0s +/,
  );
  const asJson = JSON.parse((await cli(home, 'runs', '--json', '--limit=1')).out) as { id: string }[];
  assert.deepEqual(
    asJson.map((r) => r.id),
    [runId],
  );

  for (const what of [runId, episodeId, 'MaxwellDown', runId.slice(0, 13)]) {
    const { code, out } = await cli(home, 'why', what);
    assert.equal(code, 0, what);
    const order = [
      `MaxwellDown  episode ${episodeId}`,
      'evil=\\u001b[31mred\\u000a',
      'Deliveries: 2',
      'from 127.0.0.1 Alertmanager/0.25.0',
      'REFUSE  budget:spent',
      'policy maxwell-down, action maxwell.restart, target maxwell1',
      'ok  clock          steady',
      'NO  budget         spent                3 of 3 runs used  {"used":3}',
      'advice: Look at',
      '| SELECT 1;',
      `${runId}  maxwell.restart of maxwell1, attempt 1`,
      'after 3.0s: outcome_unknown',
      '+2.5s     result     stop           unknown  no answer in 15 s',
      'Told to people: 1',
      'Latched: left to people until cleared',
      'maxwell1: what stop did is not known',
      'pipemedic-remediator latch clear',
    ];
    let from = 0;
    for (const piece of order) {
      const found = out.indexOf(piece, from);
      assert.ok(found >= 0, `${piece} after ${from} in:\n${out}`);
      from = found;
    }
    assert.ok(!out.includes('\u001b'), 'no escape sequence reaches the terminal');
  }
  const story = JSON.parse((await cli(home, 'why', episodeId, '--json')).out) as { runs: { journal: unknown[] }[] };
  assert.equal(story.runs[0]?.journal.length, 3);
  const absent = await cli(home, 'why', 'Nothing');
  assert.deepEqual([absent.code, absent.err.split('\n').length], [1, 2]);
  assert.match(absent.err, /^there is no run, episode or alert Nothing/);
});

test('pause, resume and latch clear: without a server by file and store, with one by its API', async () => {
  await using home = await makeHome();
  const switchFile = home.file('PAUSED');
  const isPaused = async (): Promise<boolean> => (await readSwitchFile(switchFile)).file === 'set';

  // before the remediator ever ran
  assert.equal((await cli(home, 'pause', '--reason=first day')).code, 0);
  assert.match((await readSwitchFile(switchFile)).fileDetail, /first day/);
  assert.equal((await cli(home, 'resume')).code, 0);
  assert.equal(await isPaused(), false);

  await using remediator = await startRemediator(home);
  const server = `--server=${remediator.url}`;
  const state = (name: string): Promise<number | undefined> =>
    remediator.metric(`pipemedic_remediator_switch_state{state="${name}"}`);
  assert.deepEqual([await state('on'), await state('off')], [1, 0]);
  assert.equal((await cli(home, 'pause', '--reason=change window', server)).code, 0);
  assert.deepEqual([await isPaused(), await state('on'), await state('off')], [true, 0, 1]);
  const resumed = await cli(home, 'resume', server);
  assert.deepEqual([resumed.code, await isPaused(), await state('on')], [0, false, 1]);

  // a server that does not answer does not keep anybody from pausing
  const deaf = await cli(home, 'pause', '--reason=x', '--server=http://127.0.0.1:1');
  assert.deepEqual([deaf.code, await isPaused()], [0, true]);
  const unresumed = await cli(home, 'resume', '--server=http://127.0.0.1:1');
  assert.equal(unresumed.code, 1);
  assert.match(unresumed.err, /the remediator runs, but http:\/\/127\.0\.0\.1:1 does not answer.*--server/);
  await rm(switchFile);

  process.kill(remediator.child.pid ?? 0, 'SIGUSR2');
  await waitFor(async () => await isPaused(), { what: 'the switch to be pulled by the signal' });
  assert.match((await readSwitchFile(switchFile)).fileDetail, /SIGUSR2/);
  await cli(home, 'resume', server);

  // a latch, over the API
  const latchId = await latched(home);
  const unknown = await cli(home, 'latch', 'clear', 'nonsense', '--comment=x', server);
  assert.deepEqual([unknown.code, /there is no open latch nonsense/.test(unknown.err)], [1, true]);
  assert.equal(await remediator.metric('pipemedic_remediator_latched_targets'), 1);
  assert.equal((await cli(home, 'latch', 'clear', latchId, '--comment=looked at it', server)).code, 0);
  assert.equal(await remediator.metric('pipemedic_remediator_latched_targets'), 0);

  // a second server with the same store is refused
  const second = await program(
    'serve',
    `--config.file=${home.configFile}`,
    `--policies.file=${home.policiesFile}`,
    '--web.listen-address=127.0.0.1:0',
  );
  assert.equal(second.code, 2);
  assert.match(second.err, /another remediator serves with this store/);

  await remediator.stop();
  const again = await latched(home);
  assert.equal((await cli(home, 'latch', 'clear', again, '--comment=looked')).code, 0, 'the server is down');
  await using store = home.store();
  assert.deepEqual(await store.latches(), []);
});

test('the API wants a token, takes no other body, and tells why', async () => {
  await using home = await makeHome();
  await using remediator = await startRemediator(home);
  await remediator.post(payload([sent({ alertname: 'Sick', target: 'x' })]));
  const ask = async (
    path: string,
    init: { method?: string; body?: string; authorization?: string } = {},
  ): Promise<{ status: number; body: unknown }> => {
    const { authorization = `Bearer ${token}`, ...rest } = init;
    const headers = { Authorization: authorization, 'Content-Type': 'application/json' };
    const response = await fetch(`${remediator.url}/api/v1/${path}`, { ...rest, headers });
    return { status: response.status, body: await response.json() };
  };
  for (const [authorization, status] of [
    ['', 401],
    ['Bearer wrong', 403],
  ] as const) {
    assert.equal((await ask('runs', { authorization })).status, status);
    assert.equal((await ask('pause', { method: 'POST', body: '{}', authorization })).status, status);
  }
  assert.deepEqual(await ask('runs'), { status: 200, body: { runs: [] } });
  const story = await waitFor(
    async () => {
      const answer = await ask('why/Sick');
      return answer.status === 200 ? (answer.body as { episode: { labels: object } }) : undefined;
    },
    { what: 'the episode' },
  );
  assert.deepEqual(story.episode.labels, { alertname: 'Sick', target: 'x' });
  assert.equal((await ask('episodes?alertname=Sick&limit=1')).status, 200);
  assert.equal((await ask('why/nothing')).status, 404);
  assert.equal((await ask('runs?limit=x')).status, 400);
  assert.equal((await ask('pause', { method: 'POST', body: '{"by":"ann"}' })).status, 400);
  assert.equal((await ask('pause', { method: 'POST', body: 'x' })).status, 400);
  assert.equal((await fetch(`${remediator.url}/`)).status, 404);
  assert.equal((await fetch(`${remediator.url}/-/ready`)).status, 200);
  assert.equal((await readSwitchFile(home.file('PAUSED'))).file, 'clear');
});

test('SIGHUP takes new policies whole, or keeps those before', async () => {
  await using home = await makeHome();
  await using remediator = await startRemediator(home);
  const hangUp = async (document: object, message: string): Promise<void> => {
    await writeFile(home.policiesFile, dump(document));
    process.kill(remediator.child.pid ?? 0, 'SIGHUP');
    await waitFor(() => remediator.log().find((l) => l['msg'] === message), { what: message });
  };
  await hangUp(
    { policies: [{ name: 'p', match: {}, action: 'fly' }] },
    'policies were not taken, those before stay in use',
  );
  const policy = { name: 'second', match: { alertname: 'MaxwellStalled' }, action: 'maxwell.restart' };
  await hangUp({ policies: [policy] }, 'policies were read again');
  const taken = remediator.log().find((l) => l['msg'] === 'policies were read again');
  assert.deepEqual(taken?.['policies'], ['second (observe)']);
});

test('beyond loopback the API is off without tokens of its own', async () => {
  await using home = await makeHome();
  await using remediator = await startRemediator(home, { args: ['--web.listen-address=:0'] });
  const response = await fetch(`${remediator.url}/api/v1/runs`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(response.status, 403);
  assert.match(await response.text(), /api\.token_files/);
});

/** A latch made as a run makes it, while the server may run. */
async function latched(home: Home): Promise<string> {
  await using store = openSqlite({ file: home.file('remediator.db') });
  const nowMs = Date.now();
  const episode = await openEpisode(store, { alertname: 'Latched', n: String(nowMs) }, { nowMs });
  const hold = await win(store, episode, nowMs, { target: 'other1', budgets: [] });
  await store.endRun(hold, { outcome: 'outcome_unknown', because: 'test', cooldownMs: 0 }, () => nowMs);
  const [latch] = await store.latches('target:other1');
  assert.ok(latch !== undefined);
  return latch.id;
}
