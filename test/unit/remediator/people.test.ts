// What people decide: by the command line without a server, and by the API with names and roles.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { dump } from 'js-yaml';
import { main } from '../../../remediator/cli.ts';
import type { Approval } from '../../../remediator/model.ts';
import type { PolicyView } from '../../../remediator/promotion.ts';
import { changes } from '../../../remediator/people.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import type { Store } from '../../../remediator/store/store.ts';
import { makeHome, startRemediator, type Home } from '../../support/remediator-serve.ts';
import { MovableClock } from './run-harness.ts';
import { claimOf, episodeNow, openEpisode } from './store-fixtures.ts';

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function cli(home: Home, ...args: readonly string[]): Promise<Ended> {
  let out = '';
  let err = '';
  const code = await main([...args, `--config.file=${home.configFile}`], {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

async function json<T>(home: Home, ...args: readonly string[]): Promise<T> {
  const { code, out, err } = await cli(home, ...args, '--json');
  assert.deepEqual([code, err], [0, '']);
  return JSON.parse(out) as T;
}

function open(home: Home): Store {
  return openSqlite({ file: home.file('remediator.db') });
}

/** An approval that waits, of an alert of its own. */
async function asked(store: Store, name: string, change: Partial<Approval> = {}): Promise<Approval> {
  const nowMs = Date.now();
  const episode = await openEpisode(store, { alertname: name, target: 'maxwell1' }, { nowMs });
  const { approval } = await store.requestApproval(
    {
      ...{ episodeId: episode.id, decisionId: 'd1', policy: 'maxwell-down', action: 'maxwell.restart' },
      ...{ target: 'maxwell1', policyHash: 'p', evidenceHash: 'e', paramsHash: 'a', role: 'operator' },
      ...{ planHash: 'h', plan: null },
      expiresMs: nowMs + 600_000,
      ...change,
    },
    nowMs,
  );
  return approval;
}

test('approve and reject, while nobody serves: by id, by the beginning of one, by episode, once', async () => {
  await using home = await makeHome();
  let first: Approval;
  let second: Approval;
  {
    await using store = open(home);
    first = await asked(store, 'One');
    second = await asked(store, 'Two');
  }
  const list = await cli(home, 'approvals');
  assert.match(list.out, /^state +target +action +policy +role +waits +expires in +approval\n/);
  assert.ok(list.out.includes(first.id) && list.out.includes(second.id));

  const approved = await cli(home, 'approve', first.id.slice(0, 13), '--comment=seen');
  assert.deepEqual([approved.code, approved.err], [0, '']);
  assert.match(approved.out, /^approved: maxwell\.restart of maxwell1 begins as soon as every other guard allows it/);
  const rejected = await cli(home, 'reject', second.episodeId);
  assert.match(rejected.out, /^rejected: maxwell\.restart of maxwell1 is not done/);

  const twice = await cli(home, 'approve', first.id);
  assert.equal(twice.code, 1);
  assert.equal(twice.err.trim().split('\n').length, 1);
  const none = await cli(home, 'approve', 'nothing-such');
  assert.match(none.err, /^no approval nothing-such is waited for/);

  const story = await cli(home, 'why', first.episodeId);
  assert.match(story.out, /Approvals: 1\n {2}\S+ {2}approved {2}maxwell\.restart of maxwell1, by \S+ .*: seen\n/);

  await using store = open(home);
  const after = await store.approval(first.id);
  assert.deepEqual([after?.state, after?.comment], ['approved', 'seen']);
  assert.equal((await store.approval(second.id))?.state, 'rejected');
  const episode = await store.episode(first.episodeId);
  assert.ok((episode?.nextEvalMs ?? Infinity) <= Date.now() + 1000, 'the episode is looked at now');
  const verbs = (await store.auditOf({ limit: 10 })).map((e) => e.verb);
  assert.ok(verbs.length >= 2, 'both decisions stand in the audit');
});

test('the beginning of an id is never taken for another one that begins alike, and what is over is not approved', async () => {
  await using home = await makeHome();
  let old: Approval;
  let waiting: Approval;
  let over: Approval;
  {
    await using store = open(home);
    old = await asked(store, 'One');
    // the facts have changed: that question is void, and this one is asked in its place
    waiting = (await store.requestApproval({ ...old, evidenceHash: 'e2' }, Date.now())).approval;
    over = await asked(store, 'Two', { evidenceHash: 'e3' });
    const version = (await store.episode(over.episodeId))?.version ?? 0;
    const closed = await store.closeEpisode(over.episodeId, version, 'healed', Date.now());
    assert.ok(closed);
  }
  const alike = await cli(home, 'approve', old.id.slice(0, 8));
  assert.equal(alike.code, 1);
  assert.match(alike.err, /fits .*\(void, .*\(requested, .*Write the whole id/);
  const gone = await cli(home, 'approve', old.id);
  assert.ok(
    gone.err.includes(`it is void: the plan has changed since. What is asked now is ${waiting.id}\n`),
    gone.err,
  );
  assert.match((await cli(home, 'why', waiting.id)).out, /^One {2}episode /, 'the id that an alert names');
  const late = await cli(home, 'approve', over.id);
  assert.match(late.err, /the trouble that .* was asked for is over: nothing would begin/);
  const list = await cli(home, 'approvals');
  assert.deepEqual([list.out.includes(waiting.id), list.out.includes(over.id)], [true, false]);
  assert.equal((await cli(home, 'approve', waiting.episodeId)).code, 0);
});

test('what was held up by a pause is looked at as soon as it ends', async () => {
  await using home = await makeHome();
  const episodeId = await (async () => {
    await using store = open(home);
    const { id, nextEvalMs } = await openEpisode(
      store,
      { alertname: 'One', target: 'maxwell1' },
      { nowMs: Date.now() },
    );
    assert.ok(await store.scheduleEval(id, nextEvalMs, Date.now() + 60_000));
    return id;
  })();
  assert.equal((await cli(home, 'pause', '--reason=look')).code, 0);
  assert.equal((await cli(home, 'resume')).code, 0);
  await using store = open(home);
  const { nextEvalMs } = (await store.episode(episodeId)) ?? {};
  assert.ok((nextEvalMs ?? Infinity) <= Date.now() + 1000, String(nextEvalMs));
});

test('a pause does not end earlier for another one that is set later', async () => {
  await using home = await makeHome();
  await open(home)[Symbol.asyncDispose](); // makes the store
  assert.equal((await cli(home, 'pause', '--reason=disk change', '--scope=target:maxwell1')).code, 0);
  const shorter = await cli(home, 'pause', '--reason=look', '--scope=target:maxwell1', '--until=1h');
  assert.equal(shorter.code, 1);
  assert.match(shorter.err, /^target:maxwell1 is paused by \S+ without an end \(disk change\), and stays so\n$/);
  {
    await using store = open(home);
    assert.equal((await store.pauses()).find((p) => p.scope === 'target:maxwell1')?.untilMs, undefined);
  }
  assert.equal((await cli(home, 'resume', '--scope=target:maxwell1')).code, 0);
  assert.equal((await cli(home, 'pause', '--reason=look', '--scope=target:maxwell1', '--until=1h')).code, 0);
  assert.equal((await cli(home, 'pause', '--reason=more', '--scope=target:maxwell1', '--until=2h')).code, 0);
  const years = await cli(home, 'pause', '--reason=x', '--until=2y');
  assert.equal(years.code, 2);
});

test('with a shared store a pause of everything stands in it too: the file stops only its own machine', async () => {
  await using home = await makeHome();
  await using store = open(home);
  const inventory = { targets: new Map(), pipelines: [] };
  const actor = { name: 'ann', via: 'api', may: () => true } as const;
  for (const sharedStore of [false, true]) {
    const switchFile = home.file(`PAUSED-${sharedStore}`);
    const context = {
      ...{ store, inventory, switchFile, sharedStore },
      clock: new MovableClock(),
      changed: () => undefined,
    };
    const change = async (path: string, body: object): Promise<boolean | undefined> => {
      await changes.find((c) => c.path === path)?.run(context, actor, body);
      return (await store.pauses()).find((p) => p.scope === 'global')?.paused;
    };
    assert.equal(await change('pause', { reason: 'x' }), sharedStore);
    assert.match(await readFile(switchFile, 'utf8'), /"by":"ann"/);
    assert.equal(await change('resume', {}), false);
    await assert.rejects(readFile(switchFile), { code: 'ENOENT' });
  }
});

test('by the API a decision needs the role, and the audit has the name of the token, whatever the body says', async () => {
  await using home = await makeHome();
  const tokens = [
    { file: home.file('ann'), name: 'ann', roles: ['operator'] },
    { file: home.file('bob'), name: 'bob', roles: ['viewer'] },
  ];
  await writeFile(home.file('ann'), 'token-of-ann\n');
  await writeFile(home.file('bob'), 'token-of-bob\n');
  await writeFile(home.file('shared'), 'token-of-all\n');
  await home.configure({ api: { token_files: [home.file('shared')], tokens } });
  await using remediator = await startRemediator(home);
  let approval: Approval;
  {
    await using store = open(home);
    approval = await asked(store, 'One');
  }
  const post = async (token: string, path: string, body: object): Promise<{ status: number; error: string }> => {
    const response = await fetch(`${remediator.url}/api/v1/${path}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    const { error = '' } = (await response.json()) as { error?: string };
    return { status: response.status, error };
  };
  const path = `approvals/${approval.id}/approve`;
  const bob = await post('token-of-bob', path, { by: 'ann', comment: 'me' });
  assert.deepEqual([bob.status, /bob has not the role operator/.test(bob.error)], [403, true]);
  // Where people have names, a token that everybody may hold approves nothing.
  assert.equal((await post('token-of-all', path, { by: 'ann' })).status, 403);
  assert.equal((await post('token-of-ann', path, { nonsense: 1 })).status, 400);
  assert.equal((await post('webhook-secret-1', path, {})).status, 403, "the webhook's token is none of the API");
  assert.equal(await remediator.metric('pipemedic_remediator_approvals_waiting'), 1);

  // No policy answers its alert: the plan that was asked for is none any more.
  const late = await post('token-of-ann', path, {});
  assert.deepEqual([late.status, /^not approved: the plan has changed since /.test(late.error)], [409, true]);
  const own = [`--server=${remediator.url}`, `--token.file=${home.file('ann')}`];
  const yes = await cli(home, 'approve', approval.id, ...own);
  assert.deepEqual([yes.code, yes.out], [1, '']);
  assert.match(yes.err, /answered 409: not approved: .* no policy answers this alert any more\./);
  assert.equal(await remediator.metric('pipemedic_remediator_approvals_waiting'), 1);

  const ann = await cli(home, 'reject', approval.id, ...own);
  assert.deepEqual([ann.code, ann.err], [0, '']);
  assert.equal(await remediator.metric('pipemedic_remediator_approvals_waiting'), 0);
  assert.equal((await post('token-of-ann', path, {})).status, 409, 'once');

  await using store = open(home);
  assert.equal((await store.approval(approval.id))?.decidedBy, 'ann');
  await remediator.stop();
});

test('pauses by scope and maintenance: told, listed, ended; a scope that is not there is refused', async () => {
  await using home = await makeHome();
  await open(home)[Symbol.asyncDispose]();
  const wrong = await cli(home, 'pause', '--reason=x', '--scope=target:nobody');
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /^there is no target nobody\. Name one of: db1, maxwell1/);
  assert.equal((await cli(home, 'pause', '--reason=x', '--scope=maxwell1')).code, 2);
  assert.equal((await cli(home, 'pause', '--reason=x', '--until=yesterday')).code, 2);
  assert.equal((await cli(home, 'pause', '--reason=x', '--until=2020-01-01T00:00Z')).code, 2);

  const paused = await cli(home, 'pause', '--reason=disk change', '--scope=pipeline:p', '--until=2h');
  assert.match(
    paused.out,
    /^paused: pipeline:p\. Nothing begins there until: .*resume --scope=pipeline:p, by itself at /,
  );
  {
    await using store = open(home);
    const row = (await store.pauses()).find((p) => p.scope === 'pipeline:p');
    assert.deepEqual([row?.paused, row?.reason], [true, 'disk change']);
    const left = (row?.untilMs ?? 0) - (row?.setMs ?? 0);
    assert.equal(left, 7_200_000);
  }
  assert.equal((await cli(home, 'resume', '--scope=pipeline:p')).code, 0);
  assert.match((await cli(home, 'resume', '--scope=pipeline:p')).err, /pipeline:p is not paused/);

  assert.equal(
    (await cli(home, 'maintenance', 'add', '--scope=target:db1', '--reason=x')).code,
    2,
    '--until is wanted',
  );
  const added = await cli(
    home,
    'maintenance',
    'add',
    '--scope=target:db1',
    '--reason=upgrade',
    '--from=1h',
    '--until=3h',
  );
  assert.deepEqual([added.code, added.err], [0, '']);
  const [one] = await json<readonly { id: string; scope: string; active: boolean; starts: string; ends: string }[]>(
    home,
    'maintenance',
    'list',
  );
  assert.ok(one !== undefined);
  assert.deepEqual([one.scope, one.active], ['target:db1', false]);
  assert.ok(Math.abs(Date.parse(one.ends) - Date.parse(one.starts) - 7_200_000) < 2);
  assert.match((await cli(home, 'maintenance', 'list')).out, /target:db1 .*upgrade/);
  assert.equal((await cli(home, 'maintenance', 'end', one.id)).code, 0);
  assert.equal((await cli(home, 'maintenance', 'list')).out, 'no maintenance\n');
  assert.equal((await cli(home, 'maintenance', 'end', one.id)).code, 1);
  assert.match((await cli(home, 'audit')).out, /maintenance/);
});

test('policy promote tells counts, thresholds and the line to change; a demotion is lifted with a comment', async () => {
  await using home = await makeHome();
  const document = {
    policies: [
      { name: 'other', match: { alertname: 'X' }, action: 'maxwell.restart', mode: 'auto' },
      { name: 'maxwell-down', match: { alertname: 'MaxwellDown' }, action: 'maxwell.restart', mode: 'observe' },
    ],
  };
  await writeFile(home.policiesFile, dump(document));
  {
    await using store = open(home);
    await store.demote({
      policy: 'other',
      target: 'maxwell1',
      mode: 'approve',
      reason: 'two relapses',
      setMs: Date.now(),
    });
  }
  const file = `--policies.file=${home.policiesFile}`;
  const list = await cli(home, 'policy', 'list', file);
  assert.match(list.out, /other +auto, demoted on maxwell1 +maxwell\.restart +0 +- +0/);

  const promote = await cli(home, 'policy', 'promote', 'maxwell-down', file);
  assert.match(promote.out, /From observe to approve:/);
  assert.match(promote.out, /NO +watched long enough: 0 times, 0 days/);
  assert.match(promote.out, /Not all of it is met: better wait\./);
  assert.equal(promote.code, 1);
  assert.match(promote.err, /^refused, maxwell-down has not earned approve: watched long enough: 0 times, 0 days/);
  const lines = (await readFile(home.policiesFile, 'utf8')).split('\n');
  const at = lines.findIndex((line) => line.includes('mode: observe')) + 1;
  assert.ok(promote.out.includes(`line ${at} of ${home.policiesFile}`), promote.out);
  assert.ok(promote.out.includes('    mode: approve'));
  assert.equal(await readFile(home.policiesFile, 'utf8'), lines.join('\n'), 'only a person changes the file');

  const top = await json<PolicyView>(home, 'policy', 'promote', 'other', file);
  assert.equal(top.next, undefined, 'nothing is above auto');
  assert.equal(top.demotions.length, 1);
  const unknown = await cli(home, 'policy', 'promote', 'nobody', file);
  assert.match(unknown.err, /^there is no policy nobody in .* Name one of: other, maxwell-down/);

  assert.equal((await cli(home, 'policy', 'promote', 'other', '--lift', '--target=maxwell1')).code, 2, 'a comment');
  const lift = ['policy', 'promote', 'other', '--lift', '--target=maxwell1', '--comment=the disk was full'];
  assert.equal((await cli(home, ...lift)).code, 0);
  assert.equal((await cli(home, ...lift)).code, 1);
  await using store = open(home);
  assert.deepEqual(await store.demotions(), []);
});

test('to act by itself a policy must have passed a drill, which a person records of a verified run', async () => {
  await using home = await makeHome();
  const policy = { name: 'maxwell-down', match: { alertname: 'MaxwellDown' }, action: 'maxwell.restart' };
  await writeFile(home.policiesFile, dump({ policies: [{ ...policy, mode: 'approve' }] }));
  const file = `--policies.file=${home.policiesFile}`;
  const criteria = async (): Promise<readonly string[]> => {
    const { next } = await json<PolicyView>(home, 'policy', 'promote', 'maxwell-down', file);
    return (next?.criteria ?? []).filter((c) => !c.met).map((c) => c.what);
  };
  const drilled = ['policy', 'drilled'];
  const runs: string[] = [];
  {
    await using store = open(home);
    for (const outcome of ['failed', 'verified', 'verified', 'verified'] as const) {
      const episode = await openEpisode(
        store,
        { alertname: 'MaxwellDown', n: String(runs.length) },
        { nowMs: Date.now() },
      );
      const { decision } = await store.recordDecision(
        {
          ...{ episodeId: episode.id, episodeVersion: 1, policy: 'maxwell-down', policyHash: 'h', params: {} },
          ...{ action: 'maxwell.restart', target: 'maxwell1', verdict: 'act', reasonKey: 'act', because: '' },
          ...{ trace: [], evidenceHash: undefined, advice: [] },
        },
        Date.now(),
      );
      const runId = `run-${outcome}-${runs.length}`;
      const won = await store.claim(
        claimOf(await episodeNow(store, episode.id), {
          ...{ runId, decisionId: decision.id, actor: 'human:ann', policy: { name: 'maxwell-down' } },
        }),
        Date.now,
      );
      assert.ok(won.won);
      await store.endRun(won.hold, { outcome, because: '', cooldownMs: 0 }, Date.now);
      runs.push(runId);
    }
  }
  assert.deepEqual(await criteria(), ['a drill that has passed']);
  const refused = await cli(home, 'policy', 'promote', 'maxwell-down', file);
  assert.match(refused.err, /^refused, maxwell-down has not earned auto: a drill that has passed: none recorded/);
  assert.match((await cli(home, ...drilled, runs[0] ?? '', '--comment=x')).err, /is failed: a drill has passed when/);
  assert.match((await cli(home, ...drilled, 'none', '--comment=x')).err, /there is no run none/);
  assert.equal((await cli(home, ...drilled, runs[1] ?? '')).code, 2, 'a comment');
  const done = await cli(home, ...drilled, runs[1] ?? '', '--comment=killed it in the lab');
  assert.equal(done.out, 'recorded: maxwell-down has passed a drill on maxwell1\n');
  assert.deepEqual(await criteria(), []);
  const promoted = await cli(home, 'policy', 'promote', 'maxwell-down', file);
  assert.deepEqual([promoted.code, promoted.err], [0, '']);
  const elsewhere = await json<PolicyView>(home, 'policy', 'promote', 'maxwell-down', file, '--target=maxwell2');
  assert.equal(elsewhere.next?.criteria.find((c) => c.what.includes('drill'))?.met, false, 'not of another target');
});

test('doctor names the guards that cannot tell today, and leaves no trace in the store', async () => {
  await using home = await makeHome();
  const file = `--policies.file=${home.policiesFile}`;
  const { code, out, err } = await cli(home, 'doctor', file);
  assert.equal(code, 1, 'nobody listens where the inventory says');
  assert.match(out, /^maxwell-down \(observe\): maxwell\.restart of maxwell1\n/);
  assert.match(out, /\?\? {2}\w+ \w+: /);
  assert.match(out, /NO {2}db1: /);
  assert.match(err, /^not ready to repair: maxwell-down on maxwell1/);
  await open(home)[Symbol.asyncDispose]();
  await cli(home, 'doctor', file);
  await using store = open(home);
  assert.deepEqual(await store.findEpisodes({ limit: 10 }), []);
});

test('doctor wants no rights for repairing a replica on what is only the source of others', async () => {
  await using home = await makeHome();
  const match = { alertname: 'MysqlReplicationBroken' };
  await writeFile(
    home.policiesFile,
    dump({ policies: [{ name: 'r', match, action: 'mysql.replica.restart-thread' }] }),
  );
  const { code, out } = await cli(home, 'doctor', `--policies.file=${home.policiesFile}`);
  assert.equal(
    out,
    'r (observe): mysql.replica.restart-thread of db1\n  not looked at: db1 is what others replicate from in p, and no replica in the inventory: nothing to repair there\n\n',
  );
  assert.equal(code, 0);
});

test('POST /-/reload takes new policies whole or says why not; two metrics tell', async () => {
  await using home = await makeHome();
  await using remediator = await startRemediator(home);
  const metric = 'pipemedic_remediator_config_last_reload_successful';
  const reload = (authorization: string): Promise<Response> =>
    fetch(`${remediator.url}/-/reload`, { method: 'POST', headers: { Authorization: authorization } });
  assert.equal(await remediator.metric(metric), 1);
  assert.equal((await reload('Bearer wrong')).status, 403);
  await writeFile(home.policiesFile, dump({ policies: [{ name: 'p', match: {}, action: 'fly' }] }));
  const refused = await reload('Bearer webhook-secret-1');
  assert.equal(refused.status, 500);
  assert.match(await refused.text(), /policies\[0\]\.match/);
  assert.equal(await remediator.metric(metric), 0);
  const info = 'pipemedic_remediator_policy_info{policy="maxwell-down",action="maxwell.restart",mode="observe"}';
  assert.equal(await remediator.metric(info), 1, 'those before stay in use');
  const policy = { name: 'second', match: { alertname: 'MaxwellStalled' }, action: 'maxwell.restart' };
  await writeFile(home.policiesFile, dump({ policies: [policy] }));
  assert.equal((await reload('Bearer webhook-secret-1')).status, 200);
  assert.equal(await remediator.metric(metric), 1);
  assert.equal(await remediator.metric(info), undefined);
  assert.equal(
    await remediator.metric('pipemedic_remediator_budget_left{policy="second",target="maxwell1"}'),
    3,
    'budgets of the new policies',
  );
  assert.ok(((await remediator.metric('pipemedic_remediator_store_bytes')) ?? 0) > 0);
});
