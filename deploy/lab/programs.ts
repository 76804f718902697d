// The lab's own programs as parts: sink, writer, scheduled backup.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ports } from './address.ts';
import { fileIn, folderIn, program, type LabContext } from './context.ts';
import { topic } from './kafka.ts';
import { ProcessPart } from './processes.ts';
import type { BackupConfig } from './programs/backup.ts';
import type { SinkConfig } from './programs/sink.ts';
import type { WriterConfig } from './programs/writer.ts';

export const consumerGroup = 'orders-sink';

function argv(lab: LabContext, name: string, config: object): [string, ...string[]] {
  const file = fileIn(lab, `${name}.json`, JSON.stringify(config, undefined, 2));
  return [
    process.execPath,
    '--disable-warning=TimeoutNegativeWarning',
    join(import.meta.dirname, 'programs', `${name}.ts`),
    file,
  ];
}

export function sinkPart(lab: LabContext): ProcessPart {
  const config: SinkConfig = {
    broker: `${lab.address}:${ports.kafka}`,
    topic,
    group: consumerGroup,
    redisHost: lab.address,
    redisPort: ports.redis,
    database: 'shop',
  };
  return new ProcessPart(lab, {
    name: 'sink',
    argv: argv(lab, 'sink', config),
    ready: (_signal, { log }) => log().includes('"message":"joined"'),
  });
}

export function writerPart(lab: LabContext, rowsPerSecond: number): ProcessPart {
  const config: WriterConfig = {
    host: lab.address,
    port: ports.source,
    user: 'writer',
    passwordFile: lab.secretFile('writer'),
    rowsPerSecond,
    maxRows: 5_000,
  };
  return new ProcessPart(lab, {
    name: 'writer',
    argv: argv(lab, 'writer', config),
    ready: (_signal, { log }) => log().includes('"message":"writing"'),
  });
}

export function backupFolder(lab: Pick<LabContext, 'dir'>): string {
  return join(lab.dir, 'backups');
}

/** The finished backups, oldest first. */
export function backupFiles(lab: Pick<LabContext, 'dir'>): string[] {
  const folder = backupFolder(lab);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.sql.gz'))
    .sort()
    .map((name) => join(folder, name));
}

export function backupPart(lab: LabContext, everySeconds: number): ProcessPart {
  const client = { host: lab.address, port: ports.source, user: 'backup', password: lab.secret('backup') };
  const lines = Object.entries(client).map(([key, value]) => `${key}=${value}`);
  const config: BackupConfig = {
    program: program('mariadb-dump'),
    defaultsExtraFile: fileIn(lab, 'backup.cnf', `[client]\n${lines.join('\n')}\n`),
    database: 'shop',
    folder: folderIn(lab, 'backups'),
    everyMs: everySeconds * 1000,
    keep: 5,
  };
  return new ProcessPart(lab, {
    name: 'backup',
    argv: argv(lab, 'backup', config),
    ready: (_signal, { log }) => {
      if (log().includes('"message":"the backup failed"')) throw new Error('the first backup failed');
      return log().includes('"message":"backed up"');
    },
  });
}
