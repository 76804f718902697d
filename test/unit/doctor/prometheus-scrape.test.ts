import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Series } from '../../../exporter/doctor/prometheus-api.ts';
import {
  doorOf,
  type PrometheusFacts,
  type ScrapeJob,
  type ScrapeTarget,
} from '../../../exporter/doctor/prometheus-facts.ts';
import { scrapeFindings } from '../../../exporter/doctor/prometheus-scrape.ts';
import type { Expected } from '../../../exporter/doctor/prometheus-series.ts';
import { duration, some } from '../../../exporter/doctor/wording.ts';
import type { Finding } from '../../../exporter/findings.ts';
import { known, unknown } from '../../../exporter/runtime/known.ts';

const is = <T>(value: T) => known(value, 0);
const series = (...all: Readonly<Record<string, string>>[]): Series[] => all.map((labels) => ({ labels, value: 1 }));

const address = '10.0.0.1:9930';
const raw = { job: 'pipemedic', instance: address, exporter: 'pm-1' };
const scrape: ScrapeTarget = {
  job: 'pipemedic',
  url: `http://${address}/metrics`,
  door: 'metrics',
  labels: raw,
  discovered: false,
  health: 'up',
  lastError: '',
  intervalMs: 15_000,
  timeoutMs: 10_000,
};
const probe = (name: string): ScrapeTarget => ({
  ...scrape,
  job: 'pipemedic-probe',
  url: `http://${address}/probe?target=${name}`,
  door: 'probe',
  labels: { job: 'pipemedic-probe', instance: name, target: name },
  discovered: true,
});
const self: ScrapeTarget = {
  ...scrape,
  job: 'pipemedic-self',
  url: `http://${address}/metrics?self=1`,
  door: 'self',
  labels: { job: 'pipemedic-self', instance: address },
};
const job: ScrapeJob = { honorLabels: false, honorTimestamps: true, sampleLimit: 1000 };
const of = (name: string, labels: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> => ({
  ...raw,
  instance: name,
  target: name,
  ...labels,
});

const good: PrometheusFacts = {
  version: is('2.42.0'),
  clock: is({ offsetMs: 0, uncertaintyMs: 1 }),
  targets: is([scrape]),
  jobs: is(new Map([['pipemedic', job]])),
  rules: is([]),
  alertmanagers: is({ active: 1, dropped: 0 }),
  served: is(series(of('a'), of('b'))),
  queued: is([]),
  builds: is(series({ ...raw, version: '1.0.0' })),
  inventory: is(series(of('a'), of('b'))),
  jobNames: is(['pipemedic']),
  samples: is([{ labels: raw, value: 500 }]),
  dropped: is([]),
  durations: is([{ labels: raw, value: 0.2 }]),
};
const expected: Expected = {
  targets: new Map([
    ['a', { instance: undefined }],
    ['b', { instance: undefined }],
  ]),
  version: '1.0.0',
  shortestRangeMs: 300_000,
};

const look = (facts: Partial<PrometheusFacts> = {}, wanted: Partial<Expected> = {}): readonly Finding[] =>
  scrapeFindings({ ...good, ...facts }, { ...expected, ...wanted });
const notRight = (found: readonly Finding[]): (readonly [string, unknown, unknown])[] =>
  found.filter(({ ok }) => ok !== true).map(({ check, ok, severity }) => [check, ok, severity] as const);

test('one job by /metrics, and one by /probe with one for the inventory: nothing is wrong', () => {
  assert.deepEqual(notRight(look()), []);
  const fleet = {
    targets: is([probe('a'), probe('b'), self]),
    jobs: is(
      new Map([
        ['pipemedic-probe', job],
        ['pipemedic-self', job],
      ]),
    ),
    served: is(series(probe('a').labels, probe('b').labels)),
    builds: is(series({ ...self.labels, version: '1.0.0' })),
    samples: is([...[probe('a'), self].map(({ labels }) => ({ labels, value: 5 }))]),
    durations: is([...[probe('a'), self].map(({ labels }) => ({ labels, value: 0.1 }))]),
  };
  assert.deepEqual(notRight(look(fleet)), []);
});

test('which door a scrape uses', () => {
  assert.equal(doorOf('http://h:1/metrics'), 'metrics');
  assert.equal(doorOf('http://h:1/metrics?self=1'), 'self');
  assert.equal(doorOf('https://h/x/probe?target=a'), 'probe');
  assert.equal(doorOf('http://h:1/probe?pipeline=p'), 'probe');
});

test('nobody scrapes it: the job to paste', () => {
  const [found, ...more] = look({ targets: is([]), jobNames: is([]) });
  assert.deepEqual(more, []);
  assert.deepEqual([found?.check, found?.ok, found?.severity], ['prometheus_jobs', false, 'critical']);
  assert.match(found?.fix ?? '', /- job_name: pipemedic\n.*\n.*\n.*targets: \['127\.0\.0\.1:9930'\]/);
  assert.match(
    found?.fix ?? '',
    /\n {2}metric_relabel_configs:\n {2}- \{source_labels: \[target\], regex: \(\.\+\), target_label: instance\}$/,
  );
});

test('a job of others is none of ours, one of the remediator neither; an exporter that has gone is found by its name', () => {
  const others = { ...scrape, job: 'node', labels: { job: 'node', instance: 'x' }, health: 'down' };
  const remediator = { ...others, job: 'pipemedic-remediator', labels: { job: 'pipemedic-remediator' } };
  assert.deepEqual(notRight(look({ targets: is([scrape, others, remediator]) })), []);
  const gone = look({
    targets: is([{ ...scrape, health: 'down', lastError: 'connect: connection refused' }]),
    jobNames: is([]),
    served: is([]),
  });
  const up = gone.find(({ check }) => check === 'prometheus_up');
  assert.equal(up?.ok, false);
  assert.match(up.fix ?? '', /^start the exporter/);
});

const wrongs: readonly (readonly [string, Partial<PrometheusFacts>, check: string, severity: string, fix: RegExp, text: RegExp])[] = [
  [
    'no relabelling: instance is the exporter',
    { served: is(series(of('a', { instance: address }), of('b', { instance: address }))) },
    'prometheus_relabelling', 'critical', /target_label: instance\}$/, /2 of 2 .*a: 10\.0\.0\.1:9930/,
  ],
  [
    'target is set by the job',
    { served: is(series(of('x', { exported_target: 'a' }), of('y', { exported_target: 'b' }))) },
    'prometheus_relabelling', 'critical', /label target out/, /exported_target/,
  ],
  [
    'target is dropped',
    { served: is(series({ ...raw, target: undefined as unknown as string })) },
    'prometheus_relabelling', 'critical', /labeldrop/, /1 of 1 targets have no label target/,
  ],
  ['another name of the job', { targets: is([{ ...scrape, labels: { ...raw, job: 'mine' } }]) }, 'prometheus_jobs', 'warning', /^job_name: pipemedic$/, /looks for job="pipemedic"/],
  ['both doors', { targets: is([scrape, probe('a')]) }, 'prometheus_doors', 'warning', /one door/, /twice/],
  ['targets without inventory', { targets: is([probe('a')]) }, 'prometheus_doors', 'critical', /params: \{self: \['1'\]\}/, /silent/],
  ['inventory without targets', { targets: is([self]) }, 'prometheus_doors', 'critical', /http:\/\/10\.0\.0\.1:9930\/sd/, /no target/],
  ['a scrape that fails', { targets: is([{ ...scrape, health: 'down', lastError: 'sample limit exceeded' }]) }, 'prometheus_up', 'critical', /sample_limit/, /1 of 1/],
  ['a target that nobody scrapes', { served: is(series(of('a'))) }, 'prometheus_targets', 'critical', /SIGHUP/, /1 of 2 .*: b$/],
  ['a target of two jobs', { served: is(series(of('a'), of('b'), of('b', { job: 'other' }))) }, 'prometheus_targets', 'warning', /one job/, /b: job=pipemedic exporter=pm-1 instance=b and job=other/],
  ['another inventory', { inventory: is(series(of('a'))) }, 'prometheus_inventory', 'critical', /reload/, /without b/],
  ['another version', { builds: is(series({ ...raw, version: '0.9.0' })) }, 'prometheus_exporter_version', 'warning', /restart/, /0\.9\.0.*1\.0\.0/],
  ['honor_labels', { jobs: is(new Map([['pipemedic', { ...job, honorLabels: true }]])) }, 'prometheus_honor_labels', 'warning', /^honor_labels: false$/, /true/],
  ['too rare for the rules', { targets: is([{ ...scrape, intervalMs: 120_000 }]) }, 'prometheus_interval', 'warning', /scrape_interval: 15s/, /look back 5m and want 4 samples in it: 1\.25m|75s at most/],
  ['slow scrapes', { durations: is([{ labels: raw, value: 9 }]) }, 'prometheus_timeout', 'warning', /scrape_timeout: 15s/, /took 9s of the 10s/],
  ['near the limit', { samples: is([{ labels: raw, value: 801 }]) }, 'prometheus_sample_limit', 'warning', /sample_limit: 2000/, /801 samples at most, of the 1000/],
]; // prettier-ignore
for (const [name, facts, check, severity, fix, text] of wrongs) {
  test(`wrong: ${name}`, () => {
    const found = look(facts).filter(({ ok }) => ok === false);
    assert.deepEqual(
      found.map((f) => [f.check, f.severity]),
      [[check, severity]],
    );
    assert.match(found[0]?.text ?? '', text);
    assert.match(found[0]?.fix ?? '', fix);
  });
}

