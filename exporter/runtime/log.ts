import { pino, type Logger } from 'pino';

export type Log = Logger;

const paths = ['password', 'secret', 'token', 'authorization', 'credentials'].flatMap((k) => [k, `*.${k}`, `*.*.${k}`]);

/** JSON lines on stderr: stdout belongs to the commands' own output. Messages are constant, facts are fields. */
export function createLog(name: string, level = 'info'): Log {
  return pino(
    {
      name,
      level,
      redact: { paths, censor: '[redacted]' },
      timestamp: pino.stdTimeFunctions.isoTime,
      base: { name },
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
