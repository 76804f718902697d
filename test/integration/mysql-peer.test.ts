// Contract with mysqld_exporter: both look at the same MariaDB, and what both serve is the same.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ports } from '../../deploy/lab/address.ts';
import { startLab, type Lab } from '../../deploy/lab/lab.ts';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { serve, type Serving } from '../../exporter/serve.ts';
import { systems } from '../../exporter/systems/index.ts';
import { parseExposition, type ParsedFamily } from '../support/exposition-parser.ts';
import { onlyCollectors, startMysqldExporter, type MysqldExporter } from '../support/mysqld-exporter.ts';
import { portOf } from '../support/serving-port.ts';

type Page = ReadonlyMap<string, ParsedFamily>;

/** Families that the peer serves under these collectors and we do not, with the reason. */
const notServed: Readonly<Record<string, string>> = {};

/** Values that depend on who looks: both are right. How far they may be apart, and why. */
const near: Readonly<Record<string, readonly [within: number, why: string]>> = {
  mysql_global_status_threads_connected: [4, 'the connections of the peer are open while it looks'],
  mysql_global_status_threads_cached: [4, 'threads of the connections that the peer has just closed'],
  mysql_global_status_threads_running: [4, 'the peer sends several statements at a time'],
  mysql_global_status_memory_used: [16 * 2 ** 20, 'its connections and statements use memory'],
};

/** Both kinds of server: a source has replicas and readers of its binary logs, a replica has a status. */
const databases = ['source', 'replica'] as const;
type Database = (typeof databases)[number];

let lab: Lab;
const peers = new Map<Database, MysqldExporter>();
let serving: Serving;
let ourUrl: string;

before(async () => {
  lab = await startLab({ parts: ['source', 'replica'] });
  const { address: host } = lab;
  // what pt-heartbeat --create-table makes, as far as it is read
  for (const statement of [
    'CREATE DATABASE heartbeat',
    'CREATE TABLE heartbeat.heartbeat (ts VARCHAR(26) NOT NULL, server_id INT UNSIGNED NOT NULL PRIMARY KEY)',
    "INSERT INTO heartbeat.heartbeat VALUES ('2026-01-02T03:04:05.000600', 1)",
  ]) {
    await lab.sql('source', statement);
  }
  const [position] = await lab.sql('source', 'SELECT @@gtid_binlog_pos AS gtid');
  await lab.sql('replica', `SELECT MASTER_GTID_WAIT('${String(position?.['gtid'])}', 10)`);
  // both with all rights: MariaDB shows slave hosts to nobody without REPLICATION MASTER ADMIN
  const user = 'lab';
  for (const [i, name] of databases.entries()) {
    const peer = await startMysqldExporter({
      host,
      port: 19_104 + i,
      database: { host, port: ports[name], user, password: lab.secret(user) },
      args: [
        ...onlyCollectors(
          'slave_status',
          'binlog_size',
          'heartbeat',
          'global_status',
          'global_variables',
          'slave_hosts',
        ),
        '--collect.heartbeat.utc',
      ],
    });
    peers.set(name, peer);
  }
  const targets = databases.map((name) => ({
    name,
    kind: 'mysql',
    address: { host, port: ports[name] },
    auth: { user, password_file: lab.secretFile(user) },
    collectors: {
      global_status: { all: true },
      global_variables: { all: true },
      heartbeat: { utc: true },
      slave_hosts: {},
    },
  }));
  serving = await serve({
    load: () => Promise.resolve(inventoryOf({ targets }, 'test', systems)),
    listen: [{ host, port: 0 }],
    version: '0.0.0',
    clock: systemClock,
    log: createLog('test', 'silent'),
    pipelines: () => undefined,
  });
  ourUrl = `http://${host}:${String(portOf(serving))}/metrics`;
});

after(async () => {
  await serving.stop();
  for (const peer of peers.values()) await peer.stop();
  await lab.stop();
});

/** Families of the peer that are about itself, and those of the language it is written in. */
const aboutItself = /^(go_|process_|promhttp_|mysql_exporter_|mysqld_exporter_)/;

