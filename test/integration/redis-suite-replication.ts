// Replication of a pair in depth, as one exporter with both in its inventory sees it: on every release alike.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ports } from '../../deploy/lab/address.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import type { RedisLab } from '../../deploy/lab/redis-releases.ts';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { join } from '../../exporter/scrape/exposition.ts';
import { Rounds } from '../../exporter/scrape/rounds.ts';
import { openRedis } from '../../exporter/systems/redis/client.ts';
import { examineRedis } from '../../exporter/systems/redis/facts-doctor.ts';
import { redis } from '../../exporter/systems/redis/index.ts';
import { systems } from '../../exporter/systems/index.ts';
import { parseExposition, valueOf, type ParsedFamily } from '../support/exposition-parser.ts';
import { roundsDeps } from '../support/fake-system.ts';
import { WatchedTarget } from '../support/watched-target.ts';

type Labels = Readonly<Record<string, string>>;

/** One scrape of the exporter. */
class Seen {
  readonly #families: Map<string, ParsedFamily>;
  constructor(text: string) {
    this.#families = parseExposition(text);
  }

  value(name: string, labels: Labels): number | undefined {
    return valueOf(this.#families, name, labels);
  }

  state(name: string, labels: Labels): string | undefined {
    const samples = this.#families.get(name)?.samples ?? [];
    return samples.find((s) => s.value === 1 && Object.entries(labels).every(([k, v]) => s.labels[k] === v))?.labels[
      'state'
    ];
  }
}

const primary = { target: 'cache' };
const replica = { target: 'copy' };

function roundsOf(lab: RedisLab, faults: string[]): Rounds {
  const target = (name: string, port: number, part: 'redis' | 'redisReplica'): object => ({
    name,
    kind: 'redis',
    address: { host: lab.address, port, log_file: lab.part(part).logFile },
    collectors: { dataset: { min_keys: 100 } },
  });
  const targets = [
    { name: 'nobody', kind: 'mysql', address: { host: lab.address, port: 1 } },
    target('cache', ports.redis, 'redis'),
    target('copy', ports.redisReplica, 'redisReplica'),
  ];
  const cache = { primary: 'cache', replicas: ['copy'] };
  const pipelines = [{ name: 'p', objective: '10s', source: 'nobody', cache }];
  const inventory = inventoryOf({ targets, pipelines }, 'test', systems);
  return new Rounds(inventory, roundsDeps({ fault: (part, error) => faults.push(`${part}: ${String(error)}`) }));
}

export async function replicationInDepth(lab: RedisLab): Promise<void> {
  const faults: string[] = [];
  const rounds = roundsOf(lab, faults);
  const look = async (): Promise<Seen> =>
    new Seen((await join(await rounds.scrape(8_000), 'text', systemClock)).toString());
  const when = async (what: string, is: (seen: Seen) => boolean): Promise<Seen> =>
    await waitFor(
      async () => {
        const seen = await look();
        return is(seen) && seen;
      },
      { what },
    );
  const set = async (name: 'redis' | 'redisReplica', key: string, value: string): Promise<void> => {
    await lab.redis(name, (r) => r.config('SET', key, value));
  };
  const write = async (count: number, bytes: number): Promise<void> => {
    await lab.redis('redis', async (r) => {
      const pipeline = r.pipeline();
      for (let i = 0; i < count; i++) pipeline.set(`key-${String(i)}`, 'x'.repeat(bytes));
      await pipeline.exec();
    });
  };
  const linked = (seen: Seen): boolean => seen.state('redis_replication_state', replica) === 'replica_up';
  const check = (name: string, of: Labels): Labels => ({ ...of, check: name });
  const topology = (seen: Seen, name: string): string | undefined =>
    seen.state('redis_replication_topology_state', check(name, replica));
  const ok = (seen: Seen, name: string, of: Labels): number | undefined =>
    seen.value('redis_replication_config_ok', check(name, of));
  const next = (seen: Seen): string | undefined => seen.state('redis_replica_next_sync_state', replica);
  const logged = (seen: Seen, name: string, of: Labels): number =>
    seen.value('redis_log_events_total', { ...of, class: name }) ?? Number.NaN;
  const syncs = (seen: Seen, kind: string): number =>
    seen.value('redis_replication_syncs_total', { ...primary, kind }) ?? Number.NaN;

  try {
    await look();
    await write(200, 100);
    const well = await when(
      'the write rate, and the first acknowledgement',
      (s) =>
        (s.value('redis_replication_write_bytes_per_second', primary) ?? 0) > 1_000 &&
        s.value('redis_replica_behind_bytes', primary) !== undefined,
    );
    await test('a pair that is well', () => {
      for (const name of ['role', 'primary', 'replication_id', 'dataset', 'chain'])
        assert.equal(topology(well, name), 'ok', name);
      assert.equal(next(well), 'linked');
      const rate = well.value('redis_replication_write_bytes_per_second', primary) ?? Number.NaN;
      const seconds = well.value('redis_replication_backlog_seconds', primary) ?? Number.NaN;
      assert.ok(Math.abs(seconds * rate - 16 * 1024 * 1024) < 1_000, 'both of the same look');
      const headroom = well.value('redis_replica_backlog_headroom_seconds', primary) ?? Number.NaN;
      assert.ok(headroom > 0 && headroom <= seconds);
      assert.equal(ok(well, 'backlog_size', primary), 1);
      assert.equal(ok(well, 'empty_restart', primary), 0);
      assert.equal(ok(well, 'replica_read_only', replica), 1);
      assert.equal(well.state('redis_replication_config_state', check('replica_read_only', primary)), 'not_applicable');
      for (const name of ['replica_output_buffer', 'tcp_keepalive', 'repl_timeout']) {
        assert.equal(ok(well, name, primary), 1, name);
      }
      assert.equal(well.state('redis_dataset_state', primary), 'steady');
      assert.equal(well.state('redis_log_read_state', primary), 'reading_from_end');
      assert.equal(well.state('redis_command_state', { ...primary, command: 'config|get' }), 'accepted');
    });

    await test('a link that was cut, and goes on where it was', async () => {
      await set('redis', 'min-replicas-to-write', '1');
      const before = await look();
      assert.equal(ok(before, 'min_replicas', primary), 1);
      await lab.link.cut();
      const down = await when('the link to be down', (s) => next(s) === 'partial');
      assert.equal(topology(down, 'replication_id'), 'ok');
      assert.equal(topology(down, 'primary'), 'ok');
      await when('writes to be refused', (s) => ok(s, 'min_replicas', primary) === 0);
      await set('redis', 'min-replicas-to-write', '0');
      await when('an attempt to be refused', (s) => logged(s, 'connection_refused', replica) > 0);
      await lab.link.restore();
      const up = await when(
        'the link',
        (s) => linked(s) && logged(s, 'partial_resync', replica) > 0 && logged(s, 'connection_lost', primary) > 0,
      );
      assert.equal(syncs(up, 'partial') - syncs(before, 'partial'), 1);
      assert.equal(syncs(up, 'full') - syncs(before, 'full'), 0);
      assert.ok(logged(up, 'connection_lost', replica) >= 1);
      assert.equal(logged(up, 'full_resync', replica), 0);
    });

    await test('a backlog that was outrun: a full copy, foreseen and counted', async () => {
      await set('redis', 'repl-backlog-size', '65536');
      const before = await look();
      assert.equal(ok(before, 'backlog_size', primary), 0);
      await lab.link.cut();
      await when('the link to be down', (s) => next(s) === 'partial');
      await write(200, 1_000);
      await when('a full copy to be foreseen', (s) => next(s) === 'full');
      await lab.link.restore();
      const copies = (s: Seen): number => logged(s, 'full_resync', replica) - logged(before, 'full_resync', replica);
      const up = await when(
        'the copy',
        (s) => linked(s) && logged(s, 'backlog_too_small', primary) > 0 && copies(s) > 0,
      );
      assert.equal(copies(up), 1);
      assert.equal(syncs(up, 'full') - syncs(before, 'full'), 1);
      assert.equal(syncs(up, 'partial_refused') - syncs(before, 'partial_refused'), 1);
      await set('redis', 'repl-backlog-size', '16777216');
    });

    await test('a replica that takes writes, and one that is a primary', async () => {
      await set('redisReplica', 'replica-read-only', 'no');
      assert.equal(ok(await look(), 'replica_read_only', replica), 0);
      await set('redisReplica', 'replica-read-only', 'yes');
      await lab.redis('redisReplica', (r) => r.replicaof('NO', 'ONE'));
      const alone = await when('the role', (s) => topology(s, 'role') === 'wrong');
      assert.equal(next(alone), 'none');
      assert.equal(topology(alone, 'replication_id'), 'none');
      await lab.redis('redisReplica', (r) => r.replicaof(lab.address, ports.redisReplicaToRedis));
      await when(
        'the link',
        (s) => linked(s) && topology(s, 'role') === 'ok' && topology(s, 'replication_id') === 'ok',
      );
    });

    await test('a primary that comes back empty: another history, and the loss is told on both', async () => {
      await write(1_200, 10);
      const before = await when('the data set', (s) => s.value('redis_dataset_kept_ratio', replica) === 1);
      assert.equal(before.state('redis_dataset_state', primary), 'steady');
      await lab.link.cut();
      await lab.part('redis').kill();
      await when('the primary to be gone', (s) => topology(s, 'primary') === 'unknown');
      await lab.part('redis').start();
      const empty = await when('the loss', (s) => s.state('redis_dataset_state', primary) === 'shrank');
      assert.equal(empty.value('redis_dataset_shrinks_total', { ...primary, cause: 'restart' }), 1);
      assert.equal(empty.state('redis_dataset_state', replica), 'steady', 'the replica still has it');
      assert.equal(next(empty), 'full');
      assert.equal(topology(empty, 'replication_id'), 'wrong');
      assert.equal(topology(empty, 'dataset'), 'wrong');
      await lab.link.restore();
      const wiped = await when(
        'the replica to be emptied',
        (s) => s.state('redis_dataset_state', replica) === 'shrank',
      );
      assert.equal(wiped.value('redis_dataset_shrank', replica), 1);
      assert.equal(wiped.value('redis_dataset_shrinks_total', { ...replica, cause: 'copy' }), 1);
      await when('one history', (s) => linked(s) && topology(s, 'replication_id') === 'ok');
    });

    await test('a user with INFO only: what is refused is asked once, and the doctor has the words that grant it', async () => {
      await lab.redis('redis', (r) =>
        r.call('ACL', 'SETUSER', 'watcher', 'on', `>${lab.secret('watcher')}`, 'resetkeys', '-@all', '+info', '+ping'),
      );
      const auth = { user: 'watcher', password_file: lab.secretFile('watcher') };
      const address = { host: lab.address, port: ports.redis };
      await using target = new WatchedTarget(redis, { address, auth });
      for (let i = 0; i < 3; i++) {
        const measured = await target.measure();
        assert.equal(measured.failure, undefined);
        assert.equal(measured.state('redis_replication_config_state', { check: 'repl_timeout' }), 'denied');
        assert.equal(measured.value('redis_replication_config_ok', { check: 'backlog_size' }), 1);
        // remembered over connections, too
        await lab.redis('redis', (r) => r.call('CLIENT', 'KILL', 'USER', 'watcher'));
        await waitFor(() => target.client?.usable() === false, {
          what: 'the end of the connection',
        });
      }
      assert.equal((await target.measure()).state('redis_command_state', { command: 'config|get' }), 'denied');
      const refused = await lab.redis('redis', (r) => r.call('ACL', 'LOG'));
      const text = JSON.stringify(refused);
      assert.match(text, /"count",1,"reason","command","context","toplevel","object","config\|get"/);
      const call = { signal: AbortSignal.timeout(20_000), clock: systemClock };
      const resolve = (): never => {
        throw new Error('none');
      };
      await using client = await openRedis({ target: 'x', address, auth, tls: undefined, resolve }, call);
      const findings = await examineRedis(client, call);
      const fixes = findings.map((f) => f.fix);
      assert.ok(fixes.includes('ACL SETUSER watcher +config|get'), JSON.stringify(findings));
      assert.equal(findings.find((f) => f.check === 'redis_version')?.ok, true);
    });
    assert.deepEqual(faults, []);
    assert.doesNotMatch(readFileSync(lab.part('redis').logFile, 'utf8'), /crash|assert/i);
  } finally {
    await rounds.close();
  }
}
