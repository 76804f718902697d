// What real servers answered to each statement of a sweep (a replica's and a source's, the first answer with rows): the
// ground on which a stand-in misbehaves.
import { readFileSync } from 'node:fs';
import type { Reply, Result } from './hostile-mysql.ts';

interface Tape {
  readonly version: string;
  /** By the first 100 characters of a statement, white space as one blank. */
  readonly statements: Readonly<
    Record<string, { columns: readonly string[]; rows: readonly (readonly (string | null)[])[] }>
  >;
}

export type Flavour = 'mariadb' | 'mysql';

export interface SaneServer {
  readonly reply: (sql: string) => Reply;
  /** The recorded answer to a statement, if there is one. */
  readonly recorded: (sql: string) => Result | undefined;
  readonly version: string;
}

export function saneServer(flavour: Flavour): SaneServer {
  const file = new URL(`../unit/mysql/fixtures/tape-${flavour}.json`, import.meta.url);
  const tape = JSON.parse(readFileSync(file, 'utf8')) as Tape;
  const recorded = (sql: string): Result | undefined =>
    tape.statements[sql.replaceAll(/\s+/g, ' ').trim().slice(0, 100)];
  return {
    version: tape.version,
    recorded,
    reply: (sql) => {
      if (/^SET\b/.test(sql)) return 'ok';
      if (sql.startsWith('SELECT VERSION()')) {
        const columns = ['version', 'comment', 'account', 'log_bin'];
        return { columns, rows: [[tape.version, 'recorded', 'exporter@%', '1']] };
      }
      return recorded(sql) ?? { columns: ['none'], rows: [] };
    },
  };
}
