// The remediator as a program of its own on the Maxwell of a lab, and a tiny Alertmanager that says the alert is active.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dump, load } from 'js-yaml';
import { ports } from '../../deploy/lab/address.ts';
import { waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { openSqlite } from '../../remediator/store/sqlite.ts';
import type { JournalEntry, Run } from '../../remediator/model.ts';
import { quickParams, seedFence } from './maxwell-repair.ts';

const main = join(import.meta.dirname, '..', '..', 'remediator', 'main.ts');
const labels = { alertname: 'MaxwellDown', target: 'maxwell1' };
const startsAt = new Date().toISOString();

/** Answers as Alertmanager's API v2 does, and takes whatever is posted. */
export async function tinyAlertmanager(address: string): Promise<{ readonly url: string; readonly close: () => void }> {
  const server = createServer((request, response) => {
    request.resume();
    response.setHeader('Content-Type', 'application/json');
    const status = { state: 'active', silencedBy: [], inhibitedBy: [] };
    response.end(request.method === 'GET' ? JSON.stringify([{ labels, startsAt, status }]) : '{}');
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  server.unref();
  return {
    url: `http://${address}:${(server.address() as AddressInfo).port}`,
    close: () => void server.close(),
  };
}

export interface Program {
  readonly child: ChildProcess;
  /** Resolves with the signal or code of its end. */
  readonly ended: Promise<NodeJS.Signals | number | null>;
  readonly isRunning: () => boolean;
  readonly log: () => string;
  readonly kill: () => Promise<void>;
}

/**
 * From now on the program is killed as one of its threads enters that call for the n-th time: strace counts per thread
 * (strace(1), --follow-forks with --attach, and --inject). It goes with the process that it traces.
 */
export async function killAtCall(program: Pick<Program, 'child'>, calls: string, n: number): Promise<void> {
  const { pid } = program.child;
  if (pid === undefined) throw new Error('the program did not start');
  const inject = ['-e', `trace=${calls}`, '-e', `inject=${calls}:signal=KILL:when=${n}`];
  const strace = spawn('strace', ['-f', '-o', '/dev/null', ...inject, '-p', String(pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  strace.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  await waitFor(() => said.includes('attached'), { what: 'strace to attach', detail: () => said });
}

/** A store, an evidence folder and the two configuration files, all new. */
export class RemediatorHome {
  readonly dir = mkdtempSync(join(tmpdir(), 'pipemedic-kill9-'));
  readonly store = join(this.dir, 'store.db');
  readonly #lab: Lab;
  readonly #url: string;

  /** @param fence the highest that the supervisor has seen: a store that has been in use is never behind it */
  constructor(lab: Lab, alertmanager: string, fence: number, supervisorSocket = lab.files.supervisorSocket) {
    this.#lab = lab;
    this.#url = `http://${lab.address}:${ports.remediator}`;
    const token = join(this.dir, 'token');
    writeFileSync(token, 'webhook-token\n', { mode: 0o600 });
    mkdirSync(join(this.dir, 'evidence'));
    const document = load(readFileSync(lab.files.pipemedic, 'utf8')) as Record<string, unknown>;
    const remediation = {
      store: this.store,
      evidence_dir: join(this.dir, 'evidence'),
      switch_file: join(this.dir, 'PAUSED'),
      webhook: { token_files: [token] },
      sources: [{ name: 'main', alertmanagers: [{ url: alertmanager }] }],
      auth: { db1: { user: 'remediator', password_file: lab.secretFile('remediator') } },
      supervisors: { maxwell1: { kind: 'process', socket: supervisorSocket } },
      api: { token_files: [token] },
    };
    writeFileSync(join(this.dir, 'pipemedic.yml'), dump({ ...document, remediation }));
    const policy = {
      name: 'maxwell-down',
      match: { alertname: 'MaxwellDown' },
      action: 'maxwell.restart',
      mode: 'auto',
      params: quickParams,
      pace: { cooldown: '1s' },
      soak: '1s',
    };
    seedFence(this.store, fence);
    writeFileSync(join(this.dir, 'policies.yml'), dump({ policies: [policy] }));
  }

  start(): Program {
    const args = [
      main,
      'serve',
      `--config.file=${join(this.dir, 'pipemedic.yml')}`,
      `--policies.file=${join(this.dir, 'policies.yml')}`,
      `--web.listen-address=${this.#lab.address}:${ports.remediator}`,
    ];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: this.dir });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
    let isRunning = true;
    const ended = new Promise<NodeJS.Signals | number | null>((resolve) => {
      child.once('exit', (code, signal) => {
        isRunning = false;
        resolve(signal ?? code);
      });
    });
    const kill = async (): Promise<void> => {
      child.kill('SIGKILL');
      await ended;
    };
    return { child, ended, isRunning: () => isRunning, log: () => log, kill };
  }

  async ready(program: Program): Promise<void> {
    await waitFor(async (signal) => (await fetch(`${this.#url}/-/ready`, { signal })).ok, {
      what: 'the remediator to be ready',
      detail: program.log,
    });
  }

  /** Delivers the alert as Alertmanager does: again until it is taken. False: the program ended before. */
  async deliver(program: Program): Promise<boolean> {
    return await waitFor(
      async (signal) => {
        if (!program.isRunning()) return 'ended' as const;
        const alert = {
          status: 'firing',
          labels,
          annotations: {},
          startsAt,
          endsAt: '0001-01-01T00:00:00Z',
          fingerprint: 'f',
        };
        const response = await fetch(`${this.#url}/webhook/main`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json', Authorization: 'Bearer webhook-token' },
          body: JSON.stringify({
            version: '4',
            status: 'firing',
            receiver: 'r',
            groupKey: 'g',
            alerts: [alert],
            truncatedAlerts: 0,
          }),
          signal,
        });
        if (response.ok) return 'taken' as const;
        throw new Error(`${response.status}: ${await response.text()}`);
      },
      { what: 'the notification to be taken', intervalMs: 100, detail: program.log },
    ).then((how) => how === 'taken');
  }

  /** Runs with their journals, read beside the program that may be writing. */
  async runs(): Promise<readonly { readonly run: Run; readonly journal: readonly JournalEntry[] }[]> {
    await using store = openSqlite({ file: this.store, readOnly: true });
    const runs = await store.runsOf({ target: 'maxwell1', limit: 20 });
    return await Promise.all(runs.map(async (run) => ({ run, journal: await store.journalOf(run.id) })));
  }

  async verified(program: Program, deadlineMs: number): Promise<readonly JournalEntry[]> {
    return await waitFor(async () => (await this.runs()).find(({ run }) => run.outcome === 'verified')?.journal, {
      deadlineMs,
      what: 'a verified run',
      intervalMs: 200,
      detail: program.log,
    });
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
