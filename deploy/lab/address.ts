// A loopback address of one's own, so that several labs run at the same time on the same fixed ports.
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Below the ephemeral range (32768 and up by default on Linux), and off every server's default. */
export const ports = {
  claim: 10_001,
  source: 13_306,
  replica: 13_307,
  source2: 13_308,
  maxwellToSource: 13_316,
  replicaToSource: 13_317,
  maxwellHttp: 18_080,
  kafka: 19_192,
  kafkaController: 19_193,
  /** The broker tells its own address to whoever comes by this one: that of the link. */
  kafkaBehindLink: 19_194,
  maxwellToKafka: 19_195,
  redis: 16_379,
  redisReplica: 16_380,
  redisReplicaToRedis: 16_389,
  prometheus: 19_090,
  /** The first peer; the next ones count upwards. */
  alertmanager: 19_100,
  alertmanagerCluster: 19_150,
  pager: 18_090,
  exporter: 9930,
  remediator: 9931,
} as const;

export interface Claim {
  readonly address: string;
  readonly release: () => void;
}

/**
 * The claim is a listening socket, so the kernel gives the address back however the lab dies.
 * 127.0.x.x is left alone: that is where other programs live.
 */
export async function claimAddress(random: () => number = Math.random): Promise<Claim> {
  let last: unknown;
  for (let i = 0; i < 50; i++) {
    const address = `127.${1 + Math.floor(random() * 253)}.${Math.floor(random() * 255)}.1`;
    const server: Server = createServer((socket) => socket.destroy());
    server.listen({ host: address, port: ports.claim, exclusive: true });
    try {
      await once(server, 'listening');
    } catch (error) {
      last = error;
      continue;
    }
    server.unref();
    return { address, release: () => void server.close() };
  }
  throw new Error('no loopback address is free: 50 tried', { cause: last });
}
