// mysqldump and mariadb-dump. `gzip -t` alone is not enough: it is content with a dump that failed before it was compressed.
import { Counter, localTimeOf, type FileFormat, type Seen } from './facts-format.ts';
import { Fault, type ToldCoordinates } from './facts-verdict.ts';

/** Seen on mariadb-dump 10.19: a sandbox comment, then `-- MariaDB dump …`; with --skip-comments only the SET lines. */
const looksLikeDump = /^-- (MySQL|MariaDB) dump |^\/\*M?!\d{5}/m;

// mysqldump pads the hour with a blank; --skip-dump-date leaves the date out
const trailer = /^-- Dump completed(?: on (.+))?$/;

export const mysqldumpFormat: FileFormat = {
  what: 'a dump of mysqldump',
  tools: ['mysqldump'],
  isLike: (head) => looksLikeDump.test(head.subarray(0, 4_096).toString('latin1')),
  inspect: (head) => {
    const begin = head.toString('utf8');
    // A line break inside of a value is written as \n: a line that begins so is a comment. A view has another one.
    const tables = new Counter('\n-- Table structure for table ');
    return {
      push: (chunk) => {
        tables.push(chunk);
      },
      end: ({ tail }) => seen(begin, tail.toString('utf8'), tables.count),
    };
  },
};

function seen(head: string, tail: string, tables: number): Seen {
  const found = trailer.exec(tail.trimEnd().split('\n').at(-1) ?? '');
  if (found === null) {
    throw new Fault(
      'no_trailer',
      'its last line is not "-- Dump completed": the dump was cut off, or made with --skip-comments or --compact, which cannot be told from that',
      'end',
    );
  }
  const [, by, version, distribution] = /^-- (MySQL|MariaDB) dump (\S+)(?: +Distrib ([^\s,]+))?/m.exec(head) ?? [];
  return {
    why: 'its last line is "-- Dump completed"',
    told: {
      tool: by === undefined ? undefined : by === 'MySQL' ? 'mysqldump' : 'mariadb-dump',
      toolVersion: distribution ?? version,
      serverVersion: /^-- Server version\s+(\S+)/m.exec(head)?.[1],
      characterSet: /^\/\*!\d{5} SET NAMES (\w+) \*\/;/m.exec(head)?.[1],
      finishedAtMs: localTimeOf(found[1]),
      coordinates: coordinatesIn(head, tail),
      tables,
    },
  };
}

/** With --dump-slave the statement goes over lines, and may name the host before. */
const position =
  /^(?:-- )?CHANGE (?:MASTER|REPLICATION SOURCE)(?: '[^'\n]*')? TO\s[^;]{0,500}?(?:MASTER|SOURCE)_LOG_FILE='([^'\n]+)',\s*(?:MASTER|SOURCE)_LOG_POS=(\d+)/m;
const ofItsSource = /SHOW SLAVE STATUS at the time|\(the (?:master of this slave|source of this replica)\)/;

/**
 * MySQL: mysqldump --source-data, --dump-replica and --set-gtid-purged, at the beginning. MariaDB: --master-data and
 * --dump-slave; with --gtid the position in GTIDs stands near the end (seen on mariadb-dump 10.19).
 */
export function coordinatesIn(head: string, tail: string): ToldCoordinates | undefined {
  const inHead = position.exec(head);
  const [, file, at] = inHead ?? position.exec(tail) ?? [];
  const gtid =
    gtidIn(head, /SET @@GLOBAL\.GTID_PURGED=(?:\/\*!80000 '\+'\*\/ ?)?'([^']*)'/) ??
    gtidIn(tail, /SET @@GLOBAL\.GTID_PURGED=(?:\/\*!80000 '\+'\*\/ ?)?'([^']*)'/) ??
    gtidIn(tail, /^(?:-- )?SET GLOBAL gtid_slave_pos='([^']*)'/m) ??
    gtidIn(head, /^(?:-- )?SET GLOBAL gtid_slave_pos='([^']*)'/m);
  if (file === undefined && gtid === undefined) return undefined;
  return {
    position: file === undefined ? undefined : { file, position: Number(at) },
    gtid,
    of: ofItsSource.test(head) || ofItsSource.test(tail) ? 'its_source' : 'server',
    from: inHead === null ? 'dump' : 'header',
  };
}

function gtidIn(text: string, expression: RegExp): string | undefined {
  const found = expression.exec(text)?.[1]?.replace(/\s+/g, '');
  return found === '' ? undefined : found;
}
