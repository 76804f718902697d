import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogue } from '../../exporter/catalogue.ts';
import { examineAll, reasonFamilies, wrongAboveZero, wrongIn, wrongStates } from '../../exporter/doctor.ts';
import { doctorText, isHealthy, type TargetReport } from '../../exporter/doctor/report.ts';
import type { Sample } from '../../exporter/families.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { TargetError } from '../../exporter/runtime/errors.ts';
import type { Failure } from '../../exporter/scrape/outcome.ts';
import { fakeInventory, script, type Script } from '../support/fake-system.ts';

const look = (scripts: Readonly<Record<string, Script>>, deadlineMs = 2000): Promise<readonly TargetReport[]> =>
  examineAll(fakeInventory(scripts), { clock: systemClock, deadlineMs, betweenMs: 10 });

test('a target that is well', async () => {
  const a = script({ examine: () => Promise.resolve([{ check: 'version', ok: true, text: 'Fake 1' }]) });
  const reports = await look({ a });
  assert.equal(isHealthy(reports), true);
  assert.equal(
    doctorText(reports),
    'a (fake): well\nnothing wrong was found with 1 target; --verbose shows what is well too\n',
  );
  assert.equal(
    doctorText(reports, true),
    'a (fake): well\n  ok      version: Fake 1\n  ok      collector value: 3 series\n  ok      collector other: 1 series\n          holds state: what it has seen\nnothing wrong was found with 1 target\n',
  );
  assert.equal(a.connections, 0, 'its connection is closed');
});

test('what is wrong is told with what mends it, and makes the whole unhealthy', async () => {
  const finding = { check: 'log_bin', ok: false, text: 'it is off', fix: 'set log_bin' };
  const reports = await look({ a: script({ examine: () => Promise.resolve([finding]) }) });
  assert.equal(isHealthy(reports), false);
  assert.match(doctorText(reports), / {2}WRONG {3}log_bin: it is off\n {10}to mend it: set log_bin\n/);
});

