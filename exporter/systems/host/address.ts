import { z } from 'zod';
import { absolutePath, durationMs } from '../../fields.ts';

const name = z
  .string()
  .max(60)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits and . _ -, beginning with a letter or digit');

const linuxUser = z.string().min(1).max(64);

/** How a watched process is found: by all that is given. */
const processAddress = z
  .strictObject({
    /** Holds the process id; with `program` or `arguments` too, a process that was given the number of a dead one is not taken for it. */
    pid_file: absolutePath.optional(),
    /** Name of the program (the last part of its path), as in `mariadbd`. */
    program: z
      .string()
      .min(1)
      .max(255)
      .regex(/^[^/]+$/, 'the name of a program, without its folder')
      .optional(),
    /** Words that its command line has, each as an argument of its own or a part of one: `[com.zendesk.maxwell.Maxwell]`. */
    arguments: z.array(z.string().min(1)).min(1).optional(),
    /** Only processes of this user (name or number). */
    user: z.union([linuxUser, z.int().min(0)]).optional(),
  })
  .refine((p) => p.pid_file !== undefined || p.program !== undefined || p.arguments !== undefined, {
    message: 'pid_file, program or arguments (or several of them)',
  });
export type ProcessAddress = z.output<typeof processAddress>;

/** The machine that the exporter itself runs on. */
export const hostAddress = z.strictObject({
  /** Folders that must not run full: data, binlog, backup… */
  folders: z.record(name, absolutePath).default({}),
  processes: z.record(name, processAddress).default({}),
  /** Where proc(5) of the machine is mounted, in a container for example /host/proc. */
  proc: absolutePath.default('/proc'),
  /** Over how much of the past the rate is taken at which a folder fills. */
  window: durationMs.default(30 * 60_000),
});
export type HostAddress = z.output<typeof hostAddress>;
