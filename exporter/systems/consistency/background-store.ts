// What is kept on disk: the place in each table, and the reports. A disk that is full or not ours to write ends nothing: it
// is told, and the comparison goes on without.
import { chmod, open, readFile, rename, truncate, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf, messageOf } from '../../runtime/errors.ts';
import { jsonOf, keepJson } from '../../runtime/kept-file.ts';
import type { ConsistencyMemory, PassProgress } from './state.ts';

/** Raised when what is compared, or how, changes: what an older one found is compared anew. */
const version = 1;

const count = z.number().nonnegative();
const counts = { rows: count, missing: count, extra: count, different: count, undecided: count };

const result = z.object({
  ...counts,
  completedAtMs: z.number(),
  tookMs: z.number(),
  verdict: z.enum(['consistent', 'inconsistent', 'unverifiable']),
  why: z.string(),
  columnsSkipped: count,
});

const progress = z
  .object({
    ...counts,
    startedAtMs: z.number(),
    signature: z.string(),
    lower: z.array(z.string()).optional(),
    reportBytes: count,
    reportLines: count,
  })
  .transform(({ lower, ...rest }): PassProgress => ({ ...rest, lower }));

const stored = z.object({
  version: z.literal(version),
  /** Of another pair of servers nothing is taken over. */
  of: z.string(),
  passStartedAtMs: z.number().optional(),
  tables: z.record(z.string(), z.object({ last: result.optional(), running: progress.optional() })),
});

/** @returns why it could not be used; undefined when all is well, or there is none */
export async function loadPlace(path: string, of: string, memory: ConsistencyMemory): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? undefined : messageOf(error);
  }
  const parsed = stored.safeParse(jsonOf(text));
  if (!parsed.success) return 'it is not of this version, or damaged';
  if (parsed.data.of !== of) return `it is of another comparison (${parsed.data.of})`;
  memory.passStartedAtMs = parsed.data.passStartedAtMs;
  for (const [name, { last, running }] of Object.entries(parsed.data.tables)) {
    memory.tables.set(name, { last, running, checkedTotal: 0 });
  }
  return undefined;
}

/** All or nothing: a crash, or a disk that is full, leaves what was there before. @throws what writing throws */
export async function savePlace(path: string, of: string, memory: ConsistencyMemory): Promise<void> {
  const tables = Object.fromEntries([...memory.tables].map(([name, { last, running }]) => [name, { last, running }]));
  await keepJson(path, { version, of, passStartedAtMs: memory.passStartedAtMs, tables });
}

/** More differences than anybody reads one by one. */
const maxLines = 10_000;

/** One JSON object a line, ids only. It is found under its own name when the pass has ended, the last one until then. */
export class Report {
  readonly #path: string;
  #bytes: number;
  #lines: number;

  private constructor(path: string, bytes: number, lines: number) {
    this.#path = path;
    this.#bytes = bytes;
    this.#lines = lines;
  }

  /** Begins anew. @throws what writing throws */
  static async begin(dir: string, name: string, head: object): Promise<Report> {
    const report = new Report(join(dir, fileName(name)), 0, 0);
    const partial = report.#partial;
    await unlink(partial).catch(() => undefined);
    {
      await using _file = await open(partial, 'w', 0o600);
      await chmod(partial, 0o600);
    }
    await report.append([head]);
    return report;
  }

  /** Goes on where the place in the table was kept; undefined when the file has less. @throws what writing throws */
  static async resume(dir: string, name: string, at: PassProgress): Promise<Report | undefined> {
    const report = new Report(join(dir, fileName(name)), at.reportBytes, at.reportLines);
    try {
      {
        await using file = await open(report.#partial, 'r');
        if ((await file.stat()).size < at.reportBytes) return undefined;
      }
      await truncate(report.#partial, at.reportBytes);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
    return report;
  }

  get #partial(): string {
    return `${this.#path}.partial`;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get lines(): number {
    return this.#lines;
  }

  /** @throws what writing throws */
  async append(objects: readonly object[]): Promise<void> {
    const room = Math.max(0, maxLines - this.#lines);
    const fitting = objects.slice(0, room);
    if (fitting.length === 0) return;
    const lines = this.#lines + fitting.length;
    const texts = fitting.map((object) => JSON.stringify(object));
    if (lines === maxLines) texts.push(JSON.stringify({ note: `no more than ${String(maxLines)} lines` }));
    const data = Buffer.from(texts.map((text) => `${text}\n`).join(''));
    await using file: FileHandle = await open(this.#partial, 'r+');
    const { bytesWritten } = await file.write(data, 0, data.length, this.#bytes);
    if (bytesWritten < data.length)
      throw new Error(`only ${String(bytesWritten)} bytes of ${String(data.length)} fitted`);
    this.#bytes += data.length;
    this.#lines = lines;
  }

  /** Under its own name from now on. @throws what writing throws */
  async finish(tail: object): Promise<void> {
    this.#lines = Math.min(this.#lines, maxLines - 1); // the last line says what came of it, whatever stands before
    await this.append([tail]);
    {
      await using file = await open(this.#partial, 'r+');
      await file.sync();
    }
    await rename(this.#partial, this.#path);
  }
}

/** A name of a table may hold anything, and names of targets may hold a slash. */
function fileName(name: string): string {
  return `${encodeURIComponent(name).slice(0, 200)}.jsonl`;
}