async function theirs(name: Database): Promise<Page> {
  const peer = peers.get(name);
  assert.ok(peer);
  const page = parseExposition(
    (await peer.scrape())
      .split('\n')
      .filter((line) => !/^(# (HELP|TYPE) )?(go|process|promhttp)_/.test(line)) // it has a summary, which we have not
      .join('\n'),
  );
  return new Map([...page].filter(([family]) => !aboutItself.test(family)));
}

/** What is served for one target, without the label that says which. */
async function ours(name: Database): Promise<Page> {
  const answer = await fetch(ourUrl, { signal: AbortSignal.timeout(10_000) });
  assert.equal(answer.status, 200);
  const page = new Map<string, ParsedFamily>();
  for (const [family, { type, help, samples }] of parseExposition(await answer.text())) {
    const own = samples.flatMap(({ labels: { target, ...labels }, ...sample }) =>
      target === name ? [{ ...sample, labels }] : [],
    );
    if (own.length > 0) page.set(family, { type, help, samples: own });
  }
  return page;
}

/** name{labels} -> value */
function seriesOf(page: Page): ReadonlyMap<string, number> {
  const samples = [...page.values()].flatMap((family) => family.samples);
  return new Map(
    samples.map(({ name, labels, value }) => {
      const text = Object.entries(labels).map(([label, v]) => `${label}="${v}"`);
      return [`${name}{${text.sort().join(',')}}`, value];
    }),
  );
}

function familyOf(series: string): string {
  return series.slice(0, series.indexOf('{'));
}

test('every family of the peer is served, but for those with a reason', async () => {
  const missing = new Set<string>();
  for (const name of databases) {
    const [theirPage, ourPage] = [await theirs(name), await ours(name)];
    assert.ok(theirPage.size > 500, `the peer has ${String(theirPage.size)} families`);
    for (const family of theirPage.keys()) if (!ourPage.has(family)) missing.add(family);
  }
  assert.deepEqual([...missing].sort(), Object.keys(notServed).sort());
});

test('same type and same label names', async () => {
  const outline = (page: Page, of: Page): readonly string[] =>
    [...page].flatMap(([family, { type, samples }]) => {
      const labels = Object.keys(samples[0]?.labels ?? {});
      return of.has(family) ? [`${family} ${type} {${labels.sort().join()}}`] : [];
    });
  for (const name of databases) {
    const [theirPage, ourPage] = [await theirs(name), await ours(name)];
    assert.deepEqual(outline(ourPage, theirPage).toSorted(), outline(theirPage, ourPage).toSorted());
  }
});

/**
 * What differs when ours is read between two of theirs: a value that stands still, or goes one way, must lie between the
 * two; and neither has a series of a shared family that the other lacks.
 */
async function differences(name: Database): Promise<ReadonlyMap<string, string>> {
  const first = seriesOf(await theirs(name));
  const our = seriesOf(await ours(name));
  const last = seriesOf(await theirs(name));
  const families = new Set([...first.keys()].map(familyOf).filter((family) => !(family in notServed)));
  const found = new Map<string, string>();
  for (const series of new Set([...first.keys(), ...last.keys(), ...our.keys()])) {
    if (!families.has(familyOf(series))) continue;
    const [a, value, b] = [first.get(series), our.get(series), last.get(series)];
    const [within] = near[familyOf(series)] ?? [0];
    const right =
      a === undefined || b === undefined
        ? value === undefined
        : value !== undefined && value >= Math.min(a, b) - within && value <= Math.max(a, b) + within;
    if (!right) found.set(series, `the peer ${String(a)}, ours ${String(value)}, the peer again ${String(b)}`);
  }
  return found;
}

for (const name of databases) {
  test(`${name}: same series and same values`, async () => {
    let wrong = await differences(name);
    // What goes up and down may fall outside by chance: seen right once is right
    for (let round = 0; wrong.size > 0 && round < 8; round++) {
      const again = await differences(name);
      wrong = new Map([...wrong].filter(([series]) => again.has(series)));
    }
    assert.deepEqual(Object.fromEntries(wrong), {});
  });
}
