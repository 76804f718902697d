// The real mysqld_exporter (Debian package prometheus-mysqld-exporter), to be compared with.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from './wait.ts';

export interface MysqldExporter {
  readonly pid: number;
  readonly scrape: () => Promise<string>;
  readonly stop: () => Promise<void>;
}

interface Options {
  readonly host: string;
  readonly port: number;
  readonly database: { readonly host: string; readonly port: number; readonly user: string; readonly password: string };
  readonly args: readonly string[];
}

export async function startMysqldExporter({ host, port, database, args }: Options): Promise<MysqldExporter> {
  const source = `${database.user}:${database.password}@(${database.host}:${String(database.port)})/`;
  const listen = `${host}:${String(port)}`;
  const child = spawn('prometheus-mysqld-exporter', [`--web.listen-address=${listen}`, '--log.level=warn', ...args], {
    env: { ...process.env, DATA_SOURCE_NAME: source },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
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
  const scrape = async (): Promise<string> => {
    const answer = await fetch(`http://${listen}/metrics`, { signal: AbortSignal.timeout(10_000) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`mysqld_exporter: ${String(answer.status)} ${text.slice(0, 500)}`);
    return text;
  };
  try {
    await eventually('mysqld_exporter to see its server', async () =>
      (await scrape()).includes('\nmysql_up 1\n') ? true : undefined,
    );
  } catch (error) {
    await stop();
    throw new Error(`mysqld_exporter did not start: ${said}`, { cause: error });
  }
  if (child.pid === undefined) throw new Error('mysqld_exporter has no pid');
  return { pid: child.pid, scrape, stop };
}

/** The flags of 0.14 for exactly these collectors; it has some on by itself. */
export function onlyCollectors(...wanted: readonly string[]): readonly string[] {
  const onByDefault = [
    'slave_status',
    'global_status',
    'global_variables',
    'info_schema.innodb_cmp',
    'info_schema.innodb_cmpmem',
    'info_schema.query_response_time',
  ];
  return [
    ...onByDefault.filter((name) => !wanted.includes(name)).map((name) => `--no-collect.${name}`),
    ...wanted.map((name) => `--collect.${name}`),
  ];
}
