// Database servers alone, of one release, as the tests of one kind of server need them: no configuration of pipemedic, no
// pager. Ports, users, schema and the breakable link are those of the whole lab.
import { startBareLab, type BareLab } from './bare.ts';
import { createSchema, sql } from './mariadb.ts';
import type { Part } from './processes.ts';
import type { DatabaseName, DatabaseOptions, Release } from './release.ts';
import type { TcpProxy } from './tcp-proxy.ts';

export interface DatabaseLab extends BareLab {
  part(name: DatabaseName): Part;
  link(name: 'replica->source'): TcpProxy;
  sql(name: DatabaseName, statement: string, signal?: AbortSignal): ReturnType<typeof sql>;
}

export interface DatabasesOptions {
  /** Source and replica when left out. */
  readonly databases?: readonly DatabaseName[];
  /** By server. */
  readonly options?: Partial<Record<DatabaseName, DatabaseOptions>>;
}

/** Servers on a loopback address of their own; `stop` ends them and removes the folder. */
export async function startDatabases(release: Release, given: DatabasesOptions = {}): Promise<DatabaseLab> {
  const { databases = ['source', 'replica'], options = {} } = given;
  const between = { name: 'replica->source', port: 'replicaToSource', to: 'source' } as const;
  return startBareLab(between, async (lab, link) => {
    const parts = new Map<DatabaseName, Part>();
    const start = async (name: DatabaseName): Promise<void> => {
      const part = release.part(lab, name, options[name]);
      parts.set(name, part);
      await release.install(lab, name);
      await part.start();
    };
    await Promise.all(databases.map(start));
    if (databases.includes('source')) await createSchema(lab);
    if (databases.includes('source') && databases.includes('replica')) await release.startReplication(lab);
    return {
      part: (name) => {
        const part = parts.get(name);
        if (part === undefined) throw new Error(`there is no ${name}; there are ${[...parts.keys()].join(', ')}`);
        return part;
      },
      link: () => link,
      sql: (name, statement, signal) => sql(lab, name, statement, signal),
    } satisfies Omit<DatabaseLab, keyof BareLab>;
  });
}
