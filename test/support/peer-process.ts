// A real exporter of others, to be compared with.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { waitFor } from '../../deploy/lab/ready.ts';

export interface PeerProcess {
  readonly pid: number;
  /** @param path /metrics when left out */
  readonly scrape: (path?: string) => Promise<string>;
  readonly stop: () => Promise<void>;
}

interface PeerOptions {
  /** Added to this program's own. */
  readonly env?: Readonly<Record<string, string>>;
  readonly readyPath?: string;
  readonly isReady?: (text: string) => boolean;
}

/** @param listen HOST:PORT that the arguments make it listen on */
export async function startPeer(
  program: string,
  args: readonly string[],
  listen: string,
  { env = {}, readyPath = '/metrics', isReady = () => true }: PeerOptions = {},
): Promise<PeerProcess> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] });
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
  const scrape = async (path = '/metrics'): Promise<string> => {
    const answer = await fetch(`http://${listen}${path}`, { signal: AbortSignal.timeout(10_000) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${program}: ${String(answer.status)} ${text.slice(0, 500)}`);
    return text;
  };
  try {
    await waitFor(async () => isReady(await scrape(readyPath)), { what: `${program} to answer` });
  } catch (error) {
    await stop();
    throw new Error(`${program} did not start: ${said}`, { cause: error });
  }
  if (child.pid === undefined) throw new Error(`${program} has no pid`);
  return { pid: child.pid, scrape, stop };
}
