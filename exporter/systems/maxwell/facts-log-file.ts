// Follows Maxwell's log from sweep to sweep.
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Call } from '../../collector.ts';
import { codeOf, messageOf, TargetError } from '../../runtime/errors.ts';
import { LogTail, type TailMark, type TailReport } from '../../runtime/log-tail.ts';
import { LogReader } from './facts-log.ts';

/** What is kept of a log while tails come and go. */
export class LogFollower {
  readonly reader = new LogReader();
  /** Of the last look; undefined before the first. */
  report: TailReport | undefined;
  /** Where the first look began. */
  began: TailReport['began'];
  /** Over all tails. */
  gaps = 0;
  rotations = 0;
  /** When everything that stood in the log had been read, on the monotonic clock. */
  caughtUpAtMs: number | undefined;
  #tail: LogTail | undefined;
  #mark: TailMark | undefined;
  #saved = '';
  #before: Pick<TailReport, 'gaps' | 'rotations'> = { gaps: 0, rotations: 0 };

  /** The tail to read with, from where the last one has stopped. The caller closes it. */
  async open(path: string, stateFile: string | undefined): Promise<LogTail> {
    this.#mark ??= stateFile === undefined ? undefined : await loadMark(path, stateFile);
    return new LogTail({ path, from: this.#mark });
  }

  /** Reads at most `budgetBytes`. @throws TargetError `denied`, `failed` */
  async read(tail: LogTail, path: string, budgetBytes: number, call: Call): Promise<void> {
    if (tail !== this.#tail) this.#before = { gaps: 0, rotations: 0 };
    this.#tail = tail;
    const startedAtMs = call.clock.monoMs();
    const seen = { lines: 0 };
    const onLine = (line: string): void => {
      seen.lines += 1;
      this.reader.onLine(line);
    };
    try {
      const report = await tail.read({ onLine, signal: call.signal, budgetBytes }, startedAtMs);
      this.gaps += report.gaps - this.#before.gaps;
      this.rotations += report.rotations - this.#before.rotations;
      this.#before = report;
      if (this.report === undefined && report.began === 'end') await this.#recall(path, tail.mark);
      this.report = report;
      this.began ??= report.began;
      if (report.behindBytes === 0) this.caughtUpAtMs = startedAtMs;
      if (seen.lines === 0) this.reader.settle();
    } catch (error) {
      const isDenied = ['EACCES', 'EPERM'].includes(codeOf(error) ?? '');
      throw new TargetError(isDenied ? 'denied' : 'failed', `its log: ${messageOf(error)}`, { cause: error });
    } finally {
      this.#mark = tail.mark;
    }
  }

  /** @throws TargetError `failed` */
  async save(path: string, stateFile: string): Promise<void> {
    const text = JSON.stringify({ version: 1, path, files: this.#mark ?? [] });
    if (text === this.#saved) return;
    try {
      await writeFile(`${stateFile}.new`, text, { mode: 0o600 });
      await rename(`${stateFile}.new`, stateFile);
      this.#saved = text;
    } catch (error) {
      throw new TargetError('failed', `how far its log was read cannot be kept: ${messageOf(error)}`, { cause: error });
    }
  }

  /** What stands before the place where reading began is not counted, but it tells how the last life has ended. */
  async #recall(path: string, mark: TailMark): Promise<void> {
    const end = mark.at(-1)?.offset ?? 0;
    const buffer = Buffer.alloc(Math.min(end, 64 * 1024));
    const handle = await open(path, 'r');
    try {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, end - buffer.length);
      const lines = buffer.toString('utf8', 0, bytesRead).split('\n').slice(0, -1);
      const earlier = new LogReader();
      for (const line of end > buffer.length ? lines.slice(1) : lines) earlier.onLine(line);
      earlier.settle();
      this.reader.inherit(earlier);
    } finally {
      await handle.close();
    }
  }
}

const savedMark = z.object({
  version: z.literal(1),
  path: z.string(),
  files: z.array(
    z.object({ file: z.string(), offset: z.int().min(0), anchor: z.base64(), skipping: z.boolean() }).readonly(),
  ),
});

/** Undefined when there is none, or none that can be used: reading begins at the end then, and says so. */
async function loadMark(path: string, stateFile: string): Promise<TailMark | undefined> {
  try {
    const saved = savedMark.parse(JSON.parse(await readFile(stateFile, 'utf8')));
    return saved.path === path ? saved.files : undefined;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof z.ZodError || error instanceof SyntaxError) return undefined;
    throw new TargetError('failed', `how far its log was read: ${messageOf(error)}`, { cause: error });
  }
}
