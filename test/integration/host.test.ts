// The machine, beside the real node_exporter and process-exporter: same names, types, labels and values; and what only
// we say: folders that are away, processes that are stopped or gone.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '../../deploy/lab/ready.ts';
import { FactBoard } from '../../exporter/facts.ts';
import type { Sample } from '../../exporter/families.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { within } from '../../exporter/runtime/deadline.ts';
import { host } from '../../exporter/systems/host/index.ts';
import type { BoundTarget } from '../../exporter/system.ts';
import { parseExposition, type ParsedFamily } from '../support/exposition-parser.ts';
import { startPeer, type PeerProcess } from '../support/peer-process.ts';

const listen = '127.212.9.1';
const dir = mkdtempSync(join(tmpdir(), 'pipemedic-host-'));
let nodeExporter: PeerProcess;
let processExporter: PeerProcess;
let sleeper: ChildProcess;
let bound: BoundTarget;

before(async () => {
  sleeper = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'pipemedic-sleeper'], { stdio: 'ignore' });
  const config = join(dir, 'processes.yml');
  writeFileSync(config, `process_names:\n  - name: sleeper\n    cmdline: ["pipemedic-sleeper"]\n`);
  [nodeExporter, processExporter] = await Promise.all([
    startPeer(
      'prometheus-node-exporter',
      [`--web.listen-address=${listen}:19100`, '--log.level=error'],
      `${listen}:19100`,
    ),
    startPeer(
      'prometheus-process-exporter',
      ['-config.path', config, `-web.listen-address=${listen}:19256`],
      `${listen}:19256`,
    ),
  ]);
  mkdirSync(join(dir, 'data'));
  symlinkSync(join(dir, 'data'), join(dir, 'linked'));
  symlinkSync(join(dir, 'nothing'), join(dir, 'dangling'));
  bound = bind({
    folders: {
      data: join(dir, 'data'),
      linked: join(dir, 'linked'),
      gone: join(dir, 'gone'),
      dangling: join(dir, 'dangling'),
    },
    processes: {
      sleeper: { arguments: ['pipemedic-sleeper'] },
      'by-pid': { pid_file: join(dir, 'sleeper.pid') },
      'by-both': { pid_file: join(dir, 'sleeper.pid'), arguments: ['pipemedic-sleeper'] },
      reused: { pid_file: join(dir, 'sleeper.pid'), program: 'pipemedic-no-such-program' },
      'never-there': { program: 'pipemedic-no-such-program' },
    },
  });
  writeFileSync(join(dir, 'sleeper.pid'), `${String(sleeper.pid)}\n`);
});

after(async () => {
  sleeper.kill('SIGKILL');
  await Promise.all([nodeExporter.stop(), processExporter.stop()]);
  rmSync(dir, { recursive: true });
});

function bind(address: object): BoundTarget {
  return host.bind({ name: 'here', kind: 'host', address }, () => {
    throw new Error('it names no other');
  });
}

type Found = ReadonlyMap<string, ParsedFamily>;

/** All collectors, as families like those of an exposition. */
async function measure(of = bound): Promise<Found> {
  const call = { signal: within(5000), clock: systemClock, target: 'here', board: new FactBoard() };
  const client = await of.open(call);
  await client.ping(call);
  const samples: Sample[] = [];
  for (const collector of of.collectors) await collector.collect(client, (sample) => samples.push(sample), call);
  await client[Symbol.asyncDispose]();
  const found = new Map<string, ParsedFamily>();
  for (const { family, value, labels } of samples) {
    const { name, type, help } = family;
    const one = found.get(name) ?? { type, help, samples: [] };
    one.samples.push({ name, labels, value });
    found.set(name, one);
  }
  return found;
}

const keyOf = (labels: Readonly<Record<string, string>>): string =>
  JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));

