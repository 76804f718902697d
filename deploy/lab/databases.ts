// Database servers alone, of one release, as the tests of one kind of server need them: no configuration of pipemedic, no
// pager. Ports, users, schema and the breakable link are those of the whole lab.
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimAddress, ports } from './address.ts';
import { secretsIn, type LabContext } from './context.ts';
import type { Lab } from './lab.ts';
import { createSchema, sql } from './mariadb.ts';
import { startReaper, type Part } from './processes.ts';
import type { DatabaseName, DatabaseOptions, Release } from './release.ts';
import { TcpProxy } from './tcp-proxy.ts';

export interface DatabaseLab extends AsyncDisposable, Pick<Lab, 'address' | 'dir' | 'secret' | 'secretFile' | 'stop'> {
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
  const claim = await claimAddress();
  const { address } = claim;
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-lab-'));
  const reaper = startReaper(dir);
  const to = { host: address, port: ports.source };
  const link = new TcpProxy({ name: 'replica->source', host: address, port: ports.replicaToSource, to });
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= reaper.end().finally(() => {
      link.close();
      claim.release();
    });
    return stopping;
  };
  try {
    mkdirSync(join(dir, 'logs'), { mode: 0o700 });
    const lab: LabContext = { dir, address, reaper, ...secretsIn(dir) };
    const parts = new Map<DatabaseName, Part>();
    await link.open();
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
      address,
      dir,
      part: (name) => {
        const part = parts.get(name);
        if (part === undefined) throw new Error(`there is no ${name}; there are ${[...parts.keys()].join(', ')}`);
        return part;
      },
      link: () => link,
      sql: (name, statement, signal) => sql(lab, name, statement, signal),
      secret: lab.secret,
      secretFile: lab.secretFile,
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
