// Maxwell's Daemon, reading the source and writing to Kafka through links that can be broken.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ports } from './address.ts';
import { cacheFolder, fileIn, folderIn, fromCache, program, type LabContext } from './context.ts';
import { topic } from './kafka.ts';
import { sql } from './mariadb.ts';
import type { ProcessSpec } from './processes.ts';

export const clientId = 'maxwell';
const heapMaxMegabytes = 256;

/** Such as `maxwell-1.44.1`; setup.sh has chosen it. */
export function maxwellRelease(): string {
  const file = join(cacheFolder(), 'maxwell');
  if (!existsSync(file)) throw new Error(`Maxwell is not in ${cacheFolder()}: run deploy/lab/setup.sh first`);
  return readFileSync(file, 'utf8').trim();
}

export function maxwellPidFile(lab: Pick<LabContext, 'dir'>): string {
  return join(lab.dir, 'maxwell', 'maxwell.pid');
}

export function maxwellSpec(lab: LabContext): ProcessSpec & { readonly cwd: string } {
  const release = maxwellRelease();
  const home = fromCache(release);
  const cwd = folderIn(lab, 'maxwell');
  // Options of the Kafka client work only from a file, and a password has no place on a command line
  const config = fileIn(
    lab,
    'maxwell/config.properties',
    [
      `password=${lab.secret('maxwell')}`,
      `kafka.bootstrap.servers=${lab.address}:${ports.maxwellToKafka}`,
      'kafka.acks=all',
      // With the default a loss in Kafka is silent: the position moves past the lost rows (seen on 1.44.1)
      'ignore_producer_error=false',
      'producer_partition_by=primary_key',
      '',
    ].join('\n'),
  );
  const options: Record<string, string | number> = {
    config,
    host: lab.address,
    port: ports.maxwellToSource,
    user: 'maxwell',
    schema_database: 'maxwell',
    client_id: clientId,
    replica_server_id: 7001,
    producer: 'kafka',
    kafka_topic: topic,
    http_port: ports.maxwellHttp,
    http_bind_address: lab.address,
    metrics_type: 'http',
    metrics_jvm: 'true',
  };
  return {
    name: 'maxwell',
    cwd,
    argv: [
      // its pid for whoever looks into its heap: several labs have a JVM with the same main class
      '/bin/sh',
      '-c',
      'echo $$ >"$0" && exec "$@"',
      maxwellPidFile(lab),
      program('java'),
      `-Xmx${heapMaxMegabytes}m`,
      '-XX:TieredStopAtLevel=1',
      '-cp',
      // shim: only 1.22.6 has one, and it must come first
      `${join(home, 'shim')}:${join(home, 'lib', '*')}`,
      'com.zendesk.maxwell.Maxwell',
      ...Object.entries(options).map(([key, value]) => `--${key}=${value}`),
    ],
    ready: maxwellReads(lab),
    stopDeadlineMs: 15_000,
  };
}

/**
 * Its HTTP answers 200 in every state in which it answers, and it rewrites its heartbeat at each start: only a heartbeat
 * that it has written since this start *and read back from the binlog* shows that it works.
 */
function maxwellReads(lab: LabContext): ProcessSpec['ready'] {
  return async (signal, { atMs }) => {
    const [row] = await sql(
      lab,
      'source',
      `SELECT last_heartbeat_read AS readMs FROM maxwell.positions WHERE client_id = '${clientId}'`,
      signal,
    );
    return Number(row?.['readMs'] ?? 0) >= atMs;
  };
}
