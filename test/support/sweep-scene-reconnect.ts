// A Redis replica whose link counts as up and is silent.
import assert from 'node:assert/strict';
import { ports } from '../../deploy/lab/address.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import { openGate } from './call-gate.ts';
import { HalfOpenLink } from './half-open-link.ts';
import { startReplicaPair } from './sweep-redis.ts';
import { intentsOf, type Scene } from './sweep-scenes.ts';

export async function redisScene(): Promise<Scene> {
  const { lab, info, said: told, life } = await startReplicaPair();
  await lab.link.cut();
  const host = lab.address;
  const link = new HalfOpenLink({ host, port: ports.redisReplicaToRedis }, { host, port: ports.redis });
  await link.open();
  const gatePort = 17_021;
  const gate = await openGate({ host, port: gatePort }, { host, port: ports.redisReplica }, () => (data) => {
    return data.toString('latin1').includes('\r\nLADDR\r\n') ? 'end_link' : undefined;
  });
  const copies = async () => ({
    full: Number(await info('redis', 'sync_full')),
    partial: Number(await info('redis', 'sync_partial_ok')),
  });
  /** What ends connections. */
  const kills = async (): Promise<readonly string[]> => (await told()).filter((line) => /^client kill/i.test(line));
  let before = { copies: await copies(), address: '' };
  let n = 0;
  return {
    gate,
    steps: { end_link: 'end_link' },
    prepare: async () => {
      await waitFor(
        async () => {
          const offsets = [await info('redis', 'master_repl_offset'), await info('redisReplica', 'slave_repl_offset')];
          return (
            (await info('redisReplica', 'master_link_status')) === 'up' &&
            (await info('redis', 'master_replid')) === (await info('redisReplica', 'master_replid')) &&
            Number(offsets[1]) >= Number(offsets[0])
          );
        },
        { what: 'the replica to be in step' },
      );
      const list = String(await lab.redis('redisReplica', (r) => r.call('CLIENT', 'LIST', 'TYPE', 'master')));
      before = { copies: await copies(), address: /laddr=(\S+)/.exec(list)?.[1] ?? '' };
      await kills();
      link.freeze();
      n += 1;
      await lab.redis('redis', (r) => r.set('written-while-silent', String(n)));
    },
    life: (way) =>
      life(way, gatePort, { action: 'redis.replica.reconnect', params: { silentSeconds: 5, verifySeconds: 60 } }),
    judge: async ({ journal, said }) => {
      const commands = await kills();
      const heard = `${said}; the replica was told ${commands.join(', ')}`;
      assert.ok(commands.length >= 1 && commands.length <= intentsOf(journal, 'end_link'), heard);
      for (const command of commands) assert.equal(command, `CLIENT KILL LADDR ${before.address} TYPE master`);
      // the effect: one new connection, without a full copy
      const { full, partial } = before.copies;
      assert.deepEqual(await copies(), { full, partial: partial + 1 }, heard);
      assert.equal(await lab.redis('redisReplica', (r) => r.get('written-while-silent')), String(n));
    },
    [Symbol.asyncDispose]: async () => {
      await gate[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
      await lab.stop();
    },
  };
}
