// Faults that a restart does not mend, or must not try to: what is never called verified, and what is refused with advice.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ports } from '../../deploy/lab/address.ts';
import { startLab, waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { processSupervisor } from '../../remediator/supervisors/process-client.ts';
import { lastLine, quickPolicy, startRepair, witnessSince } from '../support/maxwell-repair.ts';

let lab: Lab;

before(async () => {
  lab = await startLab({ parts: ['source', 'kafka', 'maxwell', 'writer'], rowsPerSecond: 20 });
});
after(async () => {
  await lab.stop();
});

test('Kafka is down: held until it answers again, then repaired', async () => {
  await using repair = await startRepair(lab);
  await lab.part('maxwell').kill();
  await lab.part('kafka').kill();
  const n = lastLine(lab);
  await repair.fire();
  const decision = await repair.decided('dependency:upstream_down', 30_000);
  assert.equal(decision.verdict, 'hold');
  assert.match(decision.because, /kafka1/);
  assert.deepEqual(await repair.runs(), []);
  await lab.part('kafka').start();
  await repair.soon();
  const run = await repair.ended(90_000);
  assert.equal(run.outcome, 'verified', run.because);
  assert.deepEqual(witnessSince(lab, n), ['start run']);
});

test('the binlog it needs is purged: refused with advice, and the advised statement is right', async () => {
  await using repair = await startRepair(lab);
  await lab.part('maxwell').kill();
  const [position] = await lab.sql('source', "SELECT binlog_file FROM maxwell.positions WHERE client_id = 'maxwell'");
  const left = await lab.purgeBinlogs();
  const n = lastLine(lab);
  await repair.fire();
  const decision = await repair.decided('preconditions:binlog_purged', 40_000);
  assert.equal(decision.verdict, 'refuse');
  assert.deepEqual(await repair.runs(), []);
  assert.deepEqual(witnessSince(lab, n), []);
  const advice = decision.advice.map((a) => `${a.title}\n${a.text}`).join('\n\n');
  assert.ok(advice.includes(String(position?.['binlog_file'])) && advice.includes(left), advice);
  assert.match(advice, /maxwell-bootstrap --database/);
  const told = (await repair.store.dueEscalations(Number.MAX_SAFE_INTEGER)).map((e) => e.annotations['advice']);
  assert.ok(
    told.some((text) => text?.includes('--init_position=')),
    told.join(),
  );

  // a person carries it out; the next look finds nothing against a start any more
  const [, update = ''] = /^(UPDATE `maxwell`[^;]*);/m.exec(advice) ?? [];
  await lab.sql('source', update);
  await repair.soon();
  const run = await repair.ended(120_000);
  assert.equal(run.outcome, 'verified', run.because);
  assert.deepEqual(witnessSince(lab, n), ['start run']);
});

test('its link to MySQL swallows everything: stopped and started, and never called verified', async () => {
  const policy = quickPolicy({ stopSeconds: 3, verifySeconds: 10 });
  await using repair = await startRepair(lab, { policy });
  const n = lastLine(lab);
  await lab.link('maxwell->source').blackhole();
  await repair.fire();
  const run = await repair.ended(120_000);
  assert.equal(run.outcome, 'failed', run.because);
  assert.match(run.because ?? '', /verify_(data|start)/);
  const requests = witnessSince(lab, n);
  assert.equal(requests.filter((line) => line === 'start run').length, 1, requests.join());
  assert.ok(requests.filter((line) => line === 'stop-request run').length >= 1, requests.join());
  await lab.link('maxwell->source').restore();
});

test('held with SIGSTOP: refused', async () => {
  await using repair = await startRepair(lab);
  if (lab.part('maxwell').pid === undefined) await lab.part('maxwell').start();
  const n = lastLine(lab);
  lab.part('maxwell').freeze();
  await repair.fire();
  await repair.decided('preconditions:held', 60_000);
  assert.deepEqual(await repair.runs(), []);
  assert.deepEqual(witnessSince(lab, n), []);
  lab.part('maxwell').thaw();
});

test('another reader with its user appears between stop and start: stays down, latched', async () => {
  let stranger: ReturnType<typeof spawn> | undefined;
  await using repair = await startRepair(lab, {
    wrapSupervisor: (supervisor) => ({
      ...supervisor,
      // asked first in the step before the gate, after the facts were frozen
      raiseFence: async (token, signal) => {
        if (stranger === undefined) {
          const before = await dumpThreads();
          stranger = spawn(
            'mariadb-binlog',
            [
              ...['--no-defaults', '--read-from-remote-server', '--stop-never', '--raw', '--user=maxwell'],
              ...[`--host=${lab.address}`, `--port=${ports.source}`, `--password=${lab.secret('maxwell')}`],
              ...[
                '--stop-never-slave-server-id=7777',
                `--result-file=${join(repair.dir, 'read-')}`,
                await currentBinlog(),
              ],
            ],
            { stdio: 'ignore' },
          );
          const isThere = async (): Promise<boolean> => (await dumpThreads()).some((id) => !before.includes(id));
          await waitFor(isThere, { what: 'the other reader', signal });
        }
        return await supervisor.raiseFence(token, signal);
      },
    }),
  });
  if (lab.part('maxwell').pid === undefined) await lab.part('maxwell').start();
  await lab.part('maxwell').kill();
  const n = lastLine(lab);
  await repair.fire();
  try {
    const run = await repair.ended(60_000);
    assert.equal(run.outcome, 'refused');
    assert.match(run.because ?? '', /another Maxwell reads the binary log/);
    await repair.decided('latch:latched', 30_000);
    assert.deepEqual(witnessSince(lab, n), []);
  } finally {
    stranger?.kill('SIGKILL');
  }
});

async function dumpThreads(): Promise<readonly unknown[]> {
  const of = "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump'";
  return (await lab.sql('source', of)).map((row) => row['ID']);
}

async function currentBinlog(): Promise<string> {
  const [status] = await lab.sql('source', 'SHOW MASTER STATUS');
  return String(status?.['File']);
}

/** Writes Maxwell's heartbeat once a second, as a Maxwell does that never gets to read the binary log. */
const impostor = `
import { createConnection } from 'mysql2/promise';
const [host, port, password, livesMs] = process.argv.slice(2);
const connection = await createConnection({ host, port: Number(port), user: 'maxwell', password });
const begun = Date.now();
for (;;) {
  await connection.execute('UPDATE maxwell.heartbeats SET heartbeat = ? WHERE client_id = ?', [Date.now(), 'maxwell']);
  if (Date.now() - begun > Number(livesMs)) process.kill(process.pid, 'SIGKILL');
  await new Promise((resolve) => setTimeout(resolve, 500));
}`;

for (const [what, livesMs, expected] of [
  ['a crash loop that writes a fresh heartbeat at each start', 3_000, /it has ended again \(killed\)/],
  ['a process that only writes heartbeats', 600_000, /0 of 2 heartbeats .* came back/],
] as const) {
  test(`${what}: never called verified`, async () => {
    if (lab.part('maxwell').pid !== undefined) await lab.part('maxwell').kill();
    const dir = mkdtempSync(join(tmpdir(), 'pipemedic-impostor-'));
    const socket = join(dir, 's.sock');
    const script = join(import.meta.dirname, `impostor-${process.pid}.mjs`); // beside the packages that it imports
    writeFileSync(script, impostor);
    const argv = [process.execPath, script, lab.address, String(ports.source), lab.secret('maxwell'), String(livesMs)];
    const config = {
      socket,
      stateDir: join(dir, 'state'),
      service: { name: 'impostor', argv, logFile: join(dir, 'log') },
    };
    writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
    const program = join(import.meta.dirname, '..', '..', 'remediator', 'supervisors', 'process-supervisor.ts');
    const parent = spawn(process.execPath, [program, '--config', join(dir, 'config.json')], { stdio: 'ignore' });
    const supervisor = processSupervisor({ socket }, Date.now);
    const signal = AbortSignal.timeout(120_000);
    try {
      await waitFor(async () => (await supervisor.state(signal)).known, { what: 'the supervisor' });
      // a first life, so that there is an end to repair
      const first = await supervisor.start({ fence: 0, by: 'person:test' }, signal);
      assert.equal(first.kind, 'done');
      if (first.value.incarnation.pid !== null && livesMs > 10_000) {
        await waitFor(async () => (await heartbeat()) > Date.now() - 2_000, {
          what: 'a heartbeat',
        });
        process.kill(first.value.incarnation.pid, 'SIGKILL');
      }
      await waitFor(
        async () => {
          const state = await supervisor.state(signal);
          return state.known && state.value.running === null;
        },
        { what: 'its end' },
      );
      const policy = quickPolicy({ verifySeconds: 8 });
      await using repair = await startRepair(lab, { policy, supervisorSocket: socket });
      await repair.fire();
      const run = await repair.ended(60_000);
      assert.equal(run.outcome, 'failed', run.because);
      assert.match(run.because ?? '', expected);
      assert.ok((await heartbeat()) > run.claimedMs - 60_000);
    } finally {
      parent.kill('SIGTERM');
      await new Promise((resolve) => parent.once('exit', resolve));
      rmSync(script);
      rmSync(dir, { recursive: true });
    }
  });
}

async function heartbeat(): Promise<number> {
  const [row] = await lab.sql('source', "SELECT heartbeat FROM maxwell.heartbeats WHERE client_id = 'maxwell'");
  return Number(row?.['heartbeat']);
}
