// The real mysqld_exporter (Debian package prometheus-mysqld-exporter), to be compared with.
import { startPeer, type PeerProcess } from './peer-process.ts';

export type MysqldExporter = PeerProcess;

interface Options {
  readonly host: string;
  readonly port: number;
  readonly database: { readonly host: string; readonly port: number; readonly user: string; readonly password: string };
  readonly args: readonly string[];
}

export async function startMysqldExporter({ host, port, database, args }: Options): Promise<MysqldExporter> {
  const source = `${database.user}:${database.password}@(${database.host}:${String(database.port)})/`;
  const listen = `${host}:${String(port)}`;
  return startPeer(
    'prometheus-mysqld-exporter',
    [`--web.listen-address=${listen}`, '--log.level=warn', ...args],
    listen,
    {
      env: { DATA_SOURCE_NAME: source },
      isReady: (text) => text.includes('\nmysql_up 1\n'),
    },
  );
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
