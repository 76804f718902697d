// The canary through a whole pipeline of real servers, beside the lab's own.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { load } from 'js-yaml';
import { startCanary } from '../../deploy/lab/canary.ts';
import { createCanaryTable, withCanary } from '../../deploy/lab/canary-target.ts';
import { startLab, waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import type { Finding } from '../../exporter/findings.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { systems } from '../../exporter/systems/index.ts';
import { parseExposition, type ParsedSample } from '../support/exposition-parser.ts';
import { placesSuite } from './canary-suite-places.ts';

let lab: Lab;

before(async () => {
  lab = await startLab({
    parts: ['source', 'replica', 'maxwell', 'sink', 'redisReplica', 'exporter'],
    configure: withCanary,
  });
});

after(async () => {
  await lab.stop();
});

async function scrape(): Promise<readonly ParsedSample[]> {
  const response = await fetch(`${lab.urls.exporter}/metrics`, { signal: AbortSignal.timeout(10_000) });
  return [...parseExposition(await response.text()).values()].flatMap(({ samples }) => samples);
}

type Labels = Readonly<Record<string, string>>;

function valueOf(samples: readonly ParsedSample[], name: string, labels: Labels): number | undefined {
  const has = (sample: ParsedSample): boolean => Object.entries(labels).every(([k, v]) => sample.labels[k] === v);
  return samples.find((sample) => sample.name === name && has(sample))?.value;
}

/** Waits until the state families say so, `canary1`, or `canary1 db2` for an end. */
async function states(wanted: Readonly<Record<string, string>>): Promise<readonly ParsedSample[]> {
  let last = '';
  return await waitFor(
    async () => {
      const samples = await scrape();
      const now = Object.keys(wanted).map((key): [string, string] => {
        const [target = '', end] = key.split(' ');
        const of = samples.filter(
          (s) =>
            s.name === (end === undefined ? 'canary_state' : 'canary_seen_state') &&
            s.labels['target'] === target &&
            s.labels['seen_at'] === end,
        );
        return [key, of.find(({ value }) => value === 1)?.labels['state'] ?? 'none'];
      });
      last = JSON.stringify(now);
      return now.every(([key, state]) => state === wanted[key]) && samples;
    },
    { deadlineMs: 40_000, what: JSON.stringify(wanted), intervalMs: 500, detail: () => last },
  );
}

const allOk = {
  canary1: 'ok',
  'canary1 redis1': 'ok',
  'canary1 redis2': 'ok',
  'canary1 kafka1': 'ok',
  'canary1 db2': 'ok',
  canary2: 'ok',
  'canary2 redis2': 'ok',
};

async function examined(name: string): Promise<readonly Finding[]> {
  const document = load(readFileSync(lab.files.pipemedic, 'utf8'));
  const bound = inventoryOf(document, 'lab', systems).targets.get(name)?.bind();
  assert.ok(bound);
  const call = { clock: systemClock, signal: AbortSignal.timeout(20_000) };
  await using client = await bound.open(call);
  return await bound.examine(client, call);
}

async function rows(): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return await lab.sql('source', 'SELECT id, token FROM shop.canary');
}

test('without its table it says so, and doctor has the statements; with it, it is seen at every end', async () => {
  await waitFor(async () => (await states({ canary1: 'denied' })).length, { what: 'no login' });
  // The user first, with nothing that it may do
  await lab.sql('source', `CREATE USER 'canary'@'%' IDENTIFIED BY '${lab.secret('canary')}'`);
  const [before_] = await examined('canary1');
  assert.equal(before_?.ok, false);
  assert.match(
    before_.fix ?? '',
    /^CREATE TABLE shop\.canary .*; GRANT SELECT, INSERT, UPDATE ON shop\.canary TO 'canary'@'%'$/,
  );
  await createCanaryTable(lab);
  await states(allOk);
  const findings = [...(await examined('canary1')), ...(await examined('canary2'))];
  assert.deepEqual([...new Set(findings.map(({ ok, text }) => (ok === true ? 'ok' : text)))], ['ok']);
  assert.equal(findings.length, 7);
});

