// The whole ladder of evidence for one backup, by hand: every step with what it has shown.
import { stat } from 'node:fs/promises';
import type { Inventory } from './config/inventory.ts';
import type { Clock } from './runtime/clock.ts';
import { codeOf, messageOf } from './runtime/errors.ts';
import { oneLine } from './runtime/one-line.ts';
import { backupAddress } from './systems/backup/address.ts';
import { openBackup } from './systems/backup/client.ts';
import { judgeBackup } from './systems/backup/facts-judge.ts';
import { rungNames, rungOf, stateOf, type RungName, type Told, type Verdict } from './systems/backup/facts-verdict.ts';

export interface BackupReport {
  readonly path: string;
  /** Undefined when it could not be read; `failure` says why. */
  readonly verdict: Verdict | undefined;
  readonly failure: string | undefined;
}

interface Looking {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Undefined where none was given. */
  readonly inventory: Inventory | undefined;
}

const listMs = 15_000;

/**
 * @param what a file or folder, or the name of a target of kind backup: its newest backup
 * @returns undefined, or why there is nothing to verify, as a mistake in what was asked
 */
export async function verifyBackup(what: string, looking: Looking): Promise<BackupReport | string> {
  const { clock, signal, inventory } = looking;
  const target = inventory?.targets.get(what);
  if (target !== undefined && target.kind !== 'backup') return `${what} is of kind ${target.kind}, and not backup`;
  const reading = { signal, clock, isUrgent: true } as const;
  if (target === undefined) {
    const why = await whyNotThere(what, inventory !== undefined);
    if (why !== undefined) return why;
    return await reportOf(what, judgeBackup(what, undefined, reading));
  }
  const address = backupAddress.parse(target.address);
  const { auth, tls } = target;
  await using client = openBackup({
    target: what,
    address,
    auth,
    tls,
    resolve: (name) => {
      throw new Error(`${name} is not needed to look at files`);
    },
  });
  const [newest] = await client.list({ signal: AbortSignal.any([signal, AbortSignal.timeout(listMs)]), clock });
  if (newest === undefined) return `${what} has no backup in ${address.directory}`;
  return await reportOf(newest.path, judgeBackup(newest.path, address.tool, reading));
}

async function whyNotThere(path: string, hasInventory: boolean): Promise<string | undefined> {
  try {
    await stat(path);
    return undefined;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR')
      return `${path} cannot be looked at: ${messageOf(error)}`;
    return `${path} is no file${hasInventory ? ' and no target' : '; for the newest backup of a target give --config.file too'}`;
  }
}

/** A file that cannot be read, or that changes meanwhile, has no verdict. */
async function reportOf(path: string, judged: Promise<Verdict>): Promise<BackupReport> {
  try {
    return { path, verdict: await judged, failure: undefined };
  } catch (error) {
    return { path, verdict: undefined, failure: messageOf(error) };
  }
}

export function isComplete({ verdict }: BackupReport): boolean {
  return verdict?.class === 'complete';
}

export function backupText({ path, verdict, failure }: BackupReport): string {
  if (verdict === undefined) return `${oneLine(path)}: cannot be verified: ${oneLine(failure ?? '')}\n`;
  const failed = stateOf(verdict) !== 'verified';
  const lines = rungNames.map((name) => {
    const rung = rungOf(verdict, name);
    if (rung === undefined)
      return `  -        ${name.padEnd(12)} ${failed ? 'not reached, or nothing to see' : absent[name]}`;
    const word = rung.ok === true ? 'ok' : rung.ok === false ? 'FAILED' : 'unknown';
    return `  ${word.padEnd(8)} ${name.padEnd(12)} ${oneLine(rung.why)}`;
  });
  return `${[`${oneLine(path)}: ${titles[stateOf(verdict)]}${failed ? ` (${verdict.class})` : ''}`, ...lines, ...toldLines(verdict.told)].join('\n')}\n`;
}

const absent: Readonly<Record<RungName, string>> = {
  file: '',
  checksum: 'there is no check sum file beside it',
  compression: 'it is not compressed',
  format: 'not looked at',
  parts: 'it is one file',
  end: '',
};

const titles = { verified: 'complete', failed: 'NOT complete', unverifiable: 'cannot be verified' } as const;

function toldLines(told: Told): string[] {
  const { tool, toolVersion, serverVersion, characterSet, tables, coordinates, startedAtMs, finishedAtMs } = told;
  const { position, gtid, from = '' } = coordinates ?? {};
  const time = (ms: number | undefined): string | undefined =>
    ms === undefined ? undefined : new Date(ms).toISOString();
  const pairs: readonly (readonly [string, string | undefined])[] = [
    ['made by', tool === undefined ? undefined : [tool, toolVersion].join(' ').trimEnd()],
    ['server', serverVersion],
    ['characters', characterSet],
    ['tables', tables === undefined ? undefined : String(tables)],
    ['begun', time(startedAtMs)],
    ['completed', time(finishedAtMs)],
    ['binary log', position === undefined ? undefined : `${position.file}:${String(position.position)} (${from})`],
    ['GTIDs', gtid],
  ];
  return pairs.flatMap(([name, text]) =>
    text === undefined ? [] : [`           ${name.padEnd(12)} ${oneLine(text)}`],
  );
}
