// One Kafka broker in KRaft mode.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Admin } from '@platformatic/kafka';
import { ports } from './address.ts';
import { fileIn, folderIn, fromCache, program, type LabContext } from './context.ts';
import { ProcessPart, runToEnd, type LabFolder } from './processes.ts';

export const topic = 'maxwell';
const partitions = 2;

// quick start rather than quick running
const jvm = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'];

const logging = `<Configuration status="WARN">
  <Appenders><Console name="out"><PatternLayout pattern="%d %-5p %c{1.} %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root>
  <Logger name="kafka.server.KafkaRaftServer" level="INFO"/></Loggers>
</Configuration>
`;

export interface Broker {
  readonly part: ProcessPart;
  /** Makes the storage; once, before the first start. */
  readonly format: () => Promise<void>;
}

export interface KafkaPart extends Broker {
  readonly createTopic: () => Promise<void>;
}

export interface BrokerOptions {
  /** Instead of, or beside, those of a plain broker. */
  readonly properties?: Readonly<Record<string, string | number>>;
  /** Users that are there from the first start: `SCRAM-SHA-512=[name=NAME,password=PASSWORD]`. */
  readonly scram?: readonly string[];
  readonly heapMb?: number;
  readonly ready?: () => Promise<boolean>;
}

/** A broker that is its own controller. */
export function brokerOf(lab: LabFolder & Pick<LabContext, 'address'>, options: BrokerOptions = {}): Broker {
  const { scram = [], heapMb = 384 } = options;
  const clusterId = randomBytes(16).toString('base64url');
  const home = folderIn(lab, 'kafka');
  const properties: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${lab.address}:${ports.kafkaController}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://${lab.address}:${ports.kafka},CONTROLLER://${lab.address}:${ports.kafkaController}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(home, 'data'),
    'num.partitions': partitions,
    'auto.create.topics.enable': 'false',
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'controlled.shutdown.max.retries': 1,
    ...options.properties,
  };
  const file = fileIn(
    lab,
    'kafka/server.properties',
    Object.entries(properties)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  );
  const log4j = `-Dlog4j2.configurationFile=${fileIn(lab, 'kafka/log4j2.xml', logging)}`;
  const classPath = ['-cp', join(fromCache('kafka_2.13-4.1.1'), 'lib', '*')];
  const java = program('java');
  const part = new ProcessPart(lab, {
    name: 'kafka',
    argv: [java, `-Xmx${heapMb}m`, ...jvm, log4j, ...classPath, 'kafka.Kafka', file],
    cwd: home,
    // Two brokers on one port: the second fails silently and the first answers, so look at the cluster id
    ready:
      options.ready ?? (async () => (await withAdmin(lab, (admin) => admin.metadata({ topics: [] }))).id === clusterId),
  });
  return {
    part,
    format: async () => {
      const users = scram.flatMap((user) => ['--add-scram', user]);
      const format = ['format', `--cluster-id=${clusterId}`, '-c', file, ...users];
      await runToEnd([java, ...jvm, log4j, ...classPath, 'kafka.tools.StorageTool', ...format], {
        deadlineMs: 30_000,
        cwd: home,
      });
    },
  };
}

export function kafkaPart(lab: LabContext): KafkaPart {
  const { address: host } = lab;
  return {
    ...brokerOf(lab, {
      properties: {
        // A second door, whose address is that of Maxwell's link: a client goes where the broker says, not where it asked
        listeners: `PLAINTEXT://${host}:${ports.kafka},LINK://${host}:${ports.kafkaBehindLink},CONTROLLER://${host}:${ports.kafkaController}`,
        'advertised.listeners': `PLAINTEXT://${host}:${ports.kafka},LINK://${host}:${ports.maxwellToKafka}`,
        'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,LINK:PLAINTEXT,CONTROLLER:PLAINTEXT',
        'inter.broker.listener.name': 'PLAINTEXT',
      },
    }),
    createTopic: async () => {
      await withAdmin(lab, (admin) => admin.createTopics({ topics: [topic], partitions, replicas: 1 }));
    },
  };
}

/** @platformatic/kafka, because kafkajs prints a warning for each connection on Node 24 (seen with 2.2.4). */
async function withAdmin<T>(lab: Pick<LabContext, 'address'>, use: (admin: Admin) => Promise<T>): Promise<T> {
  const { Admin } = await import('@platformatic/kafka');
  const admin = new Admin({
    clientId: 'lab',
    bootstrapBrokers: [`${lab.address}:${ports.kafka}`],
    retries: 0,
    connectTimeout: 1_000,
    requestTimeout: 5_000,
  });
  try {
    return await use(admin);
  } finally {
    await admin.close();
  }
}
