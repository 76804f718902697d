// A database server of our own for a test restore: in a new folder, without a network, ended and removed afterwards. No
// other server is ever spoken to, so that nothing can be dropped that was not made here.
import type { ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { within } from '../../runtime/deadline.ts';
import { paused } from '../../runtime/repeat.ts';
import { endOf, killGroup, reasonOf, runProcess, startProcess, type RunAt } from './background-restore-process.ts';
import { RestoreFault } from './facts-restore.ts';

export interface Programs {
  /** mariadbd or mysqld. */
  readonly server: string;
  /** mariadb or mysql. */
  readonly client: string;
  /** mariadb-install-db; MySQL's server does it itself. */
  readonly install: string;
}

export interface ScratchServer extends AsyncDisposable {
  readonly version: string;
  readonly socket: string;
  /** The client, connected to it; its input is the caller's. */
  readonly client: (options: readonly string[]) => ChildProcess;
  /** Starts it anew without grants: what was restored may have brought its own accounts. */
  readonly restartWithoutGrants: (signal: AbortSignal) => Promise<void>;
}

const prefix = 'pipemedic_restore_';
const startMs = 120_000;
const installMs = 120_000;
const stopMs = 600_000;
const pidFile = 'scratch-server.pid';
const ownerFile = 'owner';
/** sockaddr_un(7): 108 bytes with the end. */
const socketAtMost = 107;

/** @throws RestoreFault `server` */
export async function startScratchServer(
  programs: Programs,
  parent: string,
  signal: AbortSignal,
): Promise<ScratchServer> {
  await removeLeftovers(parent);
  const home = await mkdtemp(join(parent, prefix));
  const scratch = new Scratch(programs, home);
  try {
    await scratch.install(signal);
    await scratch.start([], signal);
    return scratch;
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

/** Of an exporter that was killed. A folder that another one works in, or that was not made here, is left alone. */
async function removeLeftovers(parent: string): Promise<void> {
  for (const entry of await readdir(parent, { withFileTypes: true })) {
    if (!entry.isDirectory() || !entry.name.startsWith(prefix)) continue;
    const home = join(parent, entry.name);
    const owner = await textOf(join(home, ownerFile));
    if (owner === undefined || owner === (await identityOf(Number(owner.split(' ')[0])))) continue;
    const pid = Number(await textOf(join(home, pidFile)));
    const command = Number.isInteger(pid) && pid > 1 ? await textOf(`/proc/${pid}/cmdline`) : undefined;
    if (command?.includes(`--datadir=${home}/`) === true) process.kill(pid, 'SIGKILL');
    await rm(home, { recursive: true, force: true });
  }
}

async function textOf(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined);
}

/** A process and when it was started: in a container every exporter may have the same id. proc_pid_stat(5), field 22. */
async function identityOf(pid: number): Promise<string | undefined> {
  const stat = await textOf(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''}`;
}

class Scratch implements ScratchServer {
  readonly #programs: Programs;
  readonly #home: string;
  readonly socket: string;
  version = '';
  #isMariadb = true;
  #server: ChildProcess | undefined;

  constructor(programs: Programs, home: string) {
    this.#programs = programs;
    this.#home = home;
    this.socket = join(home, 's');
  }

  get #user(): readonly string[] {
    return process.getuid?.() === 0 ? [`--user=${userInfo().username}`] : [];
  }

  async install(signal: AbortSignal): Promise<void> {
    const data = join(this.#home, 'data');
    await writeFile(join(this.#home, ownerFile), (await identityOf(process.pid)) ?? '');
    if (Buffer.byteLength(this.socket) > socketAtMost) {
      throw new RestoreFault('server', `scratch_directory is too long a path for a socket: ${this.socket}`);
    }
    await mkdir(data, { mode: 0o700 });
    await mkdir(join(this.#home, 'tmp'), { mode: 0o700 });
    await mkdir(join(this.#home, 'plugins'), { mode: 0o700 });
    const limit = within(installMs, signal);
    const version = await runProcess(this.#programs.server, ['--no-defaults', '--version'], this.#at(limit));
    this.version = version.trim().slice(0, 200);
    this.#isMariadb = /mariadb/i.test(version);
    const folders = [`--datadir=${data}`, `--tmpdir=${join(this.#home, 'tmp')}`, ...this.#user];
    if (this.#isMariadb) {
      const options = ['--no-defaults', ...folders, '--auth-root-authentication-method=normal', '--skip-test-db'];
      await runProcess(this.#programs.install, options, this.#at(limit));
    } else {
      await runProcess(this.#programs.server, ['--no-defaults', '--initialize-insecure', ...folders], this.#at(limit));
    }
  }

  /** Nothing of it reaches further than its folder: no network, no events of the dump, no replication, no files. */
  async start(more: readonly string[], signal: AbortSignal): Promise<void> {
    const options = [
      '--no-defaults',
      `--datadir=${join(this.#home, 'data')}`,
      `--tmpdir=${join(this.#home, 'tmp')}`,
      `--socket=${this.socket}`,
      `--pid-file=${join(this.#home, 'server.pid')}`,
      `--log-error=${join(this.#home, 'server.log')}`,
      `--secure-file-priv=${join(this.#home, 'tmp')}`,
      '--skip-networking',
      // Without it DATA DIRECTORY of a table is followed, and its file is left there (seen on MariaDB 10.11)
      '--loose-skip-symbolic-links',
      // INSTALL SONAME in a dump finds nothing: an engine such as FEDERATED would speak to other servers, a function run code
      `--plugin-dir=${join(this.#home, 'plugins')}`,
      '--event-scheduler=OFF',
      '--loose-skip-slave-start',
      '--loose-skip-replica-start',
      '--local-infile=0',
      '--skip-log-bin',
      '--innodb-flush-log-at-trx-commit=0',
      '--innodb-buffer-pool-size=128M',
      '--max-allowed-packet=1G',
      // GTID_PURGED of a dump is refused without
      ...(this.#isMariadb ? [] : ['--loose-mysqlx=OFF', '--gtid-mode=ON', '--enforce-gtid-consistency=ON']),
      ...this.#user,
      ...more,
    ];
    const server = startProcess(this.#programs.server, options, 'ignore', this.#home);
    if (server.pid === undefined) throw new RestoreFault('server', 'the scratch server cannot be started');
    this.#server = server;
    await writeFile(join(this.#home, pidFile), String(server.pid));
    const limit = within(startMs, signal);
    for (;;) {
      if (limit.aborted) throw new RestoreFault(reasonOf(signal), 'the scratch server does not answer');
      if (server.exitCode !== null || server.signalCode !== null) throw await this.#ended();
      try {
        await runProcess(this.#programs.client, [...this.#login, '--execute=SELECT 1'], this.#at(limit));
        return;
      } catch {
        await paused(100, limit);
      }
    }
  }

  get #login(): readonly string[] {
    return ['--no-defaults', `--socket=${this.socket}`, '--protocol=socket', '--user=root'];
  }

  #at(signal: AbortSignal): RunAt {
    return { signal, home: this.#home, reason: 'server' };
  }

  async #ended(): Promise<RestoreFault> {
    const log = await readFile(join(this.#home, 'server.log'), 'utf8').catch(() => '');
    const last = log.split('\n').findLast((line) => line.includes('[ERROR]'));
    return new RestoreFault('server', `the scratch server has ended: ${(last ?? 'it says nothing').slice(0, 300)}`);
  }

  client(options: readonly string[]): ChildProcess {
    return startProcess(this.#programs.client, [...this.#login, ...options], 'pipe', this.#home);
  }

  async restartWithoutGrants(signal: AbortSignal): Promise<void> {
    const server = this.#server;
    if (server !== undefined) {
      const ended = endOf(server);
      server.kill('SIGTERM');
      const limit = within(stopMs, signal);
      await Promise.race([ended, paused(stopMs, limit)]);
      // Killed, it might have lost what it was told last.
      if (limit.aborted) throw new RestoreFault(reasonOf(signal), 'the scratch server does not end');
    }
    await this.start(['--skip-grant-tables'], signal);
  }

  /** What is in the folder is worth nothing, so the server is given no time. */
  async [Symbol.asyncDispose](): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) {
      const ended = endOf(server);
      killGroup(server);
      await ended;
    }
    await rm(this.#home, { recursive: true, force: true });
  }
}
