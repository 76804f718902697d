// The append-only files of Redis 7 and newer, or of Valkey: a manifest, one base (RDB or commands), and what was added.
import { aofFormat } from './facts-format-aof.ts';
import type { FormatInspector } from './facts-format.ts';
import { readAll, textIn, type FolderFormat } from './facts-folder.ts';
import { rdbFormat } from './facts-format-rdb.ts';
import { Fault } from './facts-verdict.ts';

export const aofFolder: FolderFormat = {
  what: 'a folder of append-only files of Redis',
  isLike: ({ files }) => files.some((name) => name.endsWith('.manifest')),
  judge: async (folder, reading, progress) => {
    const manifests = folder.files.filter((name) => name.endsWith('.manifest'));
    const [manifest] = manifests;
    if (manifest === undefined || manifests.length > 1) {
      throw new Fault('parts_missing', `it has ${String(manifests.length)} manifests, and not one`, 'parts');
    }
    const parts = partsOf((await textIn(folder, manifest)) ?? '');
    for (const { name } of parts) {
      if (!folder.files.includes(name)) throw new Fault('parts_missing', `${name} is not there`, 'parts');
    }
    progress.rungs.push({
      rung: 'parts',
      ok: true,
      why: `each of the ${String(parts.length)} files of its manifest is there`,
    });
    let inspector: FormatInspector | undefined;
    let startedAtMs: number | undefined;
    await readAll(folder, reading, progress, {
      only: (name) => parts.some((part) => part.name === name),
      begin: (_name, head) => {
        const format = [rdbFormat, aofFormat].find((f) => f.isLike(head));
        if (format === undefined) throw new Fault('corrupt', 'it is neither RDB nor commands', 'format');
        return (inspector = format.inspect(head));
      },
      end: (name, { tail, contentBytes }) => {
        if (contentBytes === 0) {
          // Redis opens a new file of additions before there are any.
          if (parts.some((part) => part.name === name && part.type === 'b'))
            throw new Fault('empty', `${name} is empty`, 'parts');
          return;
        }
        const seen = inspector?.end({ tail, contentBytes });
        startedAtMs = seen?.told.startedAtMs ?? startedAtMs;
      },
    });
    return { told: { tool: 'redis', startedAtMs }, why: 'each of its files ends after a whole command or RDB' };
  },
};

interface Part {
  readonly name: string;
  readonly type: string;
}

/** `file appendonly.aof.2.base.rdb seq 2 type b`; history (h) is what Redis has not deleted yet. */
function partsOf(manifest: string): readonly Part[] {
  const parts: Part[] = [];
  for (const line of manifest.split('\n').filter((l) => l.trim() !== '' && !l.startsWith('#'))) {
    const [, name = '', type = ''] = /^file "?([^"]+?)"? seq \d+ type ([bhi])\b/.exec(line) ?? [];
    if (name === '' || name.includes('/'))
      throw new Fault('corrupt', `its manifest has a line of no known form`, 'parts');
    if (type !== 'h') parts.push({ name, type });
  }
  if (parts.length === 0) throw new Fault('corrupt', 'its manifest names no file', 'parts');
  return parts;
}
