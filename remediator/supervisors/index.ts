// The kinds of supervisors: one line each in `kinds`.
import { z } from 'zod';
import { absolutePath } from '../../exporter/fields.ts';
import type { Clock } from '../../exporter/runtime/clock.ts';
import { dockerSupervisor } from './docker.ts';
import { processSupervisor } from './process-client.ts';
import type { Supervisor } from './supervisor.ts';
import { systemdSupervisor } from './systemd.ts';

const argv = z
  .array(
    z
      .string()
      .min(1)
      .refine((word) => !word.includes('\0'), 'no NUL'),
  )
  .min(1)
  .max(16);

const processSettings = z.strictObject({
  kind: z.literal('process'),
  /** Unix socket of the process supervisor that is the parent of the service. */
  socket: absolutePath,
});

const dockerSettings = z.strictObject({
  kind: z.literal('docker'),
  /** Unix socket of the engine: /var/run/docker.sock, /run/podman/podman.sock */
  socket: absolutePath,
  container: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, 'the name or id of a container'),
  /** Between SIGTERM and SIGKILL at most; an action may wait for less. */
  stop_seconds: z.int().min(1).max(20).default(15),
});

const systemdSettings = z.strictObject({
  kind: z.literal('systemd'),
  unit: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:_.\\@-]{0,200}\.service$/, 'the name of a unit, with .service'),
  /** Runs systemctl, without a shell: `[sudo, -n, /usr/bin/systemctl]`. */
  systemctl: argv.default(['systemctl']),
  journalctl: argv.default(['journalctl']),
});

/** One element of `remediation.supervisors`. */
export const supervisorSettings = z.discriminatedUnion('kind', [processSettings, dockerSettings, systemdSettings]);
export type SupervisorSettings = z.output<typeof supervisorSettings>;

/** What is ended and started; two of the same are one service, whatever else is set. */
export function serviceOf(settings: SupervisorSettings): string {
  switch (settings.kind) {
    case 'process':
      return JSON.stringify([settings.socket]);
    case 'docker':
      return JSON.stringify([settings.socket, settings.container]);
    case 'systemd':
      return JSON.stringify([settings.systemctl, settings.unit]); // systemctl may lead to another machine
  }
}

type Kinds = {
  readonly [K in SupervisorSettings['kind']]: (
    settings: Extract<SupervisorSettings, { kind: K }>,
    clock: Clock,
  ) => Supervisor;
};

const kinds: Kinds = {
  process: ({ socket }, clock) => processSupervisor({ socket }, clock.wallMs),
  docker: ({ socket, container, stop_seconds: stopSeconds }, clock) =>
    dockerSupervisor({ socket, container, stopSeconds }, clock.wallMs),
  systemd: ({ unit, systemctl, journalctl }, clock) =>
    systemdSupervisor({ unit, systemctl, journalctl }, { wallMs: clock.wallMs, monoUs: monotonicUs }),
};

export function supervisorOf(settings: SupervisorSettings, clock: Clock): Supervisor {
  switch (settings.kind) {
    case 'process':
      return kinds.process(settings, clock);
    case 'docker':
      return kinds.docker(settings, clock);
    case 'systemd':
      return kinds.systemd(settings, clock);
  }
}

/** CLOCK_MONOTONIC, as systemd's own times are. */
function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
