// A command of the host, as an argv: never through a shell. Its whole process group is ended with the signal.
import { spawn } from 'node:child_process';
import { codeOf, messageOf } from '../../exporter/runtime/errors.ts';

export type CommandResult =
  /** It was not even begun. */
  | { readonly is: 'not_run'; readonly code: string; readonly message: string }
  | { readonly is: 'ended'; readonly exitCode: number; readonly stdout: string; readonly stderr: string };

export interface CommandOptions {
  /** A longer output is given up. */
  readonly maxBytes: number;
}

/** @throws when it was begun and had no end of its own: the deadline, a signal, too much output */
export function runArgv(
  argv: readonly string[],
  signal: AbortSignal,
  { maxBytes }: CommandOptions,
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const [program = '', ...args] = argv;
    if (signal.aborted) {
      resolve({ is: 'not_run', code: 'not_sent', message: 'the deadline was over before the command' });
      return;
    }
    // Texts are recognised: they must be in English whatever the locale of this program.
    const env = { ...process.env, LC_ALL: 'C', LANG: 'C', SYSTEMD_COLORS: '0', SYSTEMD_PAGER: '' };
    const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let size = 0;
    let why: Error | undefined;
    const end = (error: Error): void => {
      why ??= error;
      try {
        if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
          process.kill(-child.pid, 'SIGKILL');
      } catch {
        child.kill('SIGKILL'); // it may have become the subject of another user by sudo: then its pipes are all we have
      }
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const onAbort = (): void => {
      end(new Error('the command had no end before the deadline', { cause: signal.reason }));
      settle();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const take = (into: Buffer[]) => (piece: Buffer) => {
      into.push(piece);
      size += piece.length;
      if (size > maxBytes) end(new Error('the command writes too much'));
    };
    child.stdout.on('data', take(out));
    child.stderr.on('data', take(err));
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort);
      if (why !== undefined) reject(why);
      else if (child.exitCode === null)
        reject(new Error(`the command was ended by ${child.signalCode ?? 'something'}`));
      else {
        const text = (pieces: readonly Buffer[]): string => Buffer.concat(pieces).toString('utf8');
        resolve({ is: 'ended', exitCode: child.exitCode, stdout: text(out), stderr: text(err) });
      }
    };
    child.once('error', (error) => {
      signal.removeEventListener('abort', onAbort);
      if (child.pid === undefined)
        resolve({ is: 'not_run', code: codeOf(error) ?? 'not_run', message: messageOf(error) });
      else reject(error);
    });
    child.once('close', settle);
  });
}
