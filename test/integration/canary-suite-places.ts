// The places of a canary by themselves: a key with the rights of its users, and a topic that is read without a group.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Redis } from 'ioredis';
import { CompressionTypes, Kafka, logLevel } from 'kafkajs';
import { ports } from '../../deploy/lab/address.ts';
import { waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { canaryAddress } from '../../exporter/systems/canary/address.ts';
import { openCanary } from '../../exporter/systems/canary/client.ts';
import { openKafkaTail } from '../../exporter/systems/kafka/client-tail.ts';

export function placesSuite(lab: () => Lab): void {
  test('Redis: the rights that are documented are enough; what is missing is said; text, hash, and neither', async () => {
    const user = async (...rules: string[]): Promise<void> => {
      await lab().redis('redis', (redis) => redis.call('ACL', 'SETUSER', 'canary', 'reset', 'on', `>${lab().secret('canary')}`, ...rules)); // prettier-ignore
    };
    const auth = { user: 'canary', password_file: lab().secretFile('canary') };
    const { plan, openWriter, openSight } = openCanary({
      target: 'c',
      address: canaryAddress.parse({
        write: { target: 'redis1', key: 'other:canary' },
        seen_at: [{ target: 'redis1' }],
      }),
      auth,
      tls: undefined,
      resolve: (name) => ({
        name,
        kind: 'redis',
        address: { host: lab().address, port: ports.redis },
        auth,
        tls: undefined,
      }),
    });
    const [place] = plan.seenAt;
    assert.ok(place);
    const call = { clock: systemClock, signal: AbortSignal.timeout(20_000) };
    await user('~other:*', '+set', '+del');
    await using writer = await openWriter(call);
    const fix = 'ACL SETUSER canary ~other:canary +role +set +getrange +del';
    assert.partialDeepStrictEqual(await writer.write(1, call), { state: 'denied', fix });
    assert.partialDeepStrictEqual(await writer.obstacle(call), { state: 'denied', fix });
    await user('~other:*', '+role', '+set', '+getrange', '+del');
    const foreign: readonly (readonly [type: string, make: (redis: Redis) => Promise<unknown>])[] = [
      ['list', (redis) => redis.rpush('other:canary', 'x')],
      ['string', (redis) => redis.set('other:canary', 'somebody’s')],
    ];
    for (const [type, make] of foreign) {
      await lab().redis('redis', make);
      await using careful = await openWriter(call);
      for (const found of [await careful.obstacle(call), await careful.write(1_790_000_000_000_122, call)]) {
        assert.ok(typeof found === 'object');
        assert.equal(found.state, 'refused');
        assert.match(found.why, /no token: it is left alone/);
      }
      await careful.remove(call);
      assert.equal(await lab().redis('redis', async (redis) => await redis.type('other:canary')), type);
      await lab().redis('redis', async (redis) => await redis.del('other:canary'));
    }
    await using again = await openWriter(call);
    assert.equal(await again.obstacle(call), undefined);
    assert.equal(await again.write(1_790_000_000_000_122, call), 'written');
    // As after a kill: the key of the run before is its own
    await using next = await openWriter(call);
    assert.equal(await next.write(1_790_000_000_000_123, call), 'written');
    await user('%R~other:*');
    await using blind = await openSight(place, call);
    await assert.rejects(blind.look(call), /GETRANGE.*NOPERM.*\+getrange \+hget \+hlen \+hvals/);
    await user('%R~other:*', '+getrange', '+hget', '+hlen', '+hvals');
    await using sight = await openSight(place, call);
    assert.equal(await sight.look(call), '1790000000000123');
    await lab().redis('redis', async (redis) => {
      await redis.del('other:canary');
      assert.equal(await sight.look(call), undefined);
      await redis.hset('other:canary', { a: 'x', token: '1790000000000123' });
      assert.equal(await sight.look(call), 'x 1790000000000123');
      await redis.hset('other:canary', Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, 'x'])));
      await assert.rejects(sight.look(call), /302 fields: say in `field`/);
      await redis.del('other:canary');
      await redis.set('other:canary', 'y'.repeat(1_000_000));
      assert.equal((await sight.look(call))?.length, 65_536);
      await redis.del('other:canary');
      await redis.rpush('other:canary', '1790000000000123');
      await assert.rejects(sight.look(call), /WRONGTYPE/);
      await redis.del('other:canary');
    });
    assert.equal(await sight.look(call), undefined);
  });

  test('a topic is read from its end on, whole, compressed or not, over what is deleted and over a new topic', async () => {
    const broker = { host: lab().address, port: ports.kafka };
    const client = new Kafka({ brokers: [`${broker.host}:${broker.port}`], logLevel: logLevel.NOTHING });
    const [admin, producer] = [client.admin(), client.producer()];
    await Promise.all([admin.connect(), producer.connect()]);
    const create = async (): Promise<void> => {
      await admin.createTopics({ topics: [{ topic: 'tail', numPartitions: 2 }], waitForLeaders: false });
      await waitFor(
        async () => {
          const { topics } = await admin.fetchTopicMetadata({ topics: ['tail'] });
          return topics[0]?.partitions.filter(({ leader }) => leader >= 0).length === 2;
        },
        { what: 'the topic' },
      );
    };
    const send = async (values: readonly string[], compression = CompressionTypes.None): Promise<void> => {
      const messages = values.map((value, i) => ({ value, partition: i % 2 }));
      await producer.send({ topic: 'tail', messages, compression });
    };
    let passedMs = 0;
    const clock = { ...systemClock, monoMs: () => systemClock.monoMs() + passedMs };
    const call = { clock, signal: AbortSignal.timeout(60_000) };
    await create();
    await send(['before', 'before']);
    await using tail = await openKafkaTail({ brokers: [broker], tls: undefined, sasl: undefined }, 'tail', call);
    assert.equal(await tail.read(call), '');
    await send(['a', 'b', 'c']);
    await send(['d', 'e'], CompressionTypes.GZIP);
    assert.deepEqual((await tail.read(call)).split('\n').sort(), ['a', 'b', 'c', 'd', 'e']);
    assert.equal(await tail.read(call), '');
    await send(['passed over']);
    await tail.skip(call);
    assert.equal(await tail.read(call), '');
    // More than one reading takes: it comes in the next ones, and all of it
    for (let i = 0; i < 12; i += 1) await send([`${String(i)} ${'x'.repeat(500_000)}`]);
    const found: string[] = [];
    for (let reads = 0; found.length < 12 && reads < 50; reads += 1) {
      found.push(...(await tail.read(call)).split('\n').filter((value) => value !== ''));
    }
    assert.deepEqual(
      found.map((value) => value.split(' ', 1)[0]),
      Array.from({ length: 12 }, (_, i) => String(i)),
    );
    await send(['deleted', 'deleted']);
    await admin.deleteTopicRecords({
      topic: 'tail',
      partitions: [0, 1].map((partition) => ({ partition, offset: '-1' })),
    });
    await send(['after']);
    await waitFor(async () => (await tail.read(call)).includes('after'), {
      what: 'what came after',
    });
    await admin.deleteTopics({ topics: ['tail'] });
    await waitFor(async () => !(await admin.listTopics()).includes('tail'), { what: 'its end' });
    await waitFor(async () => await tail.read(call).then(() => false, () => true), { what: 'an error' }); // prettier-ignore
    await create();
    await send(['anew']);
    await waitFor(async () => (await tail.read(call)).includes('anew'), { what: 'the new topic' });
    // A partition more makes no error in the others, and the token may come in it
    await admin.createPartitions({ topicPartitions: [{ topic: 'tail', count: 3 }] });
    const later = client.producer();
    await later.connect();
    const sent = async (): Promise<boolean> =>
      await later.send({ topic: 'tail', messages: [{ value: 'added', partition: 2 }] }).then(() => true, () => false); // prettier-ignore
    await waitFor(sent, { what: 'the new partition' });
    passedMs += 31_000;
    await waitFor(async () => (await tail.read(call)).includes('added'), { what: 'what is in it' });
    await later.disconnect();
    await Promise.all([admin.disconnect(), producer.disconnect()]);
  });
}
