// A container engine of the lab's own: podman with its images, containers and API socket in one folder, no registry, no
// network of its own. Its images are made of the host's static busybox.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { accessSync, copyFileSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../../exporter/runtime/errors.ts';
import { socketAnswers, waitFor } from './ready.ts';

const run = promisify(execFile);
const commandMs = 60_000;
const startMs = 30_000;
const applets = ['sh', 'sleep', 'date', 'echo', 'cat', 'mkdir', 'httpd'];
const busybox = ['/usr/bin/busybox', '/bin/busybox'];

const image = 'pipemedic-lab';

export interface ContainerEngine extends AsyncDisposable {
  /** Of its API, compatible with Docker's. */
  readonly socket: string;
  /** @throws with what podman has said */
  readonly podman: (...args: readonly string[]) => Promise<string>;
  /** Makes a container of the lab's image, with the network of the host, and does not start it. */
  readonly create: (name: string, argv: readonly string[], options?: readonly string[]) => Promise<void>;
}

/** Ends with `why` where there is no engine that can run a container; what it has made until then is removed. */
export async function startContainerEngine(
  dir: string,
): Promise<{ readonly engine: ContainerEngine } | { readonly why: string }> {
  const program = busybox.find(exists);
  if (program === undefined) return { why: 'there is no busybox to make an image of (Debian: busybox-static)' };
  mkdirSync(join(dir, 'root', 'bin'), { recursive: true });
  const socket = join(dir, 'engine.sock');
  // vfs: the folder may lie on an overlay itself. runc and cgroupfs: crun fails on hybrid cgroups (seen on Debian 12).
  const globals = [
    ...['--root', join(dir, 'store'), '--runroot', join(dir, 'run')],
    ...['--storage-driver=vfs', '--runtime=runc', '--cgroup-manager=cgroupfs'],
  ];
  const podman = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await run('podman', [...globals, ...args], { timeout: commandMs });
    return stdout;
  };
  const create = async (name: string, argv: readonly string[], options: readonly string[] = []): Promise<void> => {
    // the limits of the host may be lower than what podman asks for
    const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
    await podman('create', '--name', name, '--network=host', ...limits, ...options, image, ...argv);
  };
  let service: ChildProcess | undefined;
  const end = async (): Promise<void> => {
    await podman('rm', '--all', '--force', '--time', '0').catch(() => undefined);
    if (service !== undefined && service.exitCode === null && service.signalCode === null) {
      const ended = new Promise((resolve) => service?.once('exit', resolve));
      service.kill('SIGTERM');
      await ended;
    }
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    copyFileSync(program, join(dir, 'root', 'bin', 'busybox'));
    for (const name of applets) symlinkSync('busybox', join(dir, 'root', 'bin', name));
    await run('tar', ['-C', join(dir, 'root'), '-cf', join(dir, 'root.tar'), '.'], { timeout: commandMs });
    await podman('import', join(dir, 'root.tar'), image);
    await create('probe', ['/bin/echo', 'it runs']);
    await podman('start', '--attach', 'probe');
    await podman('rm', 'probe');
    service = spawn('podman', [...globals, 'system', 'service', '--time=0', `unix://${socket}`], { stdio: 'ignore' });
    service.on('error', () => undefined);
    await waitFor((signal) => socketAnswers(socket, signal), { deadlineMs: startMs, what: 'the socket of podman' });
    return { engine: { socket, podman, create, [Symbol.asyncDispose]: end } };
  } catch (error) {
    await end();
    return { why: `podman runs no container here: ${messageOf(error).slice(0, 300)}` };
  }
}

function exists(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}
