// Redis servers of a test of its own: a primary with a replica, a Sentinel that watches them, a cluster of one node.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { claimAddress } from '../../deploy/lab/address.ts';
import { waitFor } from '../../deploy/lab/ready.ts';

export const redisServerPorts = { primary: 16_379, replica: 16_380, sentinel: 16_390, cluster: 16_391 } as const;
export type RedisServerName = keyof typeof redisServerPorts;

export interface RedisServers {
  readonly address: string;
  /** host:port */
  readonly at: (name: RedisServerName) => string;
  readonly call: (name: RedisServerName, command: string, ...args: readonly (string | number)[]) => Promise<unknown>;
  /** A file among theirs, of mode 0600. */
  readonly file: (name: string, text: string) => string;
  readonly stop: () => Promise<void>;
}

/** @param program redis-server or valkey-server, by name or path */
export async function startRedisServers(program = 'redis-server'): Promise<RedisServers> {
  const claim = await claimAddress();
  const { address } = claim;
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-redis-'));
  const children: ChildProcess[] = [];
  const clients = new Map<RedisServerName, Redis>();
  const killAll = (): void => {
    for (const child of children) child.kill('SIGKILL');
  };
  process.once('exit', killAll); // a test that breaks off leaves nothing behind

  const begin = (name: RedisServerName, lines: readonly string[], ...args: readonly string[]): void => {
    const folder = join(dir, name);
    mkdirSync(folder);
    const file = join(folder, 'server.conf'); // a Sentinel writes to it
    const all = [
      `bind ${address}`,
      `port ${String(redisServerPorts[name])}`,
      'protected-mode no',
      `dir ${folder}`,
      ...lines,
    ];
    writeFileSync(file, `${all.join('\n')}\n`);
    const child = spawn(program, [file, ...args, '--logfile', join(folder, 'log')], { stdio: 'ignore' });
    child.on('error', () => undefined); // an error of spawn is seen below: nothing answers
    children.push(child);
    const redis = new Redis({ host: address, port: redisServerPorts[name], maxRetriesPerRequest: 0, enableReadyCheck: false, retryStrategy: () => 50 }); // prettier-ignore
    redis.on('error', () => undefined); // the command that fails says so
    clients.set(name, redis);
  };
  const call: RedisServers['call'] = async (name, command, ...args) => {
    const client = clients.get(name);
    if (client === undefined) throw new Error(`${name} was not started`);
    return await client.call(command, ...args);
  };
  const file = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text, { mode: 0o600 });
    return join(dir, name);
  };
  const info = async (name: RedisServerName): Promise<string> => String(await call(name, 'INFO'));
  const stop = async (): Promise<void> => {
    process.off('exit', killAll);
    for (const client of clients.values()) client.disconnect();
    const running = children.filter((c) => c.pid !== undefined && c.exitCode === null && c.signalCode === null);
    const ended = running.map((child) => once(child, 'exit'));
    killAll(); // nothing is kept
    await Promise.all(ended);
    rmSync(dir, { recursive: true, force: true });
    claim.release();
  };
  try {
    const quick = ['save ""', 'appendonly no', 'repl-diskless-sync-delay 0'];
    begin('primary', quick);
    begin('cluster', ['save ""', 'cluster-enabled yes', 'cluster-config-file nodes.conf']);
    await waitFor(async () => (await info('primary')).includes('loading:0'), { what: 'the primary to serve' });
    begin('replica', [...quick, `replicaof ${address} ${String(redisServerPorts.primary)}`]);
    await waitFor(
      async () =>
        (await info('replica')).includes('master_link_status:up') && (await info('primary')).includes('state=online'),
      { what: 'the replica to be in step' },
    );
    begin(
      'sentinel',
      [
        `sentinel monitor shop ${address} ${String(redisServerPorts.primary)} 1`,
        'sentinel down-after-milliseconds shop 60000',
        `sentinel monitor gone ${address} 1 2`, // nobody listens there
        'sentinel down-after-milliseconds gone 200',
      ],
      '--sentinel',
    );
    await call('cluster', 'CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
    await waitFor(async () => String(await call('cluster', 'CLUSTER', 'INFO')).includes('cluster_state:ok'), {
      what: 'the cluster to be ok',
    });
    await waitFor(
      async () => {
        const text = await info('sentinel');
        return /name=shop,status=ok,[^\r]*slaves=1/.test(text) && /name=gone,status=sdown/.test(text);
      },
      { what: 'the Sentinel to have looked around' },
    );
  } catch (error) {
    const logs = children.map((_, i) => logOf(join(dir, Object.keys(redisServerPorts)[i] ?? '')));
    await stop();
    throw new Error(`the servers did not start: ${logs.join('\n')}`, { cause: error });
  }
  return { address, at: (name) => `${address}:${String(redisServerPorts[name])}`, call, file, stop };
}

function logOf(folder: string): string {
  try {
    return readFileSync(join(folder, 'log'), 'utf8').slice(-1_000);
  } catch {
    return `${folder} has no log`;
  }
}
