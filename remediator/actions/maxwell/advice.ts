// For people: what is lost, and the commands for a repair that is theirs alone. Pure.
import type { Advice } from '../../model.ts';
import { literal } from './snapshot.ts';
import type { MaxwellFacts } from './facts.ts';
import type { MaxwellPosition } from '../../../exporter/systems/maxwell/facts-position.ts';

/** Only when its position is no longer on the source. */
export function adviceFor(target: string, facts: MaxwellFacts): readonly Advice[] {
  const { position, binlogs, health, clientId } = facts;
  if (health.state !== 'position_lost' || !position.known || !position.value.found || !binlogs.known) return [];
  const { binlogFile, binlogPosition, lastHeartbeatReadMs: read } = position.value;
  const { files } = binlogs.value;
  const [oldest, newest] = [files.at(0)?.name ?? 'none', files.at(-1)?.name ?? 'none'];
  const until = read.known ? new Date(read.value).toISOString() : 'an unknown time';
  return [
    {
      title: 'What is lost',
      text: [
        `Maxwell (${target}) needs ${binlogFile} from position ${binlogPosition} on. The source has ${oldest} to ${newest}.`,
        `Changes between ${until} and the place where Maxwell begins anew have not been delivered and cannot be read any more.`,
        'No restart brings them back: every table that was written to in that time must be bootstrapped.',
        'If a backup of the binary logs exists, putting the missing files back is the only way without a loss.',
      ].join('\n'),
    },
    ...anew(facts, position.value),
    {
      title: 'Then, once it runs',
      text: [
        '# for every table that was written to meanwhile; the rows between are lost without it',
        `maxwell-bootstrap --database DATABASE --table TABLE --client_id ${clientId}`,
      ].join('\n'),
    },
  ];
}

/** The statement that lets it begin where the source is now, with the one that takes it back. */
function anew({ schema, clientId, binlogs, source }: MaxwellFacts, at: MaxwellPosition): readonly Advice[] {
  const { binlogFile: file, binlogPosition: position, serverId, gtidSet, lastHeartbeatReadMs: read } = at;
  const title = 'To begin anew at the current position of the source (by hand, with Maxwell stopped)';
  const table = `\`${schema}\`.\`positions\``;
  const where = `server_id = ${serverId} AND client_id = ${literal(clientId)}`;
  const once = '-- must change exactly 1 row. Undo:';
  if (serverId === 0) {
    // GTID mode: the set says where it begins, the file says nothing
    if (!source.known || gtidSet === undefined) return [];
    const set = (to: string): string => `UPDATE ${table} SET gtid_set = ${literal(to)}`;
    const text = [
      `${set(source.value.gtid)} WHERE ${where} AND gtid_set = ${literal(gtidSet)};`,
      once,
      `${set(gtidSet)} WHERE ${where};`,
    ];
    return [{ title, text: text.join('\n') }];
  }
  const to = binlogs.known ? binlogs.value.current : undefined;
  if (to === undefined) return [];
  const heartbeat = read.known ? read.value : 0;
  const set = (f: string, p: number): string =>
    `UPDATE ${table} SET binlog_file = ${literal(f)}, binlog_position = ${p}`;
  const text = [
    set(to.file, to.position),
    `  WHERE ${where} AND binlog_file = ${literal(file)} AND binlog_position = ${position};`,
    once,
    `${set(file, position)}, last_heartbeat_read = ${heartbeat}`,
    `  WHERE ${where};`,
    '',
    'Or, once, on its command line instead of the statement:',
    `maxwell --init_position=${to.file}:${to.position}:${heartbeat} … (take it off again before the next start)`,
  ];
  return [{ title, text: text.join('\n') }];
}
