// A file beside the store that only takes room: given back when the disk is full, so that a run that is under way can
// still write down what it does.
import { open, rm, stat } from 'node:fs/promises';
import { codeOf } from '../../exporter/runtime/errors.ts';
import { StoreError, type Store } from './store.ts';

/** A run writes some tens of entries of a few kB each. */
const ballastBytes = 8 * 1024 * 1024;

/** The writes of a run go on once over a full disk; the file comes back when the store has been cleaned up. */
export async function withBallast(store: Store, file: string, bytes = ballastBytes): Promise<Store> {
  const fill = async (): Promise<void> => {
    if ((await sizeOf(file)) === bytes) return;
    try {
      await writeFull(file, bytes);
    } catch {
      await rm(file, { force: true }); // half a ballast takes room that others need now
    }
  };
  /** @returns whether there was something to give back */
  const free = async (): Promise<boolean> => {
    const size = await sizeOf(file);
    await rm(file, { force: true });
    return size > 0;
  };
  const over = async <T>(write: () => Promise<T>): Promise<T> => {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'full' || !(await free())) throw error;
      return await write();
    }
  };
  await fill();
  return {
    ...store,
    appendJournal: (...args) => over(() => store.appendJournal(...args)),
    renewLease: (...args) => over(() => store.renewLease(...args)),
    setRun: (...args) => over(() => store.setRun(...args)),
    endRun: (...args) => over(() => store.endRun(...args)),
    prune: async (...args) => {
      const result = await store.prune(...args);
      if (!result.more) await fill();
      return result;
    },
  };
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0;
    throw error;
  }
}

/** Written, not only named: a file with holes takes no room. */
async function writeFull(file: string, bytes: number): Promise<void> {
  await using handle = await open(file, 'w', 0o600);
  const block = Buffer.alloc(256 * 1024, 0x70);
  for (let written = 0; written < bytes; written += block.length) {
    await handle.write(block, 0, Math.min(block.length, bytes - written));
  }
  await handle.sync();
}
