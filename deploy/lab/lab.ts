// A real pipeline on a loopback address of its own, in a temporary folder: for the demo and the tests.
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { claimAddress, ports } from './address.ts';
import { pipemedicConfig, policies, yaml } from './config.ts';
import { fileIn, secretsIn, type LabContext } from './context.ts';
import { corruptBackup, purgeBinlogs, smallDisk, type BackupFault, type SmallDisk } from './faults.ts';
import { sql, type Database } from './mariadb.ts';
import { maxwellRelease } from './maxwell.ts';
import { startPager, type Page } from './pager.ts';
import { partNames, withNeeds, type PartName } from './parts.ts';
import { startReaper, type Part } from './processes.ts';
import { backupFiles } from './programs.ts';
import { alertmanagerPort, type MonitoringOptions } from './prometheus.ts';
import { startParts, type LabOptions, type LinkName } from './recipes.ts';
import { withRedis, type RedisName } from './redis.ts';
import { supervisorFiles } from './supervised.ts';
import type { Link, TcpProxy } from './tcp-proxy.ts';

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
  const { supervisor = true } = options;
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
    await startParts(context, { options, wanted, monitoring, files }, { parts, links });
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

export { waitFor } from './ready.ts';
export type { LabOptions, LinkName } from './recipes.ts';
export type { Part } from './processes.ts';
export type { Link } from './tcp-proxy.ts';
export { pipelineParts, type PartName } from './parts.ts';
