import { readFile, realpath, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Call } from '../../collector.ts';
import { until } from '../../runtime/deadline.ts';
import { asTargetError } from '../../runtime/errors.ts';
import type { Opening, TargetClient } from '../../system.ts';
import type { HostAddress } from './address.ts';

export interface HostClient extends TargetClient {
  readonly address: HostAddress;
  /** A file of proc(5), by its path below it. */
  readonly proc: (call: Call, path: string) => Promise<string>;
  readonly space: (call: Call, path: string) => Promise<Space>;
}

/** What statfs(2) tells, as node_exporter counts it. */
export interface Space {
  /** Links resolved. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly freeBytes: number;
  /** Free for users other than root: what counts for a server. */
  readonly availBytes: number;
  readonly inodes: number;
  readonly inodesFree: number;
}

// A call on a file system that hangs (NFS, a dead disk) cannot be ended and keeps one of the few threads that Node has for
// files: there is never a second one for the same folder, also not from a client that was opened anew.
const looking = new Map<string, Promise<Space>>();

/** Up means that proc(5) can be read. */
export function openHost({ address }: Opening<HostAddress>): HostClient {
  const proc = async (call: Call, path: string): Promise<string> => {
    const file = join(address.proc, path);
    return await until(call.signal, `reading ${file}`, readFile(file, 'utf8'));
  };
  return {
    address,
    proc,
    space: (call, path) => until(call.signal, `looking at ${path}`, spaceOf(path)),
    ping: async (call) => {
      try {
        await proc(call, 'stat');
      } catch (error) {
        throw asTargetError(error, `${address.proc} is not proc(5)`);
      }
    },
    usable: () => true,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function spaceOf(path: string): Promise<Space> {
  const running = looking.get(path);
  if (running !== undefined) return running;
  const now = look(path).finally(() => looking.delete(path));
  looking.set(path, now);
  return now;
}

async function look(path: string): Promise<Space> {
  const real = await realpath(path);
  const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(real);
  return {
    path: real,
    sizeBytes: blocks * bsize,
    freeBytes: bfree * bsize,
    availBytes: bavail * bsize,
    inodes: files,
    inodesFree: ffree,
  };
}