/** Of ours that a peer has: its type, the label names and the series. Values lie between two of theirs, with some room. */
function compare(ours: Found, before: Found, after: Found, prefix: string, roomOf: (name: string) => number): string[] {
  const compared: string[] = [];
  for (const [name, family] of ours) {
    if (!name.startsWith(prefix)) continue;
    const [first, last] = [before.get(name), after.get(name)];
    assert.ok(first !== undefined && last !== undefined, `${name} is not of the peer`);
    assert.equal(family.type, first.type, name);
    const values = (of: ParsedFamily): Map<string, number> =>
      new Map(of.samples.map((s) => [keyOf(s.labels), s.value]));
    const [low, high] = [values(first), values(last)];
    for (const { labels, value } of family.samples) {
      const [a, b] = [low.get(keyOf(labels)), high.get(keyOf(labels))];
      assert.ok(a !== undefined && b !== undefined, `${name}${keyOf(labels)}: the peer has no such series`);
      const room = roomOf(name) * Math.max(Math.abs(a), Math.abs(b), /^node_.*_bytes$/.test(name) ? 2 ** 30 : 1);
      assert.ok(
        value >= Math.min(a, b) - room && value <= Math.max(a, b) + room,
        `${name}${keyOf(labels)}: ${String(value)} is not between ${String(a)} and ${String(b)}`,
      );
    }
    compared.push(name);
  }
  return compared;
}

/** Of gauges that move both ways between the three looks: the whole machine's memory and disk are shared with others. */
const moves = /^node_(memory|filesystem_(avail|free|files_free)|procs|load)/;

test('node_exporter: every name of ours is one of its, with its type, labels and value', async () => {
  const before = parseExposition(await nodeExporter.scrape());
  const ours = await measure();
  const after = parseExposition(await nodeExporter.scrape());
  const compared = compare(ours, before, after, 'node_', (name) => {
    if (/Total_bytes$|size_bytes$/.test(name)) return 0;
    return name.startsWith('node_procs') ? 100 : moves.test(name) ? 0.5 : 0.01;
  });
  assert.ok(compared.length > 50, compared.join());
  for (const name of [
    'node_filesystem_avail_bytes',
    'node_cpu_seconds_total',
    'node_memory_MemAvailable_bytes',
    'node_memory_SwapFree_bytes',
    'node_vmstat_oom_kill',
    'node_boot_time_seconds',
  ]) {
    assert.ok(compared.includes(name), name);
  }
  const same = (prefix: string): string[] => [...before.keys()].filter((name) => name.startsWith(prefix));
  for (const prefix of [
    'node_memory_',
    'node_vmstat_',
    'node_cpu_seconds',
    'node_cpu_guest',
    'node_load',
    'node_procs_',
  ]) {
    assert.deepEqual(
      same(prefix).filter((name) => !compared.includes(name)),
      [],
      `of ${prefix} the peer has more`,
    );
  }
});

test('process-exporter: the same group, with its types, labels and values', async () => {
  const before = parseExposition(await processExporter.scrape());
  const ours = await measure();
  const after = parseExposition(await processExporter.scrape());
  const ofSleeper = new Map(
    [...ours].map(([name, family]) => [
      name,
      { ...family, samples: family.samples.filter((s) => s.labels['groupname'] === 'sleeper') },
    ]),
  );
  const compared = compare(ofSleeper, before, after, 'namedprocess_', (name) =>
    /cpu|memory|faults/.test(name) ? 0.5 : 0.01,
  );
  assert.equal(compared.length, 8, compared.join());
});

function valueIn(found: Found, name: string, labels: Readonly<Record<string, string>>): number | undefined {
  const series = (found.get(name)?.samples ?? []).filter((s) =>
    Object.entries(labels).every(([k, v]) => s.labels[k] === v),
  );
  assert.ok(series.length < 2, name);
  return series[0]?.value;
}