test('as late as the lab’s own canary says, while nothing arrives and when it does again', async () => {
  const flowing = await scrape();
  assert.equal(valueOf(flowing, 'pipeline_data_flowing', { pipeline: 'orders' }), 1);
  const settled = valueOf(flowing, 'pipeline_lag_seconds', { method: 'canary' });
  assert.ok(settled !== undefined && settled >= 0 && settled < 10, String(settled));
  await using own = await startCanary(lab, { at: ['redis', 'replica'], everyMs: 100 });
  await waitFor(() => own.latencyMs('redis') !== undefined, { what: 'the lab’s canary' });
  lab.part('sink').freeze();
  try {
    await waitFor(() => own.outstandingMs('redis') > 6_000, { what: 'six seconds' });
    const least = own.outstandingMs('redis') / 1000;
    const samples = await scrape();
    const most = own.outstandingMs('redis') / 1000;
    for (const [name, labels] of [
      ['canary_outstanding_seconds', { target: 'canary1', seen_at: 'redis1' }],
      ['canary_outstanding_seconds', { target: 'canary1', seen_at: 'redis2' }],
      ['pipeline_lag_seconds', { pipeline: 'orders', method: 'canary' }],
    ] as const) {
      const told = valueOf(samples, name, labels) ?? NaN;
      // it is written once a second, and was looked at by a machine that may be busy
      assert.ok(
        told > least - 1.7 && told < most + 0.5,
        `${name} of ${JSON.stringify(labels)}: ${told}, truth ${least} to ${most}`,
      );
    }
    const late = { 'canary1 redis1': 'late', 'canary1 redis2': 'late', 'canary1 kafka1': 'ok', 'canary1 db2': 'ok' };
    await states({ ...late, canary1: 'ok' });
  } finally {
    lab.part('sink').thaw();
  }
  const after_ = await states(allOk);
  assert.equal(valueOf(after_, 'canary_lost_total', { target: 'canary1', seen_at: 'redis1' }), 0);
});

test('a replica that stands still is named, and nobody else', async () => {
  await lab.sql('replica', 'STOP SLAVE SQL_THREAD');
  const samples = await states({ ...allOk, 'canary1 db2': 'late' });
  assert.ok((valueOf(samples, 'canary_outstanding_seconds', { target: 'canary1', seen_at: 'db2' }) ?? 0) > 2);
  await lab.sql('replica', 'START SLAVE SQL_THREAD');
  await states(allOk);
  await lab.link('redisReplica->redis').cut();
  await states({ ...allOk, 'canary1 redis2': 'late', 'canary2 redis2': 'late' });
  await lab.link('redisReplica->redis').restore();
  await states(allOk);
  await lab.part('redisReplica').kill();
  await states({ ...allOk, 'canary1 redis2': 'unreachable', 'canary2 redis2': 'unreachable' });
  await lab.part('redisReplica').start();
  await states(allOk);
});

const keyLeft = (): Promise<number> => lab.redis('redis', (redis) => redis.ttl('pipemedic:canary'));

test('a kill leaves one row, and a key that passes', async () => {
  await lab.part('exporter').kill();
  const [left] = await rows();
  assert.ok((await keyLeft()) > 0);
  await lab.part('exporter').start();
  await states(allOk);
  const [again, ...more] = await rows();
  assert.deepEqual([again?.['id'], more], ['canary1', []]);
  assert.ok(Number(again?.['token']) > Number(left?.['token']));
});

placesSuite(() => lab);

test('a source that is read only is not written to, and that is no failure', async () => {
  const failures = async (): Promise<ParsedSample[]> =>
    (await scrape()).filter(
      ({ name, labels }) => name === 'canary_write_failures_total' && labels['target'] === 'canary1',
    );
  const before_ = await failures();
  await lab.sql('source', 'SET GLOBAL read_only = 1');
  await states({ canary1: 'refused' });
  const held = await rows();
  await lab.redis('redis', (redis) => redis.replicaof(lab.address, '1'));
  await states({ canary1: 'refused', canary2: 'refused' });
  assert.deepEqual([await rows(), await failures()], [held, before_]);
  await lab.sql('source', 'SET GLOBAL read_only = 0');
  await lab.redis('redis', (redis) => redis.replicaof('NO', 'ONE'));
  await states({ canary1: 'ok', canary2: 'ok' });
});

test('an orderly end leaves the row, and takes the key away', async () => {
  assert.ok((await keyLeft()) > 0);
  await lab.part('exporter').stop();
  assert.deepEqual([await keyLeft(), (await rows()).length], [-2, 1]);
});
