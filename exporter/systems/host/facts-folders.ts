// The folders that must not run full: how much is free, on which file system, and when it is full.
import { readFile } from 'node:fs/promises';
import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { classOf, codeOf, messageOf } from '../../runtime/errors.ts';
import { until, within } from '../../runtime/deadline.ts';
import type { HostClient, Space } from './client.ts';
import { FillHistory, type Filling } from './facts-filling.ts';
import { mountOf, parseMounts, type Mount } from './facts-proc.ts';
import type { FolderState } from './state.ts';

export interface Folder {
  readonly name: string;
  /** As written in the inventory. */
  readonly path: string;
  readonly state: FolderState;
  readonly why: string;
  readonly space: Space | undefined;
  readonly mount: Mount | undefined;
  readonly filling: Filling;
}

export const hostFoldersFact = factKey<readonly Folder[]>('host_folders');

export type FolderMemory = Map<string, FillHistory>;

/** A local file system answers in microseconds; one that takes longer than this is late, and the others are told in time. */
const patienceMs = 2000;

/** One that hangs or is away does not hide the others. */
export async function readFolders(client: HostClient, call: Call, memory: FolderMemory): Promise<readonly Folder[]> {
  const { folders, window } = client.address;
  // This program's own view: the paths are its own too.
  const mounts = parseMounts(await until(call.signal, 'the list of mounts', readFile('/proc/self/mountinfo', 'utf8')));
  return await Promise.all(
    Object.entries(folders).map(async ([name, path]) => {
      const history = memory.get(name) ?? new FillHistory(window);
      memory.set(name, history);
      try {
        const space = await client.space({ ...call, signal: within(patienceMs, call.signal) }, path);
        const mount = mountOf(space.path, mounts);
        history.add(call.clock.monoMs(), space.availBytes);
        const isReadOnly = mount?.readOnly === true;
        const why = isReadOnly ? `${mount.mountPoint} is mounted read-only` : '';
        return { name, path, state: isReadOnly ? 'read_only' : 'ok', why, space, mount, filling: history.filling };
      } catch (error) {
        const why = `${path}: ${messageOf(error)}`;
        return {
          name,
          path,
          state: stateOf(error),
          why,
          space: undefined,
          mount: undefined,
          filling: { state: 'unknown', why },
        };
      }
    }),
  );
}

function stateOf(error: unknown): FolderState {
  const code = codeOf(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'missing';
  if (code === 'EACCES' || code === 'EPERM') return 'denied';
  return classOf(error) === 'deadline' ? 'late' : 'unknown';
}