test('what a server says stays on its line, and steers no terminal', async () => {
  const forged = 'no\n  ok      grants: all there\u001b[2J\r\u202e\u0085x';
  const finding = { check: 'version', ok: false, text: forged, fix: `GRANT X TO '${forged}'` };
  const denied = new TargetError('denied', forged + 'y'.repeat(5_000_000));
  const [report] = await look({
    a: script({ collect: () => Promise.reject(denied), examine: () => Promise.resolve([finding]) }),
  });
  assert.ok(report !== undefined);
  const { length } = report.collectors[0]?.failure?.why ?? '';
  assert.ok(length > 500 && length < 2000, `${length} characters`);
  const text = doctorText([report, { ...report, down: { class: 'failed', why: forged } }], true);
  assert.doesNotMatch(text, /[^\P{Cc}\n]|\u202e/u);
  assert.doesNotMatch(text, /^ {2}ok {6}grants/m);
  assert.match(text, /WRONG {3}version: no {3}ok {6}grants: all there \[2J x$/m);
});

test('what cannot be known is neither good nor bad', async () => {
  const finding = { check: 'clock', ok: 'unknown', text: 'no right to ask' } as const;
  const reports = await look({ a: script({ examine: () => Promise.resolve([finding]) }) });
  assert.equal(isHealthy(reports), true);
  assert.match(doctorText(reports), / {2}unknown clock: no right to ask\n/);
  assert.match(doctorText(reports), /\nnothing wrong was found with 1 target \(1 unknown, see above\);/);
});

test('a collector that fails: its class and reason, and which families are absent for which state', async () => {
  const denied = new TargetError('denied', 'no right. To allow it: GRANT X');
  const reports = await look({ a: script({ collect: () => Promise.reject(denied) }) });
  assert.equal(isHealthy(reports), false);
  const [report] = reports;
  assert.deepEqual(report?.collectors[0], {
    collector: 'value',
    failure: { class: 'denied', why: 'no right. To allow it: GRANT X' },
    series: 2,
    absent: [{ family: 'fake_value', because: 'fake_state is {"state":"unknown"}' }],
    keeps: undefined,
  });
  assert.match(doctorText(reports), / {2}FAILED {2}collector value, denied: no right\. To allow it: GRANT X\n/);
  assert.match(doctorText(reports), /\nRun a GRANT on the source, or on a replica after SET sql_log_bin = 0: /);
});

test('a target that is down, one that hangs, one whose collector hangs: each within the deadline, beside one that is well', async () => {
  const never = (): Promise<never> => new Promise(() => undefined);
  const begun = performance.now();
  const keepAlive = setTimeout(() => undefined, 10_000); // nothing here has a socket that would keep the process
  const reports = await look(
    {
      refused: script({ open: () => Promise.reject(new TargetError('refused', 'nobody listens')) }),
      hangs: script({ open: never }),
      slow: script({ collect: never }),
      well: script(),
    },
    300,
  );
  clearTimeout(keepAlive);
  assert.ok(performance.now() - begun < 5000);
  assert.deepEqual(
    reports.map(({ target, down, collectors }) => [target, down?.class, collectors.map((c) => c.failure?.class)]),
    [
      ['refused', 'refused', []],
      ['hangs', 'deadline', []],
      ['slow', undefined, ['deadline', undefined]],
      ['well', undefined, [undefined, undefined]],
    ],
  );
  const text = doctorText(reports);
  assert.match(text, /refused \(fake\): DOWN, refused: nobody listens\n/);
  assert.match(text, /\nwell \(fake\): well\n3 of 4 targets need somebody: refused, hangs, slow; /);
});

test('one that cannot be reached: where to look, unless the reason has said it', () => {
  const saying = (down: Failure): string =>
    doctorText([{ target: 'a', kind: 'fake', down, collectors: [], findings: [] }]).split('\n')[1] ?? '';
  for (const { class: by, words } of [
    { class: 'refused', words: /^ +look at: .*Does it run/ },
    { class: 'auth', words: /^ +look at: user and password/ },
    { class: 'deadline', words: /^ +look at: .*something else listens/ },
    { class: 'secret', words: /^1 of 1 target / },
  ] as const) {
    assert.match(saying({ class: by, why: 'x' }), words);
  }
  assert.match(saying({ class: 'auth', why: 'no. To allow it: GRANT' }), /^(Run a GRANT|1 of 1)/);
});

test('an examination that fails is not well, and says why', async () => {
  const reports = await look({
    a: script({ examine: () => Promise.reject(new TargetError('protocol', 'garbage')) }),
  });
  assert.deepEqual(reports[0]?.findings, [
    { check: 'examination', ok: false, text: 'it ended before it had looked at everything, protocol: garbage' },
  ]);
  assert.equal(isHealthy(reports), false);
});

test('what a scrape would leave out is told: more series than series_limit', async () => {
  const many = script({
    collect: (emit) => {
      for (let i = 0; i < 30_000; i++) emit(i, { key: String(i) });
      return Promise.resolve();
    },
  });
  const reports = await look({ many });
  const [finding] = reports[0]?.findings ?? [];
  assert.equal(finding?.check, 'series_limit');
  assert.match(
    finding.text,
    /^2\d{4} of 3\d{4} series are left out of each scrape, series_limit is 10000: fake_value$/,
  );
  assert.match(finding.fix ?? '', /^series_limit: 6\d{4} at this target, or options of value that yield fewer$/);
  assert.equal(isHealthy(reports), false);
});

test('what a scrape would refuse fails here too: a series that is there twice', async () => {
  const twice = script({
    collect: (emit) => {
      emit(1, { key: 'a' });
      emit(2, { key: 'a' });
      return Promise.resolve();
    },
  });
  const [report] = await look({ twice });
  assert.equal(report?.collectors[0]?.failure?.class, 'bug');
  assert.match(report.collectors[0].failure.why, /^emitted twice: fake_value/);
});

test('there are two looks, and the second one counts; what is kept on disk is left alone', async () => {
  const calls: unknown[] = [];
  const a = script({
    collect: (emit, call) => {
      calls.push('isExamination' in call && call.isExamination);
      emit(calls.length, { key: 'a' });
      if (calls.length === 1) throw new TargetError('failed', 'only the first time');
      return Promise.resolve();
    },
  });
  const reports = await look({ a });
  assert.deepEqual(calls, [true, true]);
  assert.equal(isHealthy(reports), true);
});

test('states and numbers that are taken for faults are families that are served', () => {
  for (const [name] of wrongStates) assert.ok(catalogue.get(name)?.labels.includes('state'), name);
  for (const name of wrongAboveZero) assert.ok(catalogue.has(name), name);
  for (const [state, [name, label]] of reasonFamilies) {
    assert.ok(wrongStates.has(state), state);
    assert.ok(catalogue.get(name)?.labels.includes(label), name);
  }
});

test('a wrong state is told with its reason, of the same backups, and how to see more', () => {
  const sample = (name: string, value: number, labels: Sample['labels']): Sample => {
    const family = catalogue.get(name);
    assert.ok(family);
    return { family, value, labels };
  };
  const samples = [
    sample('backup_verdict_info', 1, { type: 'incremental', verdict: 'complete' }),
    sample('backup_verdict_info', 1, { type: 'full', verdict: 'truncated' }),
    sample('backup_state', 1, { type: 'full', state: 'incomplete' }),
    sample('backup_state', 0, { type: 'full', state: 'stale' }),
    sample('backup_pitr_state', 1, { state: 'lost' }),
    sample('backup_pitr_reason', 0, { reason: 'no_backup' }),
    sample('backup_pitr_reason', 1, { reason: 'purged' }),
    sample('backup_size_state', 1, { type: 'full', state: 'small' }),
  ];
  const found = wrongIn('nightly', samples);
  assert.deepEqual(
    found.map(({ text }) => text.replace(/\. .*/, '')),
    ['type="full" incomplete (truncated)', 'lost (purged)', 'type="full" small'],
  );
  assert.match(found[0]?.fix ?? '', /^pipemedic-exporter verify-backup nightly --config\.file=/);
});