function stateIn(found: Found, name: string, labels: Readonly<Record<string, string>>): string | undefined {
  const series = (found.get(name)?.samples ?? []).filter((s) =>
    Object.entries(labels).every(([k, v]) => s.labels[k] === v),
  );
  assert.equal(series.filter((s) => s.value === 1).length, 1, `${name} has one state`);
  return series.find((s) => s.value === 1)?.labels['state'];
}

test('a folder that is not there says so and has no numbers; a link is followed', async () => {
  const found = await measure();
  const of = (folder: string): string | undefined => stateIn(found, 'host_folder_state', { folder });
  assert.deepEqual(['data', 'linked', 'gone', 'dangling'].map(of), ['ok', 'ok', 'missing', 'missing']);
  assert.ok((valueIn(found, 'host_folder_avail_bytes', { folder: 'data' }) ?? 0) > 0);
  assert.equal(
    valueIn(found, 'host_folder_size_bytes', { folder: 'linked' }),
    valueIn(found, 'host_folder_size_bytes', { folder: 'data' }),
  );
  assert.equal(valueIn(found, 'host_folder_avail_bytes', { folder: 'gone' }), undefined);
  assert.equal(
    stateIn(found, 'host_folder_filling_state', { folder: 'data' }),
    'unknown',
    'not watched for long enough',
  );
});

test('a watched process: runs, is stopped by a signal, has gone; counters never go back', async () => {
  const stateOf = (found: Found, groupname: string): string | undefined =>
    stateIn(found, 'host_process_state', { groupname });
  const first = await measure();
  assert.deepEqual(
    ['sleeper', 'by-pid', 'by-both', 'reused', 'never-there'].map((name) => stateOf(first, name)),
    ['running', 'running', 'running', 'gone', 'gone'],
  );
  assert.equal(stateIn(first, 'host_process_files_state', { groupname: 'sleeper' }), 'known');
  assert.ok((valueIn(first, 'namedprocess_namegroup_open_filedesc', { groupname: 'sleeper' }) ?? 0) > 3);
  const started = valueIn(first, 'namedprocess_namegroup_oldest_start_time_seconds', { groupname: 'sleeper' }) ?? 0;
  assert.ok(Math.abs(Date.now() / 1000 - started) < 120);

  sleeper.kill('SIGSTOP');
  await waitFor(async () => stateOf(await measure(), 'sleeper') === 'stopped', { what: 'it to be stopped' });
  sleeper.kill('SIGKILL');
  const gone = await waitFor(
    async () => {
      const found = await measure();
      return stateOf(found, 'sleeper') === 'gone' ? found : undefined;
    },
    { what: 'it to be gone' },
  );
  assert.equal(stateOf(gone, 'by-pid'), 'gone');
  assert.equal(valueIn(gone, 'namedprocess_namegroup_num_procs', { groupname: 'sleeper' }), 0);
  assert.equal(valueIn(gone, 'namedprocess_namegroup_oldest_start_time_seconds', { groupname: 'sleeper' }), undefined);
  const cpu = (found: Found): number =>
    valueIn(found, 'namedprocess_namegroup_cpu_seconds_total', { groupname: 'sleeper', mode: 'user' }) ?? NaN;
  assert.ok(cpu(gone) >= cpu(first));

  writeFileSync(join(dir, 'sleeper.pid'), 'garbage');
  assert.equal(stateOf(await measure(), 'by-pid'), 'unknown', 'a pid file that says nothing is no sign of an end');
});

test('doctor names the folder and the process, and how to mend it', async () => {
  const call = { signal: within(5000), clock: systemClock };
  const client = await bound.open(call);
  const wrong = (await bound.examine(client, call)).filter(({ ok }) => ok === false);
  assert.ok(
    wrong.some(({ text, fix }) => text.includes('gone:') && fix?.includes('is there, mounted')),
    JSON.stringify(wrong),
  );
  assert.ok(wrong.some(({ text }) => text.includes('never-there')));
  const noProc = bind({ proc: dir });
  const other = await noProc.open(call);
  await assert.rejects(other.ping(call), /is not proc\(5\)/);
});
