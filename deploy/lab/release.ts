// What a database server of some flavour and version is to the lab.
import { ports } from './address.ts';
import type { LabContext } from './context.ts';
import type { ProcessPart } from './processes.ts';

export type Database = 'source' | 'replica';

/** `source2`: another source, for a replica of two; no part of the whole lab. */
export type DatabaseName = Database | 'source2';

export const databasePorts: Readonly<Record<DatabaseName, number>> = {
  source: ports.source,
  replica: ports.replica,
  source2: ports.source2,
};

export interface DatabaseOptions {
  /** Beside the lab's own, and before them: `{ 'default-time-zone': '+05:00' }` */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Such as TZ, or what `clockOffset` gives. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How to start a server of some flavour and version. */
export interface Release {
  /** Why this machine has none, for `test(…, { skip })`; false when it has. */
  missing(): string | false;
  /** A new data folder with the lab's users in it; not in the binlog, so that source and replica begin alike. */
  install(lab: LabContext, name: DatabaseName): Promise<void>;
  part(lab: LabContext, name: DatabaseName, options?: DatabaseOptions): ProcessPart;
  startReplication(lab: LabContext): Promise<void>;
  /** The environment in which the server's clock is wrong by so much; undefined where faketime is not to be had. */
  clockOffset(seconds: number): Readonly<Record<string, string>> | undefined;
}
