// A target that accepts connections and never answers: the scrape is in time, everything else is there, and what cannot be
// known says why.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { query, scalar } from '../../deploy/demo/observe.ts';
import { pipelineParts, waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { TcpProxy } from '../../deploy/lab/tcp-proxy.ts';
import { scrape, startHealthyLab, targetNames } from '../support/e2e-lab.ts';
import { parseExposition, type ParsedFamily } from '../support/exposition-parser.ts';

/** Targets that the exporter reaches through a link of this test, and what stands in for what of theirs is unknown. */
const hanging = [
  {
    name: 'redis2',
    linkPort: 16_399,
    up: 'redis_up',
    state: 'redis_replication_state',
    healthy: 'replica_up',
    numbers: ['redis_slave_repl_offset', 'redis_master_link_up'],
  },
  {
    name: 'db2',
    linkPort: 13_399,
    up: 'mysql_up',
    state: 'mysql_replication_state',
    healthy: 'running',
    numbers: ['mysql_slave_status_seconds_behind_master', 'mysql_replication_lag_seconds'],
  },
] as const;

let lab: Lab;
const links: TcpProxy[] = [];

before(async () => {
  lab = await startHealthyLab({
    parts: [...pipelineParts, 'prometheus', 'exporter'],
    backupEverySeconds: 3_600, // one that is just being verified has other series
    configure: (document) => {
      const targets = document['targets'] as { name: string; address: { host: string; port: number } }[];
      for (const { name, linkPort } of hanging) {
        const target = targets.find((t) => t.name === name);
        assert.ok(target !== undefined);
        const { host, port } = target.address;
        links.push(new TcpProxy({ name: `exporter->${name}`, host, port: linkPort, to: { host, port } }));
        target.address.port = linkPort;
      }
      void Promise.all(links.map((link) => link.open()));
      return document;
    },
  });
});
after(async () => {
  for (const link of links) link.close();
  await lab.stop();
});

function seriesOf(
  families: ReadonlyMap<string, ParsedFamily>,
  is: (target: string | undefined) => boolean,
): Set<string> {
  return new Set(
    [...families.values()]
      .flatMap((family) => family.samples)
      .filter((sample) => is(sample.labels['target']))
      .map(({ name, labels }) => JSON.stringify([name, Object.entries(labels).sort()])),
  );
}

const hangs = (target: string | undefined): boolean => hanging.some(({ name }) => name === target);
const ofOthers = (target: string | undefined): boolean => target !== undefined && !hangs(target);

function valueOf(text: string, name: string, labels: Readonly<Record<string, string>>): number | undefined {
  return parseExposition(text)
    .get(name)
    ?.samples.find((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))?.value;
}

/** Sockets of the process that are connected, or about to be, to that port of the lab: by the kernel's books. */
function connectionsOf(pid: number, port: number): number {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // closed meanwhile
      }
    }),
  );
  // proc(5): local address, remote address (port in hexadecimal), state, …, inode in the tenth column
  return readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => Number.parseInt(columns[2]?.split(':')[1] ?? '', 16) === port && inodes.has(columns[9] ?? ''))
    .length;
}

let healthySeries: Set<string>;

