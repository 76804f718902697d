// What xtrabackup and mariadb-backup write about a backup: `xtrabackup_info` last of all, `xtrabackup_checkpoints`,
// `xtrabackup_binlog_info`; MariaDB 11.1 and newer call them `mariadb_backup_…`.
import { localTimeOf } from './facts-format.ts';
import type { Told } from './facts-verdict.ts';

/** With what --compress and --encrypt put behind the names. */
export const textNames = /^(?:xtrabackup|mariadb_backup)_(?:info|checkpoints|binlog_info)(?:\.\w+)?$/;

/** The name of the file that is written last, among these. */
export function infoName(names: ReadonlyMap<string, unknown>): string | undefined {
  return ['xtrabackup_info', 'mariadb_backup_info'].find((name) => names.has(name));
}

/** @param texts by name, without a suffix of compression */
export function toldByXtrabackup(texts: ReadonlyMap<string, string>): Told {
  const text = (name: string): string => texts.get(`xtrabackup_${name}`) ?? texts.get(`mariadb_backup_${name}`) ?? '';
  const [info, checkpoints] = [pairsOf(text('info')), pairsOf(text('checkpoints'))];
  const from = numberOf(checkpoints.get('from_lsn') ?? info.get('innodb_from_lsn'));
  const to = numberOf(checkpoints.get('to_lsn') ?? info.get('innodb_to_lsn'));
  const type = checkpoints.get('backup_type') ?? '';
  return {
    tool: info.get('tool_name'),
    toolVersion: info.get('tool_version'),
    serverVersion: info.get('server_version'),
    startedAtMs: localTimeOf(info.get('start_time')),
    finishedAtMs: localTimeOf(info.get('end_time')),
    coordinates: coordinatesOf(text('binlog_info'), info.get('binlog_pos')),
    lsn: from === undefined || to === undefined ? undefined : { from, to },
    type: type === '' ? undefined : type.startsWith('incremental') ? 'incremental' : 'full',
  };
}

/** `bin.000001<TAB>70218<TAB>3-1-4` (seen on mariadb-backup 10.11); a set of GTIDs may go on over lines. */
function coordinatesOf(text: string, inInfo: string | undefined): Told['coordinates'] {
  const [file, position, ...gtid] = text.trim().split('\t');
  if (file !== undefined && numberOf(position) !== undefined) {
    return {
      position: { file, position: Number(position) },
      gtid: gtidOf(gtid.join('')),
      of: 'server',
      from: 'xtrabackup_binlog_info',
    };
  }
  const found = /filename '([^']+)', position '(\d+)'(?:, GTID of the last change '([^']*)')?/.exec(inInfo ?? '');
  if (found === null) return undefined;
  return {
    position: { file: found[1] ?? '', position: Number(found[2]) },
    gtid: gtidOf(found[3] ?? ''),
    of: 'server',
    from: 'xtrabackup_info',
  };
}

function gtidOf(text: string): string | undefined {
  const gtid = text.replace(/\s+/g, '');
  return gtid === '' ? undefined : gtid;
}

/** `name = value` by lines. */
function pairsOf(text: string): ReadonlyMap<string, string> {
  return new Map([...text.matchAll(/^(\w+) = ?(.*)$/gm)].map(([, name = '', value = '']) => [name, value.trim()]));
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
