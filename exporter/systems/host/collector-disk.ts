import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { HostClient } from './client.ts';
import { hostFoldersFact, readFolders, type Folder, type FolderMemory } from './facts-folders.ts';
import { folderFamilies } from './families.ts';
import { fillingStates, folderStates, type FolderState } from './state.ts';

type FolderEmit = Emit<typeof folderFamilies>;

export const hostDisk = collectorOf<HostClient>()({
  name: 'disk',
  help: 'Free space and inodes of the folders named, and when they are full.',
  keeps: 'how folders filled up: the time until they are full',
  config: z.strictObject({}),
  families: folderFamilies,
  state: (): FolderMemory => new Map(),
  async collect({ client, emit, call, state }) {
    const folders = await readFolders(client, call, state);
    call.board.publish(call.target, hostFoldersFact, known(folders, call.clock.wallMs()));
    // Folders of one file system have it in common.
    const mounts = new Map(folders.map((folder) => [folder.mount?.mountPoint ?? '', folder]));
    for (const folder of mounts.values()) emitMount(emit, folder);
    for (const folder of folders) emitFolder(emit, folder);
  },
  unknown({ emit, call, state, why }) {
    call.board.publish(call.target, hostFoldersFact, unknown(why));
    for (const folder of state.keys()) emitStates(emit, folder, 'unknown', 'unknown');
  },
});

function emitMount(emit: FolderEmit, { space, mount }: Folder): void {
  if (space === undefined || mount === undefined) return;
  const labels = { device: mount.device, fstype: mount.type, mountpoint: mount.mountPoint };
  emit.avail(space.availBytes, labels);
  emit.free(space.freeBytes, labels);
  emit.size(space.sizeBytes, labels);
  emit.inodes(space.inodes, labels);
  emit.inodesFree(space.inodesFree, labels);
  emit.readOnly(mount.readOnly ? 1 : 0, labels);
}

function emitFolder(emit: FolderEmit, { name: folder, path, state, space, mount, filling }: Folder): void {
  emitStates(emit, folder, state, filling.state);
  if (space === undefined) return;
  emit.folderAvail(space.availBytes, { folder });
  emit.folderSize(space.sizeBytes, { folder });
  if (space.inodes > 0) emit.folderInodes(space.inodesFree / space.inodes, { folder });
  if (filling.state === 'filling') emit.fullIn(filling.fullInSeconds, { folder });
  if (mount === undefined) return;
  const { device, type: fstype, mountPoint: mountpoint } = mount;
  emit.info(1, { folder, path, device, fstype, mountpoint });
}

function emitStates(
  emit: FolderEmit,
  folder: string,
  state: FolderState,
  filling: (typeof fillingStates)[number],
): void {
  emitState(
    (value, of) => {
      emit.folderState(value, { folder, state: of });
    },
    folderStates,
    state,
  );
  emitState(
    (value, of) => {
      emit.filling(value, { folder, state: of });
    },
    fillingStates,
    filling,
  );
}
