// The real redis_exporter (Debian package prometheus-redis-exporter), to be compared with.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from './wait.ts';

export interface RedisExporter {
  readonly pid: number;
  /** What it serves for one server. @param streams `db0=orders,db3=audit` */
  readonly scrape: (target: string, streams?: string) => Promise<string>;
  readonly stop: () => Promise<void>;
}

export async function startRedisExporter(listen: string): Promise<RedisExporter> {
  // No address of its own: every server is asked by /scrape
  const args = ['-redis.addr=', `-web.listen-address=${listen}`, '-include-system-metrics'];
  const child = spawn('prometheus-redis-exporter', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4000)));
  const ended = once(child, 'exit').catch(() => undefined); // an error of spawn is seen below: nothing answers
  const orphaned = (): void => void child.kill('SIGKILL'); // a test that breaks off leaves nothing behind
  process.once('exit', orphaned);
  const stop = async (): Promise<void> => {
    process.off('exit', orphaned);
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL'); // it holds nothing that could be lost
    await ended;
  };
  const get = async (path: string): Promise<string> => {
    const answer = await fetch(`http://${listen}${path}`, { signal: AbortSignal.timeout(10_000) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`redis_exporter: ${String(answer.status)} ${text.slice(0, 500)}`);
    return text;
  };
  try {
    await eventually('redis_exporter to answer', async () => ((await get('/health')) === 'ok' ? true : undefined));
  } catch (error) {
    await stop();
    throw new Error(`redis_exporter did not start: ${said}`, { cause: error });
  }
  if (child.pid === undefined) throw new Error('redis_exporter has no pid');
  return {
    pid: child.pid,
    scrape: (target, streams = '') =>
      get(
        `/scrape?${new URLSearchParams({ target: `redis://${target}`, 'check-single-streams': streams }).toString()}`,
      ),
    stop,
  };
}
