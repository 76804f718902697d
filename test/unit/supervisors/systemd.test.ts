// A service by systemctl. No systemd runs where tests do: a stand-in for `systemctl` and `journalctl` writes down its
// argv and plays the states that `show` would tell. What it prints follows systemd.service(5) and systemctl(1).
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { serviceOwner } from '../../../remediator/actions/service/owner.ts';
import type { ServiceIncarnation } from '../../../remediator/supervisors/supervisor.ts';
import { systemdSupervisor } from '../../../remediator/supervisors/systemd.ts';

const token = { fence: 7, by: 'run:r1' };
const soon = (ms = 30_000): AbortSignal => AbortSignal.timeout(ms);
const [first, second] = ['1'.repeat(32), '2'.repeat(32)];

type Shown = Readonly<Record<string, string>>;

const running: Shown = {
  LoadState: 'loaded',
  ActiveState: 'active',
  SubState: 'running',
  Result: 'success',
  InvocationID: first,
  MainPID: '4000000',
  ExecMainCode: '0',
  ExecMainStatus: '0',
  ExecMainStartTimestampMonotonic: '5000000',
  ExecMainExitTimestampMonotonic: '0',
  NRestarts: '0',
  Restart: 'on-failure',
};
const ended: Shown = {
  ...running,
  ActiveState: 'inactive',
  SubState: 'dead',
  MainPID: '0',
  ExecMainCode: '1',
  ExecMainStatus: '143',
  ExecMainExitTimestampMonotonic: '9000000',
};
const again: Shown = {
  ...running,
  InvocationID: second,
  MainPID: '4000001',
  ExecMainStartTimestampMonotonic: '10000000',
};

