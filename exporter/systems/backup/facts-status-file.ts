// The small file that any tool, or the script around it, writes about each backup it made: JSON, or lines `key=value`.
// It is written under a temporary name and renamed, and nothing in it is guessed: what cannot be read is no success.
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { backupTypes } from './address.ts';
import { Fault, type Told } from './facts-verdict.ts';

/** Seconds since the epoch, or ISO 8601 with its zone. */
const moment = z.union([
  z.number().positive().transform((s) => s * 1000), // prettier-ignore
  z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
]);

const statusSchema = z.strictObject({
  started: moment,
  /** Absent: it has not ended. */
  finished: moment.optional(),
  exit_code: z.int(),
  /** Of the backup. */
  bytes: z.int().min(0),
  /** Of the backup, absolute or from the folder of the status file; absent where it is not on this machine. */
  path: z.string().min(1).optional(),
  /** Of the file `path`. */
  checksum: z
    .string()
    .regex(/^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$/, 'sha256: or md5: and its hexadecimal digits')
    .optional(),
  type: z.enum(backupTypes).optional(),
  tool: z.string().min(1).max(64).optional(),
  tool_version: z.string().min(1).max(64).optional(),
  server_version: z.string().min(1).max(64).optional(),
  tables: z.int().min(0).optional(),
  binlog_file: z.string().min(1).max(255).optional(),
  binlog_position: z.int().min(0).optional(),
  gtid: z.string().min(1).optional(),
  /** Of an incremental backup: the `id` of the one that it builds upon. */
  id: z.string().min(1).max(255).optional(),
  parent: z.string().min(1).max(255).optional(),
});
export type Status = z.output<typeof statusSchema>;

const numbers = new Set(['exit_code', 'bytes', 'tables', 'binlog_position']);

/** @throws Fault `unreadable`, which says why */
export function parseStatus(text: string): Status {
  const raw = text.trimStart().startsWith('{') ? parseJson(text) : parseLines(text);
  const parsed = statusSchema.safeParse(raw);
  if (parsed.success) return check(parsed.data);
  const [issue] = parsed.error.issues;
  const at = issue?.path.join('.') ?? '';
  throw new Fault(
    'unreadable',
    `the status file is not understood: ${at === '' ? '' : `${at}: `}${issue?.message ?? ''}`,
  );
}

function check(status: Status): Status {
  if (status.finished !== undefined && status.finished < status.started) {
    throw new Fault('unreadable', 'the status file is not understood: finished before it was started');
  }
  if ((status.binlog_file === undefined) !== (status.binlog_position === undefined)) {
    throw new Fault('unreadable', 'the status file is not understood: binlog_file and binlog_position go together');
  }
  return status;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Fault('unreadable', 'the status file is half written, or no JSON');
  }
}

/** The last line is exit_code: a file that was cut off anywhere does not have it whole. */
function parseLines(text: string): Record<string, unknown> {
  const half = new Fault(
    'unreadable',
    'the status file is half written: its last line is not exit_code and its number',
  );
  if (!text.endsWith('\n')) throw half;
  const lines = text.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#')); // prettier-ignore
  const found: Record<string, unknown> = {};
  for (const line of lines) {
    const [, key, value] = /^([a-z_]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) {
      throw new Fault('unreadable', 'the status file is not understood: a line is not key=value');
    }
    if (key in found) throw new Fault('unreadable', `the status file is not understood: ${key} is there twice`);
    const isNumber = numbers.has(key) || ((key === 'started' || key === 'finished') && /^\d+(\.\d+)?$/.test(value));
    found[key] = isNumber && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  }
  if (lines.at(-1)?.startsWith('exit_code') !== true) throw half;
  return found;
}

/** Undefined when it has none, or it is not on this machine. */
export function pathOf(status: Status, statusFile: string): string | undefined {
  if (status.path === undefined || isAbsolute(status.path)) return status.path;
  return join(dirname(statusFile), status.path);
}

/** What it says of itself. @throws Fault when that is not that it ended well */
export function succeeded(status: Status): { readonly told: Told; readonly why: string } {
  if (status.finished === undefined) throw new Fault('not_finished', 'its status file names no end');
  if (status.exit_code !== 0) throw new Fault('not_finished', `its status file says exit code ${status.exit_code}`);
  if (status.bytes === 0) throw new Fault('empty', 'its status file says that it is empty');
  return { told: toldBy(status), why: 'its status file says that it ended with exit code 0' };
}

function toldBy(status: Status): Told {
  const { binlog_file: file, binlog_position: position, gtid, type } = status;
  return {
    tool: status.tool,
    toolVersion: status.tool_version,
    serverVersion: status.server_version,
    startedAtMs: status.started,
    finishedAtMs: status.finished,
    tables: status.tables,
    type: type === 'binlog' ? undefined : type,
    coordinates:
      file === undefined && gtid === undefined
        ? undefined
        : {
            position: file === undefined || position === undefined ? undefined : { file, position },
            gtid,
            of: 'server',
            from: 'status file',
          },
  };
}
