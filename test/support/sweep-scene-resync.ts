// A Redis replica that has lost half of its keys, to be copied anew.
import assert from 'node:assert/strict';
import { ports } from '../../deploy/lab/address.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import type { RedisName } from '../../deploy/lab/redis.ts';
import { openGate } from './call-gate.ts';
import { startReplicaPair } from './sweep-redis.ts';
import { intentsOf, type Scene } from './sweep-scenes.ts';

const keys = 400;

export async function resyncScene(): Promise<Scene> {
  const { lab, info, said: commands, life } = await startReplicaPair();
  const host = lab.address;
  const gatePort = 17_023;
  // MULTI, both REPLICAOF and EXEC leave in one piece; what EXEC did not end is thrown away with its connection
  const gate = await openGate({ host, port: gatePort }, { host, port: ports.redisReplica }, () => (data) => {
    return /\r\nEXEC\r\n/i.test(data.toString('latin1')) ? 'full_copy' : undefined;
  });
  /** What changes whose replica it is, or throws data away. */
  const changes = async (): Promise<readonly string[]> =>
    (await commands()).filter((line) => /^(replicaof|slaveof|flush|debug|failover)/i.test(line));
  const size = (name: RedisName): Promise<number> => lab.redis(name, (r) => r.dbsize());
  await lab.redis('redis', (r) =>
    r.mset(Object.fromEntries(Array.from({ length: keys }, (_, i) => [`key-${i}`, '1']))),
  );
  let before = { full: 0 };
  return {
    gate,
    steps: { full_copy: 'full_copy' },
    prepare: async () => {
      await waitFor(
        async () =>
          (await info('redisReplica', 'master_link_status')) === 'up' &&
          (await info('redis', 'master_replid')) === (await info('redisReplica', 'master_replid')) &&
          (await size('redisReplica')) === keys,
        { what: 'the replica to be in step' },
      );
      await lab.redis('redisReplica', async (r) => {
        await r.call('CONFIG', 'SET', 'replica-read-only', 'no');
        await r.del(...Array.from({ length: keys / 2 }, (_, i) => `key-${i}`));
        await r.call('CONFIG', 'SET', 'replica-read-only', 'yes');
      });
      await changes();
      before = { full: Number(await info('redis', 'sync_full')) };
    },
    life: (way) =>
      life(way, gatePort, {
        action: 'redis.replica.full-resync',
        params: { lastReplica: true, primaryUpSeconds: 0, copySeconds: 60 },
      }),
    judge: async ({ journal, said }) => {
      const told = await changes();
      const heard = `${said}; the replica was told ${told.join(', ')}`;
      // `session`: whatever became of the calls, one transaction was heard
      assert.deepEqual(told, ['REPLICAOF NO ONE', `REPLICAOF ${host} ${String(ports.redisReplicaToRedis)}`], heard);
      assert.ok(intentsOf(journal, 'full_copy') >= 1 && intentsOf(journal, 'point_back') === 0, heard);
      assert.equal(Number(await info('redis', 'sync_full')), before.full + 1, heard);
      assert.equal(await info('redisReplica', 'role'), 'slave', heard);
      assert.deepEqual([await size('redis'), await size('redisReplica')], [keys, keys], heard);
    },
    [Symbol.asyncDispose]: async () => {
      await gate[Symbol.asyncDispose]();
      await lab.stop();
    },
  };
}