function systemd(shown: Shown) {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-systemd-'));
  const file = (name: string): string => join(dir, name);
  const show = (state: Shown, name = 'show'): void => {
    writeFileSync(
      file(name),
      Object.entries(state)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    );
  };
  show(shown);
  writeFileSync(
    file('ctl'),
    `#!/bin/sh
printf '%s\\037' "$@" >> ${file('argv')}
printf '\\n' >> ${file('argv')}
for word in "$@"; do
  case "$word" in
    show) exec cat ${file('show')} ;;
    stop|start|kill)
      if [ -f ${file('hang')} ]; then exec sleep 30; fi
      if [ -f ${file('stderr')} ]; then cat ${file('stderr')} >&2; exit 1; fi
      if [ -f ${file('next')} ]; then cp ${file('next')} ${file('show')}; fi
      exit 0 ;;
    --output=cat) exec cat ${file('journal')} ;;
  esac
done
`,
  );
  chmodSync(file('ctl'), 0o700);
  const supervisor = systemdSupervisor(
    { unit: 'cdc@a.service', systemctl: [file('ctl'), '--no-ask-password'], journalctl: [file('ctl')] },
    { wallMs: () => 1_000_000, monoUs: () => Number(process.hrtime.bigint() / 1000n) },
  );
  return {
    supervisor,
    show,
    /** What `show` says once a verb was carried out. */
    next: (state: Shown) => {
      show(state, 'next');
    },
    put: (name: string, text: string) => {
      writeFileSync(file(name), text);
    },
    /** Calls other than `show`. */
    calls: () =>
      existsSync(file('argv'))
        ? readFileSync(file('argv'), 'utf8')
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => line.split('\x1f').slice(0, -1))
            .filter((argv) => !argv.includes('show'))
        : [],
    life: async (): Promise<ServiceIncarnation> => {
      const state = await supervisor.state(soon());
      assert.ok(state.known && state.value.running !== null, state.known ? 'it does not run' : state.why);
      return state.value.running;
    },
    [Symbol.dispose]: () => {
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

test('stopped: exactly one job, in the mode that gives way, for the unit alone', async () => {
  using unit = systemd(running);
  const life = await unit.life();
  unit.next(ended);
  const outcome = await unit.supervisor.stop(life, token, { force: false, waitMs: 5_000 }, soon());
  assert.ok(outcome.kind === 'done');
  assert.equal(outcome.value.ended?.incarnation.id, `systemd:${first}`);
  assert.ok(outcome.value.ended.exit.known);
  assert.deepEqual(outcome.value.ended.exit.value, { exitCode: 143, signal: null });
  assert.deepEqual(unit.calls(), [
    ['--no-ask-password', 'stop', '--no-block', '--job-mode=fail', '--', 'cdc@a.service'],
  ]);
});

test('told to end, and not yet seen to have ended', async () => {
  using unit = systemd(running);
  const life = await unit.life();
  unit.next({ ...running, ActiveState: 'deactivating', SubState: 'stop-sigterm', Job: '17' });
  const outcome = await unit.supervisor.stop(life, token, { force: false, waitMs: 10 }, soon());
  assert.deepEqual(outcome, { kind: 'done', value: { ended: null } });
  unit.next(ended);
  const killed = await unit.supervisor.stop(life, token, { force: true, waitMs: 5_000 }, soon());
  assert.ok(killed.kind === 'done' && killed.value.ended !== null);
  assert.deepEqual(unit.calls().at(-1), ['--no-ask-password', 'kill', '--signal=SIGKILL', '--', 'cdc@a.service']);
});

test('never killed while it is not being stopped: Restart= would answer that', async () => {
  using unit = systemd(running);
  const outcome = await unit.supervisor.stop(await unit.life(), token, { force: true, waitMs: 10 }, soon());
  assert.equal(outcome.kind === 'refused' && outcome.code, 'not_stopping');
  assert.deepEqual(unit.calls(), []);
});

test('another life is not stopped: by its InvocationID, and by its process', async () => {
  for (const change of [{ InvocationID: second }, { MainPID: '4000009' }]) {
    using unit = systemd(running);
    const life = await unit.life();
    unit.show({ ...running, ...change });
    const outcome = await unit.supervisor.stop(life, token, { force: false, waitMs: 10 }, soon());
    assert.equal(outcome.kind === 'refused' && outcome.code, 'overtaken');
    assert.deepEqual(unit.calls(), []);
  }
});

test('started, and seen as another life; not while one runs, is being started or is masked', async () => {
  using unit = systemd(ended);
  unit.next(again);
  const outcome = await unit.supervisor.start(token, soon());
  assert.ok(outcome.kind === 'done');
  assert.equal(outcome.value.incarnation.id, `systemd:${second}`);
  assert.deepEqual(unit.calls(), [
    ['--no-ask-password', 'start', '--no-block', '--job-mode=fail', '--', 'cdc@a.service'],
  ]);
  for (const [state, code] of [
    [running, 'running'],
    [{ ...ended, SubState: 'auto-restart' }, 'owner_busy'],
    [{ ...ended, Job: '18' }, 'owner_busy'],
    [{ ...ended, LoadState: 'masked' }, 'masked'],
  ] as const) {
    unit.show(state);
    const refused = await unit.supervisor.start(token, soon());
    assert.equal(refused.kind === 'refused' && refused.code, code);
  }
  assert.equal(unit.calls().length, 1);
});

test('started and ended again at once: the new life is what was started', async () => {
  using unit = systemd(ended);
  unit.next({ ...ended, InvocationID: second, ActiveState: 'failed', SubState: 'failed', Result: 'exit-code' });
  const outcome = await unit.supervisor.start(token, soon());
  assert.ok(outcome.kind === 'done');
  assert.equal(outcome.value.incarnation.id, `systemd:${second}`);
});

for (const [what, stderr, expected] of [
  ['not allowed', 'Failed to stop cdc@a.service: Access denied\n', 'refused denied'],
  ['sudo wants a password', 'sudo: a password is required\n', 'refused denied'],
  [
    'a job that would conflict',
    "Failed to stop cdc@a.service: Transaction for cdc@a.service/stop is destructive (x has 'start' job queued).\n",
    'refused owner_busy',
  ],
  ['a text that nobody knows', 'Job for cdc@a.service failed.\n', 'unknown'],
] as const) {
  test(`stop: ${what} is ${expected}`, async () => {
    using unit = systemd(running);
    const life = await unit.life();
    unit.put('stderr', stderr);
    const outcome = await unit.supervisor.stop(life, token, { force: false, waitMs: 10 }, soon());
    assert.equal(outcome.kind === 'refused' ? `refused ${outcome.code}` : outcome.kind, expected);
    assert.equal(unit.calls().length, 1);
  });
}

test('a systemctl that does not come back is unknown; one that is not there has done nothing', async () => {
  using unit = systemd(running);
  const life = await unit.life();
  unit.put('hang', '');
  const outcome = await unit.supervisor.stop(life, token, { force: false, waitMs: 10 }, soon(2_000));
  assert.equal(outcome.kind, 'unknown');
  const none = systemdSupervisor(
    { unit: 'cdc.service', systemctl: ['/nonexistent/systemctl'], journalctl: ['/nonexistent/journalctl'] },
    { wallMs: Date.now, monoUs: () => 0 },
  );
  assert.equal((await none.start(token, soon())).kind, 'refused');
  const state = await none.state(soon());
  assert.ok(!state.known && state.why.includes('ENOENT'));
});

test('what is no answer of systemctl is unknown: no unit, a property that is missing, an id that is none', async () => {
  for (const state of [
    { ...ended, LoadState: 'not-found' },
    Object.fromEntries(Object.entries(running).filter(([key]) => key !== 'InvocationID')),
    { ...running, InvocationID: 'x; rm -rf /' },
  ]) {
    using unit = systemd(state);
    assert.equal((await unit.supervisor.state(soon())).known, false);
  }
});

const owners: readonly (readonly [what: string, state: Shown, expected: string])[] = [
  ['it runs under Restart=', running, 'allow watching'],
  ['Restart=no', { ...running, Restart: 'no' }, 'allow none'],
  ['dead with Restart=no', { ...ended, Restart: 'no' }, 'allow none'],
  ['stopped by request', ended, 'deny left_down'],
  [
    'waits to be started again',
    { ...ended, ActiveState: 'activating', SubState: 'auto-restart' },
    'unknown owner_busy',
  ],
  ['a job', { ...running, Job: '3' }, 'unknown owner_busy'],
  ['failed', { ...ended, ActiveState: 'failed', SubState: 'failed', Result: 'exit-code' }, 'allow gave_up'],
  ['start limit', { ...ended, ActiveState: 'failed', SubState: 'failed', Result: 'start-limit-hit' }, 'allow gave_up'],
  [
    'killed by systemd after a stop that took too long',
    { ...ended, ActiveState: 'failed', SubState: 'failed', Result: 'timeout', ExecMainCode: '2', ExecMainStatus: '9' },
    'deny left_down',
  ],
  ['masked', { ...ended, LoadState: 'masked' }, 'deny left_down'],
];
for (const [what, state, expected] of owners) {
  test(`owner: ${what}: ${expected}`, async () => {
    using unit = systemd(state);
    const verdict = serviceOwner(await unit.supervisor.state(soon()));
    assert.equal(`${verdict.is} ${verdict.code}`, expected);
  });
}

test('active without a main process is neither running nor down: what is alive of it is not known', async () => {
  for (const SubState of ['running', 'exited']) {
    using unit = systemd({ ...running, SubState, MainPID: '0' });
    const state = await unit.supervisor.state(soon());
    assert.ok(!state.known);
    assert.match(state.why, /active and has no main process/);
    assert.equal((await unit.supervisor.start(token, soon())).kind, 'refused');
    assert.deepEqual(unit.calls(), []);
  }
});

test('a life that is being begun is not one that has ended', async () => {
  // ExecStartPre= under way: the times and the end are still those of the life before
  using unit = systemd({ ...ended, InvocationID: second, ActiveState: 'activating', SubState: 'start-pre', Job: '9' });
  const state = await unit.supervisor.state(soon());
  assert.ok(state.known);
  assert.deepEqual([state.value.running, state.value.last, state.value.owner?.is], [null, null, 'busy']);
});

test('ends: by a signal, by the kernel for memory; a unit that never ran has no last life', async () => {
  using unit = systemd({ ...ended, ExecMainCode: '2', ExecMainStatus: '9', Result: 'oom-kill' });
  const state = await unit.supervisor.state(soon());
  assert.ok(state.known && state.value.last?.exit.known === true);
  assert.deepEqual(state.value.last.exit.value, { exitCode: null, signal: 'SIGKILL' });
  assert.equal(state.value.last.oomKilled, true);
  unit.show({ ...ended, InvocationID: '', ExecMainStartTimestampMonotonic: '0' });
  const never = await unit.supervisor.state(soon());
  assert.ok(never.known);
  assert.equal(never.value.last, null);
});

test('the log of one InvocationID, and nothing but an id in the argv', async () => {
  using unit = systemd(running);
  unit.put('journal', 'one\ntwo\n');
  const log = await unit.supervisor.log(await unit.life(), 4, soon());
  assert.ok(log.known);
  assert.deepEqual([log.value.text, log.value.complete], ['two\n', false]);
  const [argv = []] = unit.calls();
  assert.deepEqual(argv.slice(-3), [`_SYSTEMD_INVOCATION_ID=${first}`, '+', `INVOCATION_ID=${first}`]);
  const other = { id: 'systemd:--since=x', pid: null, startedAtMs: 0 };
  assert.equal((await unit.supervisor.log(other, 10, soon())).known, false);
  assert.equal(unit.calls().length, 1);
});
