// Listening on a unix socket that only its owner can open, and never in the place of somebody who listens there.
import { linkSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { codeOf, ConfigError, messageOf } from './errors.ts';

/**
 * Listens on `path` with mode 0600. What a dead process left there is removed; anything else is left alone.
 * @throws ConfigError when something else is there or somebody listens; what the system says of the place otherwise
 */
export async function listenOnPath(server: Server, path: string): Promise<void> {
  await removeStale(path);
  // bind(2) makes the file with the mode that umask leaves: it must not be open to others even for a moment.
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
      process.umask(before); // listen() on a path has bound when it returns
    });
  } finally {
    process.umask(before);
  }
}

let asides = 0;

async function removeStale(path: string): Promise<void> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return;
  // connect(2) says ECONNREFUSED for a file of any other kind too
  if (!there.isSocket()) throw new ConfigError(path, ['there is something else than a socket; choose another path']);
  if (await isAnswered(path)) throw new ConfigError(path, ['another program listens on this socket']);
  // Another program may have taken its place since: so it is judged where no other finds it, and put back if it lives.
  asides += 1;
  const aside = `${path}.${String(process.pid)}-${String(asides)}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return; // another program has removed it
    throw error;
  }
  try {
    if (!(await isAnswered(aside))) return;
    linkSync(aside, path);
  } finally {
    unlinkSync(aside);
  }
  throw new ConfigError(path, ['another program listens on this socket']);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => {
      const code = codeOf(error);
      // One whose queue is full says EAGAIN (unix(7), connect(2)): it lives.
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false);
      else reject(new ConfigError(path, [messageOf(error)]));
    });
  });
}
