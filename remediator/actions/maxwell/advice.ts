// For people: what is lost, and the commands for a repair that is theirs alone. Pure.
import type { Advice } from '../../model.ts';
import { literal } from './snapshot.ts';
import type { MaxwellFacts } from './facts.ts';

/** Only when its position is no longer on the source. */
export function adviceFor(target: string, facts: MaxwellFacts): readonly Advice[] {
  const { position, binlogs, health, schema, clientId } = facts;
  if (health.state !== 'position_lost' || !position.known || !position.value.found || !binlogs.known) return [];
  const { binlogFile, binlogPosition, serverId, lastHeartbeatReadMs: read } = position.value;
  const { files, current } = binlogs.value;
  const [oldest, newest] = [files.at(0)?.name ?? 'none', files.at(-1)?.name ?? 'none'];
  const heartbeat = read.known ? read.value : 0;
  const where = `server_id = ${serverId} AND client_id = ${literal(clientId)}`;
  const table = `\`${schema}\`.\`positions\``;
  const until = read.known ? new Date(read.value).toISOString() : 'an unknown time';
  const to = current === undefined ? undefined : { file: current.file, position: current.position };
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
    ...(to === undefined
      ? []
      : [
          {
            title: 'To begin anew at the current position of the source (by hand, with Maxwell stopped)',
            text: [
              `UPDATE ${table} SET binlog_file = ${literal(to.file)}, binlog_position = ${to.position}`,
              `  WHERE ${where} AND binlog_file = ${literal(binlogFile)} AND binlog_position = ${binlogPosition};`,
              '-- must change exactly 1 row. Undo:',
              `UPDATE ${table} SET binlog_file = ${literal(binlogFile)}, binlog_position = ${binlogPosition}, last_heartbeat_read = ${heartbeat}`,
              `  WHERE ${where};`,
              '',
              'Or, once, on its command line instead of the statement:',
              `maxwell --init_position=${to.file}:${to.position}:${heartbeat} … (take it off again before the next start)`,
            ].join('\n'),
          },
        ]),
    {
      title: 'Then, once it runs',
      text: [
        '# for every table that was written to meanwhile; the rows between are lost without it',
        `maxwell-bootstrap --database DATABASE --table TABLE --client_id ${clientId}`,
      ].join('\n'),
    },
  ];
}
