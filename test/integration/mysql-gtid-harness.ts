// What the tests of GTIDs and binary log distances look at, and how an errant transaction comes and goes.
import { createConnection } from 'mysql2/promise';
import type { DatabaseLab } from '../../deploy/lab/databases.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { databasePorts, type Database, type DatabaseName } from '../../deploy/lab/release.ts';
import { inventoryOf, type Inventory } from '../../exporter/config/inventory.ts';
import { mysql } from '../../exporter/systems/mysql/index.ts';
import { valueOf, type ParsedFamily } from '../support/exposition-parser.ts';
import type { Flavour } from './mysql-flavours.ts';

export type Found = Map<string, ParsedFamily>;

/** What is looked at of the replica. */
export interface Seen {
  readonly distance: string | undefined;
  readonly behind: number | undefined;
  readonly unreceived: number | undefined;
  readonly gtid: string | undefined;
  readonly missing: number | undefined;
  readonly missingPurged: number | undefined;
  readonly errant: number | undefined;
}

export const caughtUp: Seen = {
  distance: 'ok',
  behind: 0,
  unreceived: 0,
  gtid: 'ok',
  missing: 0,
  missingPurged: 0,
  errant: 0,
};

export function stateOf(found: Found, family: string, target: string): string | undefined {
  return found.get(family)?.samples.find((s) => s.labels['target'] === target && s.value === 1)?.labels['state'];
}

export function seenIn(found: Found): Seen {
  const of = (name: string): number | undefined => valueOf(found, name, { target: 'db2' });
  return {
    distance: stateOf(found, 'mysql_replication_distance_state', 'db2'),
    behind: of('mysql_replication_behind_bytes'),
    unreceived: of('mysql_replication_unreceived_bytes'),
    gtid: stateOf(found, 'mysql_gtid_state', 'db2'),
    missing: of('mysql_gtid_missing_transactions'),
    missingPurged: of('mysql_gtid_missing_purged_transactions'),
    errant: of('mysql_gtid_errant_transactions'),
  };
}

export function inventoryFor(lab: DatabaseLab, pipelines: readonly unknown[]): Inventory {
  const auth = { user: 'exporter', password_file: lab.secretFile('exporter') };
  const target = (name: string, database: DatabaseName): unknown => ({
    name,
    kind: 'mysql',
    address: { host: lab.address, port: databasePorts[database] },
    auth,
  });
  // the replica first: its sweep begins before its source's
  const targets = [target('db2', 'replica'), target('db1', 'source'), target('db3', 'source2')];
  return inventoryOf({ targets, pipelines }, 'test', [mysql]);
}

export const pipelines = [{ name: 'orders', objective: '30s', source: 'db1', replicas: ['db2'] }];

export async function oneAfterAnother(lab: DatabaseLab, name: Database, statements: readonly string[]): Promise<void> {
  const password = lab.secret('lab');
  const connection = await createConnection({ host: lab.address, port: databasePorts[name], user: 'lab', password });
  for (const statement of statements) await connection.query(statement);
  await connection.end();
}

/** A transaction of the replica's own, and how to be rid of it. */
export function errant(flavour: Flavour, lab: DatabaseLab): { make: () => Promise<void>; mend: () => Promise<void> } {
  if (flavour.kind === 'mysql') {
    return {
      make: () => oneAfterAnother(lab, 'replica', ['CREATE DATABASE errant']),
      // an empty transaction of the same GTID on the source
      mend: async () => {
        const [row] = await lab.sql('replica', 'SELECT @@server_uuid AS uuid');
        const next = `SET gtid_next = '${String(row?.['uuid'])}:1'`;
        await oneAfterAnother(lab, 'source', [next, 'BEGIN', 'COMMIT', "SET gtid_next = 'AUTOMATIC'"]);
      },
    };
  }
  return {
    // in a domain of its own: with strict GTIDs the replica would stop at the source's next transaction otherwise
    make: () => oneAfterAnother(lab, 'replica', ['SET gtid_domain_id = 9', 'CREATE DATABASE errant']),
    // the server forgets a domain when no file holds it any more; it keeps files that it still needs, without an error
    mend: () =>
      waitFor(
        async () => {
          await lab.sql('replica', 'FLUSH BINARY LOGS');
          const last = String((await lab.sql('replica', 'SHOW BINARY LOGS')).at(-1)?.['Log_name']);
          await lab.sql('replica', `PURGE BINARY LOGS TO '${last}'`);
          await lab.sql('replica', 'FLUSH BINARY LOGS DELETE_DOMAIN_ID = (9)');
          return true;
        },
        { what: 'the replica to forget the domain', intervalMs: 200 },
      ).then(() => undefined),
  };
}