test('an instance that the inventory gives is its own; 75 s is often enough; 80 % of a limit is not near', () => {
  const served = is(series(of('a', { instance: 'db:9104' }), of('b')));
  const targets = new Map([
    ['a', { instance: 'db:9104' }],
    ['b', { instance: undefined }],
  ]);
  assert.deepEqual(notRight(look({ served }, { targets })), []);
  assert.deepEqual(notRight(look({ targets: is([{ ...scrape, intervalMs: 75_000 }]) })), []);
  assert.deepEqual(notRight(look({ samples: is([{ labels: raw, value: 800 }]) })), []);
});

test('a pair of exporters is no fault, nor are targets of another inventory', () => {
  const pair = series(of('a'), of('b'), of('a', { exporter: 'pm-2' }), of('b', { exporter: 'pm-2' }));
  assert.deepEqual(notRight(look({ served: is(pair) })), [['prometheus_targets', 'unknown', undefined]]);
  const more = look({ served: is(series(of('a'), of('b'), of('c'))) });
  assert.deepEqual(notRight(more), [['prometheus_targets', 'unknown', undefined]]);
});

test('a target that the exporter had no time to ask has no up: it waits, and is not one that nobody scrapes', () => {
  const waiting = of('b', { class: 'queue' });
  const one = look({ served: is(series(of('a'))), queued: is(series(waiting)) });
  assert.deepEqual(notRight(one), [['prometheus_targets', 'unknown', undefined]]);
  const [found] = one.filter(({ ok }) => ok === 'unknown');
  assert.match(found?.text ?? '', /^1 of 2 targets .*no time to ask.*--max-sweeps.*: b$/);
  assert.ok(one.every(({ text }) => !/by nobody/.test(text)));
  // one that waits and one that is not there at all
  const both = look({ served: is([]), queued: is(series(waiting)) });
  assert.deepEqual(
    both.filter(({ check }) => check === 'prometheus_targets').map(({ ok, text }) => [ok, text.at(-1)]),
    [
      [false, 'a'],
      ['unknown', 'b'],
    ],
  );
  // of a pair, one has asked and the other had no time: it is scraped, by both
  const pair = look({
    served: is(series(of('a'), of('b'), of('a', { exporter: 'pm-2' }))),
    queued: is(series(of('b', { class: 'queue', exporter: 'pm-2' }))),
  });
  assert.ok(pair.some(({ text }) => /^2 targets are scraped more than once/.test(text)));
  assert.ok(pair.every(({ ok }) => ok !== false));
});

