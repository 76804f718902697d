// A stand-in for a user's sink: applies Maxwell's changes to the Redis primary. At least once: offsets are committed only
// after the change is in Redis, and every change sets whole values, so that a second delivery does no harm.
import { Redis } from 'ioredis';
import { Kafka, logLevel } from 'kafkajs';
import { configFile, endSignal, messageOf, say } from './child.ts';

export interface SinkConfig {
  readonly broker: string;
  readonly topic: string;
  readonly group: string;
  readonly redisHost: string;
  readonly redisPort: number;
  readonly database: string;
}

/** The part of https://maxwells-daemon.io/dataformat/ that is read here. */
interface Change {
  readonly database: string;
  readonly table: string;
  readonly type: string;
  /** Seconds since the epoch. */
  readonly ts: number;
  readonly data: Readonly<Record<string, unknown>>;
}

const config = configFile() as SinkConfig;
const ending = endSignal();
const redis = new Redis({
  host: config.redisHost,
  port: config.redisPort,
  maxRetriesPerRequest: 1,
  connectTimeout: 2_000,
  commandTimeout: 5_000,
  retryStrategy: () => 500,
});
redis.on('error', (error) => {
  say('redis is not reached', { error: messageOf(error) });
});

const kafka = new Kafka({
  clientId: 'orders-sink',
  brokers: [config.broker],
  logLevel: logLevel.ERROR,
  logCreator:
    () =>
    ({ log }) => {
      say(log.message, { error: log['error'] });
    },
  connectionTimeout: 2_000,
  retry: { initialRetryTime: 300, maxRetryTime: 2_000, retries: 5, restartOnFailure: () => Promise.resolve(true) },
});
const consumer = kafka.consumer({
  groupId: config.group,
  sessionTimeout: 10_000,
  heartbeatInterval: 1_000,
  maxWaitTimeInMs: 200,
});
consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
  say('joined', { member: payload.memberId, assigned: payload.memberAssignment });
});
await consumer.connect();
await consumer.subscribe({ topic: config.topic, fromBeginning: true });
await consumer.run({
  autoCommitInterval: 500,
  eachBatch: async (given) => {
    const { messages: all } = given.batch;
    for (let from = 0; from < all.length; from += 200) {
      if (!given.isRunning() || given.isStale()) return;
      const messages = all.slice(from, from + 200);
      await apply(messages.map((m) => m.value?.toString('utf8') ?? ''));
      given.resolveOffset(messages.at(-1)?.offset ?? '');
      await given.commitOffsetsIfNecessary();
      await given.heartbeat();
    }
  },
});

ending.addEventListener('abort', () => {
  void (async () => {
    await consumer.disconnect();
    redis.disconnect();
  })();
});

async function apply(texts: readonly string[]): Promise<void> {
  const pipeline = redis.pipeline();
  for (const text of texts) {
    const change = text === '' ? undefined : (JSON.parse(text) as Change);
    if (change?.database !== config.database) continue;
    const { table, type, data, ts } = change;
    const key = `${table}:${String(data['id'])}`;
    if (type === 'delete') pipeline.del(key);
    else if (type === 'insert' || type === 'update') pipeline.hset(key, fieldsOf(data));
    else continue; // DDL and bootstrap marks
    pipeline.incr('sink:rows');
    pipeline.set('sink:last_ts', ts);
  }
  for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
}

function fieldsOf(data: Change['data']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}
