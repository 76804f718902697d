// mydumper: a folder with a file per schema and per table or part of it. `metadata` gets its name only at the end (until
// then it is metadata.partial), and says when the dump was finished. https://mydumper.github.io/mydumper/docs/html/files.html
import { localTimeOf } from './facts-format.ts';
import { readAll, textIn, type Folder, type FolderFormat } from './facts-folder.ts';
import { Fault, type Told } from './facts-verdict.ts';

const suffix = /\.(gz|zst)$/;
/** A table's or a view's; `-schema-create` is a database's, `-schema-post` its routines, `-schema-triggers` triggers. */
const ofTable = /^(.+)-schema\.sql$/;
const isSchema = /-schema(-\w+)?\.sql$/;

export const mydumperFormat: FolderFormat = {
  what: 'a folder of mydumper',
  isLike: ({ files }) => files.some((name) => /^metadata(\.partial|\.header)?$/.test(name)),
  judge: async (folder, reading, progress) => {
    const metadata = await textIn(folder, 'metadata');
    if (metadata === undefined) {
      throw new Fault('not_finished', 'it has no file metadata, which is written last', 'end');
    }
    if (!/^(?:# )?Finished dump at: /m.test(metadata)) {
      throw new Fault('not_finished', 'its metadata lack "Finished dump at"', 'end');
    }
    const tables = checkParts(folder, metadata);
    progress.rungs.push({
      rung: 'parts',
      ok: true,
      why: `the schema of each of its ${String(tables)} tables is there`,
    });
    await readAll(folder, reading, progress, {
      end: (name, { tail }) => {
        checkEnd(name, tail);
      },
    });
    const compressed = folder.files.filter((name) => suffix.test(name)).length;
    if (compressed > 0) {
      progress.rungs.push({ rung: 'compression', ok: true, why: `${String(compressed)} files are sound to their end` });
    }
    return { told: { ...toldByMetadata(metadata), tables }, why: 'its metadata say when it was finished' };
  },
};

/** @returns how many tables it has */
function checkParts({ files }: Pick<Folder, 'files'>, metadata: string): number {
  const plain = files.map((name) => name.replace(suffix, ''));
  const tables = new Set(plain.flatMap((name) => ofTable.exec(name)?.[1] ?? []));
  const data = plain.filter((name) => /\.(sql|dat|csv)$/.test(name) && !isSchema.test(name));
  const bases = new Set<string>();
  for (const name of data) {
    const candidates = basesOf(name);
    for (const base of candidates) bases.add(base);
    // With --no-schemas there are none at all.
    if (tables.size > 0 && !candidates.some((base) => tables.has(base))) {
      throw new Fault('parts_missing', `${name} is there without the schema of its table`, 'parts');
    }
  }
  // Since 0.14 the metadata have a section for each table, with its number of rows.
  const sections = metadata.matchAll(/^\[`?([^`\]\n]+)`?\.`?([^`\]\n]+)`?\]\n((?:(?!\[).*\n?)*)/gm);
  let named = 0;
  for (const [, database = '', table = '', body = ''] of sections) {
    named += 1;
    const rows = Number(/^rows = (\d+)/im.exec(body)?.[1] ?? 0);
    const isView = /^is_view = 1/im.test(body);
    if (rows > 0 && !isView && !bases.has(`${database}.${table}`)) {
      throw new Fault('parts_missing', `the rows of ${database}.${table} are not there`, 'parts');
    }
  }
  return Math.max(tables.size, named);
}

/** `shop.orders.00000.00001.sql`: the numbers of parts are left away one by one. A table may be called like a number. */
function basesOf(name: string): readonly string[] {
  const bases = [name.replace(/\.(sql|dat|csv)$/, '')];
  for (;;) {
    const shorter = bases.at(-1)?.replace(/\.\d+$/, '');
    if (shorter === undefined || shorter === bases.at(-1)) return bases;
    bases.push(shorter);
  }
}

/** A file of statements ends with a whole one. */
function checkEnd(name: string, tail: Buffer): void {
  if (!name.replace(suffix, '').endsWith('.sql') || tail.length === 0) return;
  const end = tail.toString('utf8').trimEnd();
  if (!/[;/]$/.test(end) && !/^--.*$/.test(end.split('\n').at(-1) ?? '')) {
    throw new Fault('truncated', `${name} ends within a statement`, 'end');
  }
}

/** All three formats: `SHOW MASTER STATUS:` with Log, Pos, GTID; `[master]` since 0.14; `[source]` with SOURCE_… names. */
export function toldByMetadata(metadata: string): Told {
  const field = (names: string): string | undefined =>
    new RegExp(`^\\s*#?\\s*(?:${names})\\s*[:=]\\s*"?([^"\\n]*?)"?\\s*$`, 'im').exec(metadata)?.[1];
  const section = /^(?:SHOW MASTER STATUS:|\[(?:master|source)\])\n((?:(?!\[|SHOW|Finished|# Finished).*\n?)*)/im;
  const own = section.exec(metadata)?.[1] ?? '';
  const [file, position] = [inSection(own, 'Log|File|SOURCE_LOG_FILE'), inSection(own, 'Pos|Position|SOURCE_LOG_POS')];
  const gtid = inSection(own, 'GTID|Executed_Gtid_Set')?.replace(/\s+/g, '');
  const hasFile = file !== undefined && position !== undefined && /^\d+$/.test(position);
  return {
    tool: 'mydumper',
    toolVersion: /^# (?:mydumper|MyDumper).*?(\d+\.\d+[\w.-]*)/m.exec(metadata)?.[1],
    startedAtMs: localTimeOf(field('Started dump at')),
    finishedAtMs: localTimeOf(field('Finished dump at')),
    coordinates:
      hasFile || gtid !== undefined
        ? {
            position: hasFile ? { file, position: Number(position) } : undefined,
            gtid,
            of: 'server',
            from: 'metadata',
          }
        : undefined,
  };
}

function inSection(text: string, names: string): string | undefined {
  const found = new RegExp(`^\\s*#?\\s*(?:${names})\\s*[:=]\\s*["']?([^"'\\n]*)["']?\\s*$`, 'im').exec(text)?.[1];
  return found === '' ? undefined : found;
}
