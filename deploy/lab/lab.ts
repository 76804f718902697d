// A real pipeline on a loopback address of its own, in a temporary folder: for the demo and the tests.
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { claimAddress, ports } from './address.ts';
import { pipemedicConfig, policies, yaml } from './config.ts';
import { fileIn, repo, secretsIn, type LabContext } from './context.ts';
import { corruptBackup, purgeBinlogs, smallDisk, type BackupFault, type SmallDisk } from './faults.ts';
import { kafkaPart } from './kafka.ts';
import { createSchema, databasePart, installDatabase, sql, startReplication, type Database } from './mariadb.ts';
import { maxwellRelease, maxwellSpec } from './maxwell.ts';
import { startPager, type Page } from './pager.ts';
import { partNames, withNeeds, type PartName } from './parts.ts';
import { ProcessPart, startReaper, type Part } from './processes.ts';
import { backupFiles, backupPart, sinkPart, writerPart } from './programs.ts';
import {
  alertmanagerName,
  alertmanagerPart,
  alertmanagerPort,
  prometheusPart,
  type MonitoringOptions,
} from './prometheus.ts';
import { httpOk } from './ready.ts';
import { redisPart, withRedis, type RedisName } from './redis.ts';
import { SupervisedPart, supervisorFiles, supervisorPart } from './supervised.ts';
import { TcpProxy, type Link } from './tcp-proxy.ts';

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

export type LinkName = 'replica->source' | 'maxwell->source' | 'redisReplica->redis';

export interface Lab extends AsyncDisposable {
  readonly address: string;
  readonly dir: string;
  readonly parts: readonly string[];
  /** Of all servers with HTTP, whether started or not. */
  readonly urls: Readonly<Record<'exporter' | 'remediator' | 'prometheus' | 'maxwell', string>> & {
    readonly alertmanagers: readonly string[];
  };
  readonly files: {
    readonly pipemedic: string;
    readonly policies: string;
    /** The process supervisor's record of Maxwell's starts and ends. */
    readonly witness: string;
    readonly supervisorSocket: string;
  };
  /** Every duration of rules, scrapes and notifications is the shipped one divided by this. */
  readonly timeFactor: number;
  /** Such as `maxwell-1.44.1`. */
  readonly maxwellRelease: string | undefined;
  /** What Alertmanager has sent to people. */
  readonly pages: readonly Page[];
  /** `alertmanager2`… are the further peers. */
  part(name: PartName | `alertmanager${number}`): Part;
  link(name: LinkName): Link;
  sql(name: Database, statement: string, signal?: AbortSignal): ReturnType<typeof sql>;
  redis<T>(name: RedisName, use: (redis: Redis) => Promise<T>): Promise<T>;
  readonly secret: (name: string) => string;
  readonly secretFile: (name: string) => string;
  /** The finished backups, oldest first. */
  backups(): readonly string[];
  purgeBinlogs(): Promise<string>;
  corruptBackup(fault: BackupFault): string;
  smallDisk(bytes: number): SmallDisk;
  /** Ends everything that was started and removes the folder. */
  stop(): Promise<void>;
}

export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const { supervisor = true, onReady = () => undefined } = options;
  const wanted = withNeeds(options.parts ?? partNames, supervisor);
  const monitoring: MonitoringOptions = {
    ...options,
    timeFactor: options.timeFactor ?? 10,
    alertmanagers: wanted.includes('alertmanager') ? (options.alertmanagers ?? 1) : 0,
    gossip: options.gossip ?? true,
  };
  const claim = await claimAddress();
  const { address } = claim;
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-lab-'));
  const reaper = startReaper(dir);
  const parts = new Map<string, Part>();
  const links = new Map<LinkName, TcpProxy>();
  const pager = await startPager(address);
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= reaper.end().finally(() => {
      for (const link of links.values()) link.close();
      pager.close();
      claim.release();
    });
    return stopping;
  };
  try {
    mkdirSync(join(dir, 'logs'), { mode: 0o700 });
    const context: LabContext = { dir, address, reaper, ...secretsIn(dir) };
    const files = writeConfig(context, options, wanted, monitoring);
    await startParts(context, options, wanted, monitoring, files, parts, links, onReady);
    return {
      address,
      dir,
      files: { ...files, witness: supervisorFiles(context).witness, supervisorSocket: supervisorFiles(context).socket },
      parts: [...parts.keys()],
      urls: {
        exporter: `http://${address}:${ports.exporter}`,
        remediator: `http://${address}:${ports.remediator}`,
        prometheus: `http://${address}:${ports.prometheus}`,
        maxwell: `http://${address}:${ports.maxwellHttp}`,
        alertmanagers: Array.from(
          { length: monitoring.alertmanagers },
          (_, i) => `http://${address}:${alertmanagerPort(i)}`,
        ),
      },
      timeFactor: monitoring.timeFactor,
      maxwellRelease: wanted.includes('maxwell') ? maxwellRelease() : undefined,
      pages: pager.pages,
      part: (name) => found(parts, name, 'part'),
      link: (name) => found(links, name, 'link'),
      sql: (name, statement, signal) => sql(context, name, statement, signal),
      redis: (name, use) => withRedis(context, name, use),
      secret: context.secret,
      secretFile: context.secretFile,
      backups: () => backupFiles(context),
      purgeBinlogs: () => purgeBinlogs(context),
      corruptBackup: (fault) => corruptBackup(context, fault),
      smallDisk: (bytes) => smallDisk(context, bytes),
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function found<K, V>(map: ReadonlyMap<K, V>, name: K, what: string): V {
  const value = map.get(name);
  if (value === undefined)
    throw new Error(`this lab has no ${what} ${String(name)}; it has ${[...map.keys()].join(', ')}`);
  return value;
}

type Files = Pick<Lab['files'], 'pipemedic' | 'policies'>;

function writeConfig(lab: LabContext, options: LabOptions, wanted: readonly PartName[], m: MonitoringOptions): Files {
  const document = pipemedicConfig(lab, {
    parts: new Set(wanted),
    alertmanagers: m.alertmanagers,
    backupEverySeconds: options.backupEverySeconds ?? 10,
  });
  return {
    pipemedic: fileIn(lab, 'pipemedic.yml', yaml(options.configure?.(document) ?? document)),
    policies: fileIn(lab, 'policies.yml', yaml(options.policies ?? policies)),
  };
}

async function startParts(
  lab: LabContext,
  options: LabOptions,
  wanted: readonly PartName[],
  monitoring: MonitoringOptions,
  files: Files,
  parts: Map<string, Part>,
  links: Map<LinkName, TcpProxy>,
  onReady: (name: string, tookMs: number) => void,
): Promise<void> {
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
    prometheus: async () => {
      await add(prometheusPart(lab, monitoring)).start();
    },
    alertmanager: async () => {
      const peers = Array.from({ length: monitoring.alertmanagers }, (_, i) =>
        add(alertmanagerPart(lab, i, monitoring)),
      );
      await Promise.all(peers.map((peer) => peer.start()));
    },
    exporter: async () => {
      await add(node('exporter')).start();
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

export { alertmanagerName };
export { waitFor } from './ready.ts';
export type { Part } from './processes.ts';
export type { Link } from './tcp-proxy.ts';
export { pipelineParts, type PartName } from './parts.ts';
