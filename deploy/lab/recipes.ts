// How each part is brought up, and what it waits for. Parts that do not need each other start at the same time.
import { join } from 'node:path';
import { ports } from './address.ts';
import { repo, type LabContext } from './context.ts';
import { kafkaPart } from './kafka.ts';
import { createSchema, databasePart, installDatabase, startReplication } from './mariadb.ts';
import { maxwellSpec } from './maxwell.ts';
import { partNames, type PartName } from './parts.ts';
import { ProcessPart, type Part } from './processes.ts';
import { backupPart, sinkPart, writerPart } from './programs.ts';
import { alertmanagerPart, prometheusPart, type MonitoringOptions } from './prometheus.ts';
import { httpOk } from './ready.ts';
import { redisPart } from './redis.ts';
import { SupervisedPart, supervisorPart } from './supervised.ts';
import { TcpProxy } from './tcp-proxy.ts';

export interface LabOptions extends Partial<MonitoringOptions> {
  /** What they need is started too. Everything when left out. */
  readonly parts?: readonly PartName[];
  /** False: Maxwell is a child of the lab and not of the process supervisor. */
  readonly supervisor?: boolean;
  readonly rowsPerSecond?: number;
  readonly backupEverySeconds?: number;
  /** Changes pipemedic.yml before it is written. */
  readonly configure?: (document: Record<string, unknown>) => unknown;
  /** The content of policies.yml as an object. */
  readonly policies?: unknown;
  /** Told when a part is ready. */
  readonly onReady?: (name: string, tookMs: number) => void;
}

export type LinkName = 'replica->source' | 'maxwell->source' | 'maxwell->kafka' | 'redisReplica->redis';

/** Filled while the lab starts. */
export interface Started {
  readonly parts: Map<string, Part>;
  readonly links: Map<LinkName, TcpProxy>;
}

export interface Plan {
  readonly options: LabOptions;
  readonly wanted: readonly PartName[];
  readonly monitoring: MonitoringOptions;
  /** Configuration that exporter and remediator read. */
  readonly files: { readonly pipemedic: string; readonly policies: string };
}

export async function startParts(lab: LabContext, plan: Plan, { parts, links }: Started): Promise<void> {
  const { options, wanted, monitoring, files } = plan;
  const { onReady = () => undefined } = options;
  const begun = performance.now();
  const tasks = new Map<PartName, Promise<void>>();
  const failed = new AbortController();
  /** Resolves when that part is up; starts it when nobody has asked for it yet. A part that is not wanted is no obstacle. */
  const up = (name: PartName): Promise<void> => {
    if (!wanted.includes(name)) return Promise.resolve();
    let task = tasks.get(name);
    if (task === undefined) {
      // The first await is inside: a recipe must not run before its task is known
      task = Promise.resolve()
        .then(() => recipes[name]())
        .then(() => {
          failed.signal.throwIfAborted();
          onReady(name, Math.round(performance.now() - begun));
        });
      tasks.set(name, task);
    }
    return task;
  };
  const add = <P extends Part>(part: P): P => {
    parts.set(part.name, part);
    return part;
  };
  const link = async (name: LinkName, port: number, to: number): Promise<void> => {
    const proxy = new TcpProxy({ name, host: lab.address, port, to: { host: lab.address, port: to } });
    links.set(name, proxy);
    await proxy.open();
  };
  const node = (name: 'exporter' | 'remediator', ...flags: string[]): ProcessPart => {
    const listen = `${lab.address}:${ports[name]}`;
    const program = join(repo, name, 'main.ts');
    return new ProcessPart(lab, {
      name,
      argv: [
        process.execPath,
        program,
        'serve',
        `--config.file=${files.pipemedic}`,
        ...flags,
        `--web.listen-address=${listen}`,
      ],
      ready: (signal) => httpOk(`http://${listen}/-/ready`, signal),
    });
  };
  let maxwell: ReturnType<typeof maxwellSpec> | undefined;
  const spec = (): ReturnType<typeof maxwellSpec> => (maxwell ??= maxwellSpec(lab));

  const recipes: Readonly<Record<PartName, () => Promise<void>>> = {
    source: async () => {
      const part = add(databasePart(lab, 'source'));
      await installDatabase(lab, 'source');
      await part.start();
      await createSchema(lab);
    },
    replica: async () => {
      const part = add(databasePart(lab, 'replica'));
      await installDatabase(lab, 'replica');
      await part.start();
      await up('source');
      await link('replica->source', ports.replicaToSource, ports.source);
      await startReplication(lab);
    },
    kafka: async () => {
      const { part, format, createTopic } = kafkaPart(lab);
      add(part);
      await format();
      await part.start();
      await createTopic();
    },
    supervisor: async () => {
      await add(supervisorPart(lab, spec())).start();
    },
    maxwell: async () => {
      await Promise.all([up('source'), up('kafka'), up('supervisor')]);
      await link('maxwell->source', ports.maxwellToSource, ports.source);
      await link('maxwell->kafka', ports.maxwellToKafka, ports.kafkaBehindLink);
      const parent = parts.get('supervisor');
      await add(parent === undefined ? new ProcessPart(lab, spec()) : new SupervisedPart(lab, spec(), parent)).start();
    },
    redis: async () => {
      await add(redisPart(lab, 'redis')).start();
    },
    redisReplica: async () => {
      await up('redis');
      await link('redisReplica->redis', ports.redisReplicaToRedis, ports.redis);
      await add(redisPart(lab, 'redisReplica')).start();
    },
    sink: async () => {
      await Promise.all([up('kafka'), up('redis')]);
      await add(sinkPart(lab)).start();
    },
    backup: async () => {
      await up('source');
      await add(backupPart(lab, options.backupEverySeconds ?? 10)).start();
    },
    writer: async () => {
      await up('source');
      await add(writerPart(lab, options.rowsPerSecond ?? 20)).start();
    },
    // Last, when there is something healthy to watch: the start of a lab is no incident
    prometheus: async () => {
      await Promise.all(partNames.filter((name) => name !== 'prometheus').map(up));
      await add(prometheusPart(lab, monitoring)).start();
    },
    alertmanager: async () => {
      const peers = Array.from({ length: monitoring.alertmanagers }, (_, i) =>
        add(alertmanagerPart(lab, i, monitoring)),
      );
      await Promise.all(peers.map((peer) => peer.start()));
    },
    exporter: async () => {
      // Faster like everything that waits in a lab
      await add(node('exporter', `--backoff=${30 / monitoring.timeFactor}`)).start();
    },
    remediator: async () => {
      await add(node('remediator', `--policies.file=${files.policies}`)).start();
    },
  };
  try {
    await Promise.all(wanted.map(up));
  } catch (error) {
    failed.abort(error);
    throw error;
  } finally {
    // whoever waited for the one that failed fails too; that was said already
    for (const task of tasks.values()) task.catch(() => undefined);
  }
}