test('the answer comes within the deadline, without the one that hangs and with all the others', async (t) => {
  // What is there in every one of some scrapes: a few series come and go by themselves, such as one per running statement
  healthySeries = seriesOf(parseExposition((await scrape(lab, 10)).text), ofOthers);
  for (let i = 0; i < 4; i++) {
    const now = seriesOf(parseExposition((await scrape(lab, 10)).text), ofOthers);
    healthySeries = new Set([...healthySeries].filter((series) => now.has(series)));
  }
  const all = [...healthySeries, ...seriesOf(parseExposition((await scrape(lab, 10)).text), hangs)];
  for (const name of targetNames) {
    const { length } = all.filter((series) => series.includes(`["target","${name}"]`));
    assert.ok(length > 10, `${name} has ${length} series`);
  }

  for (const link of links) await link.blackhole();
  const deadlineSeconds = 4; // time enough for the others on a busy machine
  const took: number[] = [];
  for (let i = 0; i < 3; i++) {
    const { text, tookMs } = await scrape(lab, deadlineSeconds);
    took.push(Math.round(tookMs));
    const now = seriesOf(parseExposition(text), ofOthers);
    assert.deepEqual(
      [...healthySeries].filter((series) => !now.has(series)),
      [],
    );
    for (const { name: target, up, state, healthy, numbers } of hanging) {
      assert.equal(valueOf(text, 'pipemedic_target_up', { target }), 0);
      assert.equal(valueOf(text, up, { target }), 0);
      assert.equal(valueOf(text, 'pipemedic_target_error_info', { target, class: 'deadline' }), 1);
      // Unknown has no number, and a state that says so
      assert.equal(valueOf(text, state, { target, state: 'unknown' }), 1);
      assert.equal(valueOf(text, state, { target, state: healthy }), 0);
      for (const number of numbers) assert.equal(valueOf(text, number, { target }), undefined, number);
    }
    assert.equal(valueOf(text, 'pipeline_stage_state', { target: 'redis2', state: 'unknown' }), 1);
    assert.equal(valueOf(text, 'pipeline_lag_seconds', { pipeline: 'orders' }), undefined);
  }
  t.diagnostic(`answers after ${took.join(', ')} ms`);
  assert.ok(Math.max(...took) <= deadlineSeconds * 1000, `answers after ${took.join(', ')} ms`);
});

test('Prometheus goes on scraping: the exporter is up, they are down and the others are up', async () => {
  const names = hanging.map(({ name }) => name).sort();
  const isUnknown = hanging.map(({ name, state }) => `${state}{target="${name}",state="unknown"} == 1`);
  // In one and the same look; another target may miss a scrape on a busy machine, but not all of them
  await waitFor(
    async () => {
      const down = (await query(lab, 'pipemedic_target_up == 0')).map((series) => series.labels['target']).sort();
      const up = await scalar(lab, 'up{job="pipemedic"}');
      const unknown = (await query(lab, isUnknown.join(' or '))).length;
      assert.deepEqual({ down, up, unknown }, { down: names, up: 1, unknown: hanging.length });
      return true;
    },
    { what: `${names.join(' and ')} down in Prometheus, and nothing else` },
  );
});

test('there is never more than one connection to each, however many scrapes', async () => {
  const { pid } = lab.part('exporter');
  assert.ok(pid !== undefined);
  const most = new Map(hanging.map(({ name }) => [name, 0]));
  let looks = 0;
  const looking = setInterval(() => {
    for (const { name, linkPort } of hanging)
      most.set(name, Math.max(most.get(name) ?? 0, connectionsOf(pid, linkPort)));
    looks += 1;
  }, 20);
  try {
    // One after the other, and several at the same time beside those of Prometheus; until each has been asked, because
    // between two tries a target that is down is left alone
    await waitFor(
      async () => {
        await scrape(lab, 0.5);
        await Promise.all(Array.from({ length: 12 }, () => scrape(lab, 1)));
        return looks > 20 && hanging.every(({ name }) => (most.get(name) ?? 0) > 0);
      },
      { deadlineMs: 60_000, what: 'both to be asked' },
    );
  } finally {
    clearInterval(looking);
  }
  assert.ok(looks > 20, `${looks} looks`);
  assert.deepEqual(Object.fromEntries(most), { redis2: 1, db2: 1 }); // and not 0: what is counted can be seen
});

test('they answer again: they are up, with their series', async () => {
  for (const link of links) await link.restore();
  await waitFor(
    async () => {
      const { text } = await scrape(lab, 5);
      return hanging.every(
        ({ name: target, numbers }) =>
          valueOf(text, 'pipemedic_target_up', { target }) === 1 &&
          numbers.every((number) => valueOf(text, number, { target }) !== undefined),
      );
    },
    { what: 'both to be up', intervalMs: 300 },
  );
});
