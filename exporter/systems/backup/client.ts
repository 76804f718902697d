import { readdir } from 'node:fs/promises';
import type { Call } from '../../collector.ts';
import { until } from '../../runtime/deadline.ts';
import { asTargetError, codeOf, messageOf, TargetError } from '../../runtime/errors.ts';
import type { Opening, TargetClient } from '../../system.ts';
import { mysqlAddress } from '../mysql/address.ts';
import type { MysqlClient } from '../mysql/client.ts';
import type { BackupAddress } from './address.ts';
import { surveyFolder, SurveyMemory, type BackupFile, type BackupSurvey } from './client-survey.ts';

export { isTemporary } from './client-survey.ts';
export type { BackupFile, BackupSurvey } from './client-survey.ts';

export interface BackupClient extends TargetClient {
  readonly address: BackupAddress;
  /** Files and folders of the patterns, newest first; one inode once, whatever its names. Temporary names are left out. */
  readonly list: (call: Call) => Promise<readonly BackupFile[]>;
  /** The same, with what is not ready yet and links. */
  readonly survey: (call: Call) => Promise<BackupSurvey>;
  /**
   * The server that is backed up, as the account that makes the backups (the target's `auth`). Undefined when the
   * inventory has none of the two. Whoever opens it disposes of it. @throws TargetError as openMysql does
   */
  readonly openSource: ((call: Call) => Promise<MysqlClient>) | undefined;
  /** Runs one look at the folder of its own, as `list` does: never two at a time. @throws TargetError */
  readonly look: <T>(call: Call, work: () => Promise<T>) => Promise<T>;
  /** Aborts when the client is disposed: ends what reads in the background. */
  readonly closed: AbortSignal;
}

// A call on a file system that hangs (NFS, a dead disk) cannot be ended and keeps one of the few threads that Node has
// for files. So there is never a second one on the same folder, also not from a client that was opened anew.
const looking = new Map<string, Promise<void>>();

/** Up means that the folder can be listed. */
export function openBackup(opening: Opening<BackupAddress>): BackupClient {
  const { address } = opening;
  const memory = new SurveyMemory();
  // The collectors of one sweep ask at the same time: one look answers them all.
  let looks: Promise<BackupSurvey> | undefined;
  const survey = async (call: Call): Promise<BackupSurvey> => {
    looks ??= look(address.directory, call, () =>
      surveyFolder(address, memory, call.signal, call.clock.wallMs()),
    ).finally(() => (looks = undefined));
    return await until(call.signal, `looking at ${address.directory}`, looks);
  };
  const closing = new AbortController();
  return {
    address,
    closed: closing.signal,
    list: async (call) => (await survey(call)).files,
    survey,
    openSource: sourceOf(opening),
    look: (call, work) => look(address.directory, call, work),
    ping: async (call) => {
      await look(address.directory, call, () => readdir(address.directory));
    },
    usable: () => true,
    [Symbol.asyncDispose]: () => {
      closing.abort();
      return Promise.resolve();
    },
  };
}

function sourceOf({ address, auth, resolve }: Opening<BackupAddress>): BackupClient['openSource'] {
  const { source } = address;
  if (source === undefined || auth === undefined) return undefined;
  return async (call) => {
    const { address: raw, tls } = resolve(source);
    const { openMysql } = await import('../mysql/client.ts');
    return await openMysql({ address: mysqlAddress.parse(raw), auth, tls }, call);
  };
}

async function look<T>(directory: string, call: Call, work: () => Promise<T>): Promise<T> {
  const before = looking.get(directory);
  if (before !== undefined) {
    await until(call.signal, `an earlier look at ${directory}`, before);
    return await look(directory, call, work); // of several that waited, one goes on at a time
  }
  const now = work();
  looking.set(
    directory,
    now
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => looking.delete(directory)),
  );
  try {
    return await until(call.signal, `looking at ${directory}`, now);
  } catch (error) {
    throw folderError(error, directory);
  }
}

function folderError(error: unknown, directory: string): TargetError {
  if (error instanceof TargetError) return error;
  const code = codeOf(error);
  const what = `${directory} cannot be read: ${messageOf(error)}`;
  if (code === 'EACCES' || code === 'EPERM') return new TargetError('denied', what, { cause: error });
  if (code === 'ENOENT' || code === 'ENOTDIR') return new TargetError('failed', what, { cause: error });
  return asTargetError(error, `looking at ${directory}`);
}