test('a scrape that fails, or that was not made yet, hides its targets: they are not called scraped by nobody', () => {
  for (const health of ['down', 'unknown']) {
    const hidden = look({ targets: is([{ ...scrape, health }]), served: is([]) });
    const cover = hidden.filter(({ check }) => check === 'prometheus_targets');
    assert.deepEqual(
      cover.map(({ ok, text }) => [ok, /not seen.*\(prometheus_up\): a, b$/.test(text)]),
      [['unknown', true]],
      health,
    );
    assert.ok(hidden.some(({ check, ok }) => check === 'prometheus_up' && ok !== true));
  }
  // by /probe each scrape is of one target: the other one is scraped by nobody
  const probes = look({ targets: is([{ ...probe('a'), health: 'down' }, self]), served: is([]) });
  assert.deepEqual(
    probes.filter(({ check }) => check === 'prometheus_targets').map(({ ok, text }) => [ok, text.at(-1)]),
    [
      [false, 'b'],
      ['unknown', 'a'],
    ],
  );
});

test('one that waits shows how it is labelled as well as one that is up', () => {
  const crossed = of('b', { class: 'queue', instance: address });
  const found = look({ served: is(series(of('a'))), queued: is(series(crossed)) });
  const [wrong] = found.filter(({ ok }) => ok === false);
  assert.deepEqual([wrong?.check, wrong?.severity], ['prometheus_relabelling', 'critical']);
});

