// What `doctor` says of a folder of backups: what lies in it, and whether the next backup has what it needs. What is wrong
// with the backups themselves, their states tell.
import { access, constants } from 'node:fs/promises';
import type { Call } from '../../collector.ts';
import type { Finding } from '../../findings.ts';
import { messageOf } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { readTransactions, type Transactions } from '../mysql/facts-activity.ts';
import { mainTypeOf, type BackupTool } from './address.ts';
import type { BackupClient, BackupSurvey } from './client.ts';
import {
  inodesFinding,
  lockWaitsFinding,
  lookAsAccount,
  neededBytes,
  readRoom,
  spaceFinding,
  transactionsFinding,
  type ReadyFinding,
} from './facts-readiness.ts';

export interface ReadinessOptions {
  readonly space_factor: number;
  readonly long_transaction: number;
  readonly databases: readonly string[];
}

/** @throws TargetError when the folder cannot be listed */
export async function examineBackup(
  client: BackupClient,
  call: Call,
  options: ReadinessOptions,
): Promise<readonly Finding[]> {
  const survey = await client.survey(call);
  const room = await readRoom(client, call);
  const activity = await readActivity(client, options.long_transaction / 1000, call);
  return [
    folderFinding(client, survey),
    ...(await readFindings(survey)),
    ...linkFindings(survey),
    spaceFinding(room, neededBytes(survey.files, options.space_factor, mainTypeOf(client.address))),
    inodesFinding(room),
    ...(await accountFindings(client, options.databases, call)),
    ...(activity === undefined ? [] : [transactionsFinding(activity, options.long_transaction / 1000), lockWaitsFinding(activity)]), // prettier-ignore
  ];
}

function folderFinding({ address }: BackupClient, { files, temporary }: BackupSurvey): Finding {
  const types = [...new Set([mainTypeOf(address), ...files.map((f) => f.type)])];
  const counts = types.map((type) => `${files.filter((f) => f.type === type).length} ${type}`).join(', ');
  const unready = temporary.length === 0 ? '' : `, and ${temporary.length} under a temporary name`;
  const text = `${address.tool}: ${counts} named ${address.pattern} in ${address.directory}${unready}`;
  if (files.length > 0) return { check: 'folder', ok: true, text };
  return { check: 'folder', ok: false, text, fix: 'see whether directory, pattern and tool are those of the backups' };
}

function linkFindings({ links }: BackupSurvey): readonly Finding[] {
  return links
    .filter(({ inode }) => inode === undefined)
    .map(({ name, to }) => ({ check: 'link', ok: false, text: `${name} points to ${to}, which is not there` }));
}

/** One that cannot be read is never judged. The newest alone: the others are as it, or old. */
export async function readFindings({ files }: BackupSurvey): Promise<readonly Finding[]> {
  const newest = files.reduce<BackupSurvey['files'][number] | undefined>(
    (last, file) => (last === undefined || file.modifiedAtMs > last.modifiedAtMs ? file : last),
    undefined,
  );
  if (newest === undefined) return [];
  try {
    await access(newest.path, newest.isFolder ? constants.R_OK | constants.X_OK : constants.R_OK);
    return [];
  } catch (error) {
    const fix = `let the user of this program read ${newest.path}`;
    return [{ check: 'readable', ok: false, text: messageOf(error), fix }];
  }
}

/** Tools that log in to a server of MySQL. */
const logsIn: readonly BackupTool[] = ['mysqldump', 'mydumper', 'xtrabackup', 'binlog'];

/** Without an account there is one line for all that only it could tell. */
async function accountFindings(
  client: BackupClient,
  databases: readonly string[],
  call: Call,
): Promise<readonly Finding[]> {
  const look: readonly ReadyFinding[] = await lookAsAccount(client, databases, call);
  if (client.openSource !== undefined) return look.filter(({ state }) => state !== 'not_configured');
  if (client.address.source === undefined && !logsIn.includes(client.address.tool)) return [];
  const fix = 'set address.source, and auth to the account that makes the backups';
  return look.filter(({ check }) => check === 'login').map((its) => ({ ...its, fix }));
}

/** As the account of the backups; undefined where there is none. */
async function readActivity(
  { openSource }: BackupClient,
  longSeconds: number,
  call: Call,
): Promise<Known<Transactions> | undefined> {
  if (openSource === undefined) return undefined;
  try {
    await using source = await openSource(call);
    return known(await readTransactions(source, longSeconds, call), call.clock.wallMs());
  } catch (error) {
    return unknown(messageOf(error));
  }
}
