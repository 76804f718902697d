// What the lab's own child programs share: their configuration from a file, log lines, and an orderly end.
import { readFileSync } from 'node:fs';

/** The JSON file named on the command line; written by the lab, which knows its shape. */
export function configFile(): unknown {
  const file = process.argv[2];
  if (file === undefined) throw new Error(`usage: ${process.argv[1] ?? ''} CONFIG.json`);
  return JSON.parse(readFileSync(file, 'utf8'));
}

export function say(message: string, fields: Readonly<Record<string, unknown>> = {}): void {
  process.stdout.write(`${JSON.stringify({ at: new Date().toISOString(), message, ...fields })}\n`);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** Aborted by SIGTERM and SIGINT. */
export function endSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      controller.abort(name);
    });
  }
  return controller.signal;
}
