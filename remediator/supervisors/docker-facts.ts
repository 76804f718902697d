// What an engine says of a container, as facts. Pure. Fields as in the Docker Engine API (v1.41, ContainerInspect and
// ContainerLogs), seen on podman 4.3.1 by its compatible API too.
import { z } from 'zod';
import type { ServiceEnd, ServiceIncarnation, ServiceOwner } from './supervisor.ts';
import { known } from '../../exporter/runtime/known.ts';

export const inspectSchema = z.object({
  Id: z.string().regex(/^[0-9a-f]{12,64}$/),
  State: z.object({
    Status: z.string().optional(),
    Running: z.boolean(),
    Paused: z.boolean().default(false),
    Restarting: z.boolean().default(false),
    OOMKilled: z.boolean().default(false),
    Dead: z.boolean().default(false),
    Pid: z.int().min(0),
    ExitCode: z.int(),
    StartedAt: z.string().max(64),
    FinishedAt: z.string().max(64),
  }),
  RestartCount: z.int().min(0).default(0),
  HostConfig: z
    .object({
      AutoRemove: z.boolean().default(false),
      RestartPolicy: z
        .object({ Name: z.string().default(''), MaximumRetryCount: z.int().default(0) })
        .nullish()
        .transform((policy) => policy ?? { Name: '', MaximumRetryCount: 0 }),
    })
    .default({ AutoRemove: false, RestartPolicy: { Name: '', MaximumRetryCount: 0 } }),
  Config: z
    .object({
      Tty: z.boolean().default(false),
      Labels: z
        .record(z.string(), z.string())
        .nullish()
        .transform((labels) => labels ?? {}),
    })
    .default({ Tty: false, Labels: {} }),
});
export type Inspected = z.output<typeof inspectSchema>;

/** Between its end and the engine's decision to start it again, both are to be seen as "exited". */
const engineSettlesMs = 10_000;

/** undefined: it has never been started (the zero time of Go). */
export function incarnationOf({ Id, State }: Inspected): ServiceIncarnation | undefined {
  const startedAtMs = Date.parse(State.StartedAt);
  if (!Number.isFinite(startedAtMs) || startedAtMs <= 0) return undefined;
  const pid = isRunning(State) && State.Pid > 0 ? State.Pid : null;
  return { id: `docker:${Id}:${State.StartedAt}`, pid, startedAtMs };
}

/** While it waits for its next start, Docker says Running and Restarting both. */
export function isRunning(state: Inspected['State']): boolean {
  return state.Running && !state.Restarting;
}

export function endOf(container: Inspected): ServiceEnd | null {
  const { State } = container;
  const incarnation = incarnationOf(container);
  if (incarnation === undefined || isRunning(State)) return null;
  const finishedAtMs = Date.parse(State.FinishedAt);
  const endedAtMs = Number.isFinite(finishedAtMs) && finishedAtMs > 0 ? finishedAtMs : incarnation.startedAtMs;
  return {
    incarnation,
    // of a shell or an init within, 128 + n stands for a signal: the classes know both spellings
    exit: known({ exitCode: State.ExitCode, signal: null }, endedAtMs),
    endedAtMs,
    asked: null,
    oomKilled: State.OOMKilled,
  };
}

const orchestrators: readonly (readonly [prefix: string, name: string])[] = [
  ['io.kubernetes.', 'Kubernetes'],
  ['com.docker.swarm.', 'Docker Swarm'],
];

export function ownerOf(container: Inspected, nowMs: number): ServiceOwner {
  const { State, HostConfig, Config, RestartCount: restarts } = container;
  const is = (what: ServiceOwner['is'], because: string): ServiceOwner => ({ is: what, because, restarts });
  for (const [prefix, name] of orchestrators) {
    const label = Object.keys(Config.Labels).find((key) => key.startsWith(prefix));
    if (label !== undefined) return is('foreign', `the container belongs to ${name} (its label ${label.slice(0, 80)})`);
  }
  if (HostConfig.AutoRemove) return is('foreign', 'the engine removes the container when it ends (--rm)');
  const { Name, MaximumRetryCount: most } = HostConfig.RestartPolicy;
  if (Name === '' || Name === 'no') return is('none', 'the container has no restart policy');
  const policy = `its restart policy is ${Name}${Name === 'on-failure' && most > 0 ? `:${most}` : ''}`;
  if (State.Restarting) return is('busy', `${policy}, and the engine starts it again`);
  if (isRunning(State)) return is('watching', policy);
  if (Name === 'on-failure' && most > 0 && restarts >= most && State.ExitCode !== 0) {
    return is('gave_up', `${policy}, and the engine has started it ${restarts} times in vain`);
  }
  const downMs = nowMs - Date.parse(State.FinishedAt);
  if (!(downMs >= engineSettlesMs)) return is('busy', `${policy}, and it has just ended: the engine may start it`);
  return is('left_down', `${policy}, and yet the engine leaves it down: it was stopped by request`);
}

/**
 * The text of a log. Without a terminal, stdout and stderr come as frames: one byte for which, three of 0, the length in
 * four (ContainerAttach, "stream format"). @throws on a torn frame
 */
export function logText(body: Buffer, isTty: boolean): string {
  if (isTty) return body.toString('utf8');
  const pieces: Buffer[] = [];
  let at = 0;
  while (at < body.length) {
    if (at + 8 > body.length || (body[at] ?? 9) > 2 || body.readUIntBE(at + 1, 3) !== 0) {
      throw new Error('the log of the engine is not in frames');
    }
    const end = at + 8 + body.readUInt32BE(at + 4);
    if (end > body.length) throw new Error('the log of the engine ends within a frame');
    pieces.push(body.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** The engine notes the start after it: what is written first can have an earlier time (podman 4.3.1, by some 10 ms). */
const startSlackMs = 200;

/** From when on the log of a life is asked for, as seconds since the epoch. undefined: no time. */
export function logSince(startedAt: string): string | undefined {
  const ms = Date.parse(startedAt);
  return Number.isFinite(ms) ? ((ms - startSlackMs) / 1000).toFixed(3) : undefined;
}
