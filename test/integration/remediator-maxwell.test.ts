// A restart of a real Maxwell by the remediator, and what must keep it from one: people, and what no restart can mend.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startLab, type Lab } from '../../deploy/lab/lab.ts';
import { openMysql } from '../../exporter/systems/mysql/client.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { lastLine, startRepair, witnessSince } from '../support/maxwell-repair.ts';

let lab: Lab;

before(async () => {
  lab = await startLab({ parts: ['source', 'kafka', 'maxwell', 'writer'], rowsPerSecond: 20 });
});
after(async () => {
  await lab.stop();
});

test('killed: started once, verified by data that moves, with its state copied before', async () => {
  await using repair = await startRepair(lab);
  const n = lastLine(lab);
  await lab.part('maxwell').kill();
  await repair.fire();
  const run = await repair.ended(90_000);
  assert.equal(run.outcome, 'verified', run.because);
  assert.deepEqual(witnessSince(lab, n), ['start run']);
  assert.ok(run.evidencePath !== undefined);
  assert.deepEqual(readdirSync(run.evidencePath).sort(), [
    'SHA256SUMS',
    'evidence.json',
    'maxwell-state.sql',
    'plan.txt',
  ]);
  const checked = spawnSync('sha256sum', ['-c', '--strict', 'SHA256SUMS'], { cwd: run.evidencePath });
  assert.equal(checked.status, 0);
  const copy = readFileSync(join(run.evidencePath, 'maxwell-state.sql'), 'utf8');
  assert.match(copy, /^REPLACE INTO `maxwell`\.`positions` \(.*`binlog_file`.*\) VALUES \(.*'maxwell'.*\);$/m);
  for (const statement of copy.split('\n').filter((line) => line !== '' && !line.startsWith('--'))) {
    if (statement.startsWith('REPLACE')) await lab.sql('source', `EXPLAIN ${statement.replace(/;$/, '')}`);
  }
});

test('healthy: held as already fixed', async () => {
  await using repair = await startRepair(lab);
  const n = lastLine(lab);
  await repair.fire();
  const decision = await repair.decided('already_fixed:healthy', 40_000);
  assert.equal(decision.verdict, 'hold');
  assert.deepEqual(await repair.runs(), []);
  assert.deepEqual(witnessSince(lab, n), []);
});

test('a person starts it between the claim and the start: no second start, and the run sees the data move', async () => {
  const n = lastLine(lab);
  await using repair = await startRepair(lab, {
    wrapSupervisor: (supervisor) => ({
      ...supervisor,
      start: async (token, signal) => {
        await supervisor.start({ fence: token.fence, by: 'person:test' }, signal);
        return await supervisor.start(token, signal);
      },
    }),
  });
  await lab.part('maxwell').kill();
  await repair.fire();
  const run = await repair.ended(90_000);
  assert.equal(run.outcome, 'verified', run.because);
  assert.deepEqual(witnessSince(lab, n), ['start person']);
  const results = (await repair.journal()).filter((e) => e.kind === 'result' && e.step === 'start');
  assert.deepEqual(
    results.map((e) => e.outcome),
    ['refused', 'skipped'],
  );
});

test('a person starts it between the decision and the claim: already fixed or overtaken, and left alone', async () => {
  await using repair = await startRepair(lab);
  await lab.part('maxwell').kill();
  await repair.fire();
  await repair.decided('self:starting', 20_000);
  const n = lastLine(lab);
  await lab.part('maxwell').start();
  await repair.decided('already_fixed:healthy', 40_000);
  assert.deepEqual(await repair.runs(), []);
  assert.deepEqual(witnessSince(lab, n), ['start person']);
});

test('stopped by a person: refused', async () => {
  await using repair = await startRepair(lab);
  await lab.part('maxwell').stop();
  const n = lastLine(lab);
  await repair.fire();
  const decision = await repair.decided('preconditions:stopped_on_purpose', 40_000);
  assert.equal(decision.verdict, 'refuse');
  assert.deepEqual(await repair.runs(), []);
  assert.deepEqual(witnessSince(lab, n), []);
  await lab.part('maxwell').start();
});

test('somebody holds the lock on the source: refused before anything is done', async () => {
  await using repair = await startRepair(lab);
  const signal = AbortSignal.timeout(60_000);
  const call = { signal, clock: systemClock };
  await using somebody = await openMysql(
    {
      address: { host: lab.address, port: 13_306 },
      auth: { user: 'remediator', password_file: lab.secretFile('remediator') },
      tls: undefined,
    },
    call,
  );
  await somebody.query("SELECT GET_LOCK('pipemedic:maxwell1', 0) AS got", [], call);
  await lab.part('maxwell').kill();
  const n = lastLine(lab);
  await repair.fire();
  const run = await repair.ended(40_000);
  assert.equal(run.outcome, 'refused');
  assert.match(run.because ?? '', /pipemedic:maxwell1 .* is held by connection \d+/);
  assert.deepEqual(witnessSince(lab, n), []);
  assert.equal(await repair.store.budgetUsed('target:maxwell1', 0), 0);
  await lab.part('maxwell').start();
});

test('its password no longer fits: started, seen to end again, latched, and not tried a second time', async () => {
  await using repair = await startRepair(lab);
  await lab.part('maxwell').kill();
  await lab.sql('source', "ALTER USER 'maxwell'@'%' IDENTIFIED BY 'another'");
  const n = lastLine(lab);
  await repair.fire();
  const run = await repair.ended(60_000);
  assert.equal(run.outcome, 'failed');
  assert.match(run.because ?? '', /access_denied/);
  await repair.decided('latch:latched', 40_000);
  assert.deepEqual(witnessSince(lab, n), ['start run']);
  const told = (await repair.store.dueEscalations(Number.MAX_SAFE_INTEGER)).map((e) => e.labels['alertname']);
  assert.ok(told.includes('RemediationFailed'), told.join());
  await lab.sql('source', `ALTER USER 'maxwell'@'%' IDENTIFIED BY '${lab.secret('maxwell')}'`);
  await lab.part('maxwell').start();
});