test('samples that relabelling takes away are told: who dropped them may not know which rule is silent by it', () => {
  const dropped = is([
    { labels: raw, value: 70 },
    { labels: { ...raw, instance: '10.0.0.2:9930' }, value: 2 },
    { labels: { job: 'other', instance: 'x' }, value: 9 },
  ]);
  const [found, ...more] = look({ dropped }).filter(({ ok }) => ok !== true);
  assert.deepEqual([found?.check, found?.ok, more], ['prometheus_dropped_samples', 'unknown', []]);
  assert.match(found?.text ?? '', /^job pipemedic: metric_relabel_configs take 72 samples of each round away/);
});

test('what cannot be asked is unknown, and nothing of it is called right', () => {
  const why = unknown('403');
  for (const [key, checks] of [
    ['targets', ['prometheus_jobs']],
    ['jobs', ['prometheus_honor_labels', 'prometheus_sample_limit']],
    ['served', ['prometheus_relabelling', 'prometheus_targets']],
    ['queued', ['prometheus_targets']],
    ['builds', ['prometheus_exporter_version']],
    ['inventory', ['prometheus_inventory']],
    ['samples', ['prometheus_sample_limit']],
    ['dropped', ['prometheus_dropped_samples']],
    ['durations', ['prometheus_timeout']],
  ] as const) {
    const found = look({ [key]: why });
    assert.deepEqual(
      notRight(found),
      checks.map((check) => [check, 'unknown', undefined]),
      key,
    );
    assert.ok(!found.some(({ check, ok }) => ok === true && checks.some((c) => c === check)), key);
  }
  assert.deepEqual(notRight(look({}, { shortestRangeMs: undefined })), [['prometheus_interval', 'unknown', undefined]]);
});

test('words', () => {
  assert.deepEqual([500, 1500, 75_000, 120_000, 7_200_000].map(duration), ['500ms', '1.5s', '75s', '2m', '2h']);
  assert.equal(some(['a', 'b']), 'a, b');
  assert.equal(some(['a', 'b', 'c', 'd', 'e', 'f', 'g']), 'a, b, c, d, e and 2 more');
});
