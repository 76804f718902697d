// The real redis_exporter (Debian package prometheus-redis-exporter), to be compared with.
import { startPeer } from './peer-process.ts';

export interface RedisExporter {
  readonly pid: number;
  /** What it serves for one server. @param streams `db0=orders,db3=audit` */
  readonly scrape: (target: string, streams?: string) => Promise<string>;
  readonly stop: () => Promise<void>;
}

export async function startRedisExporter(listen: string): Promise<RedisExporter> {
  // No address of its own: every server is asked by /scrape
  const args = ['-redis.addr=', `-web.listen-address=${listen}`, '-include-system-metrics'];
  const { pid, scrape, stop } = await startPeer('prometheus-redis-exporter', args, listen, {
    readyPath: '/health',
    isReady: (text) => text === 'ok',
  });
  return {
    pid,
    scrape: (target, streams = '') =>
      scrape(
        `/scrape?${new URLSearchParams({ target: `redis://${target}`, 'check-single-streams': streams }).toString()}`,
      ),
    stop,
  };
}
