// A folder of xtrabackup or mariadb-backup, as the backup made it or prepared.
import { join } from 'node:path';
import { readAll, smallText, textIn, type Folder, type FolderFormat } from './facts-folder.ts';
import { infoName, textNames, toldByXtrabackup } from './facts-format-xtrabackup.ts';
import { Fault } from './facts-verdict.ts';

/** The smallest page that InnoDB has (KEY_BLOCK_SIZE=1): a file of pages has a multiple of it. */
const pageBytes = 1_024;
const ofPages = /(^|\/)(ibdata\d+|undo_?\d+|[^/]+\.ibd|[^/]+\.ibu)$/;
/** Of its redo log. */
const logNames = ['xtrabackup_logfile', 'ib_logfile0'];
/** Where people keep what it has said while it ran. */
const outputNames = ['backup.log', 'xtrabackup.log', 'mariabackup.log', 'mariadb-backup.log'];

export const xtrabackupFolder: FolderFormat = {
  what: 'a folder of xtrabackup',
  isLike: ({ files }) => files.some((name) => textNames.test(name)) || files.includes('backup-my.cnf'),
  judge: async (folder, reading, progress) => {
    await checkOutput(folder);
    const names = folder.files.filter((name) => textNames.test(name));
    const texts = new Map<string, string>();
    for (const name of names.filter((n) => !/\.\w+$/.test(n))) texts.set(name, (await textIn(folder, name)) ?? '');
    const told = toldByXtrabackup(texts);
    const bare = new Map(names.map((name) => [name.replace(/\.\w+$/, ''), name]));
    const info = infoName(bare);
    if (info === undefined) {
      throw new Fault('not_finished', 'xtrabackup_info, which is written last, is not there', 'end');
    }
    if (!['xtrabackup_checkpoints', 'mariadb_backup_checkpoints'].some((name) => bare.has(name))) {
      throw new Fault('parts_missing', 'xtrabackup_checkpoints is not there', 'parts');
    }
    if (texts.has(info) && told.finishedAtMs === undefined) {
      throw new Fault('not_finished', `${info} does not say when the backup ended`, 'end');
    }
    const tables = checkParts(folder);
    progress.rungs.push({
      rung: 'parts',
      ok: true,
      why: `system tablespace, redo log and ${String(tables)} tables are there`,
    });
    await readAll(folder, reading, progress, {
      end: (name, { readBytes }) => {
        if (!ofPages.test(name)) return;
        if (readBytes === 0) throw new Fault('truncated', `${name} is empty`, 'parts');
        if (readBytes % pageBytes !== 0) throw new Fault('truncated', `${name} ends within a page`, 'parts');
      },
    });
    return { told: { ...told, tables }, why: `${info} is there and says when it ended` };
  },
};

function checkParts({ files }: Folder): number {
  const has = (expression: RegExp): boolean => files.some((name) => expression.test(name));
  if (!has(/^ibdata1(\.\w+)*$/)) throw new Fault('parts_missing', 'ibdata1 is not there', 'parts');
  if (!files.some((name) => logNames.some((log) => name.startsWith(log)))) {
    throw new Fault('parts_missing', 'the redo log is not there', 'parts');
  }
  // incremental: changed pages in NAME.delta (with NAME.meta beside), new tables whole
  for (const name of files) {
    const meta = name.replace(/\.delta(\.\w+)?$/, '.meta');
    if (/\.delta(\.\w+)?$/.test(name) && !files.some((other) => other.startsWith(meta))) {
      throw new Fault('parts_missing', `${meta} is not there`, 'parts');
    }
  }
  return files.filter((name) => /\/[^/]+\.(ibd|MAI|MYI|new)(\.\w+)?$/.test(name)).length;
}

/** Its last line is `completed OK!`; kept in the folder, or beside it under its name. */
async function checkOutput(folder: Folder): Promise<void> {
  for (const path of [...outputNames.map((name) => join(folder.path, name)), `${folder.path}.log`]) {
    const text = await smallText(path);
    if (text !== undefined && !text.trimEnd().endsWith('completed OK!')) {
      throw new Fault('not_finished', `the last line of ${path} is not "completed OK!"`, 'end');
    }
  }
}
