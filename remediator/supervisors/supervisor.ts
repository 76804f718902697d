/**
 * How a service is identified, stopped and started, whatever keeps it: the interface of every kind of supervisor
 * (process, systemd, docker, kubernetes). Every mutation names the incarnation that it ends; there is no `restart`.
 */
import type { Known } from '../../exporter/runtime/known.ts';

/**
 * What the target can check, and so what a late copy of a call can do:
 * - `cas`: it compares and acts in one step, the call has its effect once or never;
 * - `session`: the call dies with the connection that carries it;
 * - `predicate`: compared just before the call, with a window in between;
 * - `once`: nothing is compared.
 */
export type FencingClass = 'cas' | 'session' | 'predicate' | 'once';

/** One life of a service: an opaque id that its supervisor made, equal only for the same life. */
export interface ServiceIncarnation {
  readonly id: string;
  /** Of the leading process as this host sees it; null where that is not known or of no use (a pod elsewhere). */
  readonly pid: number | null;
  readonly startedAtMs: number;
}

/** How a life ended. `byUs`: after a stop that this supervisor was asked for, with the fence of that request. */
export interface ServiceEnd {
  readonly incarnation: ServiceIncarnation;
  readonly exit: Known<{ readonly exitCode: number | null; readonly signal: string | null }>;
  readonly endedAtMs: number;
  readonly asked: { readonly by: string; readonly fence: number | null } | null;
  /** The kernel ended it for want of memory; absent where nobody tells that. */
  readonly oomKilled?: boolean;
}

/**
 * Who else starts it again, by what its supervisor says of itself:
 * - `none`: nobody;
 * - `watching`: it runs, and would be started again if it ended by itself (a stop by request is not answered so);
 * - `busy`: it is being stopped or started just now, or waits to be started;
 * - `gave_up`: it has ended, and whoever started it again does so no more;
 * - `left_down`: it has ended under a restart policy that does not start it: by request, or for a moment only;
 * - `foreign`: another program makes and ends it (an orchestrator).
 */
export interface ServiceOwner {
  readonly is: 'none' | 'watching' | 'busy' | 'gave_up' | 'left_down' | 'foreign';
  readonly because: string;
  /** How often it was started again without being asked; null where nobody counts. */
  readonly restarts: number | null;
}

export interface ServiceState {
  readonly running: ServiceIncarnation | null;
  /** State letter of proc(5) of the leading process; `T`: somebody holds it with SIGSTOP. */
  readonly processState: Known<string>;
  /** Why no start is possible now although nothing of ours runs, or a stop would be watched by nobody. */
  readonly orphan: boolean;
  readonly last: ServiceEnd | null;
  /** The highest fence the supervisor has seen; null where it keeps none. */
  readonly maxFence: number | null;
  /** Absent: the supervisor itself starts nothing that it was not asked to. */
  readonly owner?: ServiceOwner;
}

/**
 * `refused` only on positive proof that nothing was done: nobody listens, an error reply, not sent.
 * Everything else without a good answer (timeout, reset, abort after sending) is `unknown`.
 */
export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  | { readonly kind: 'unknown'; readonly cause: unknown };

export interface MutationToken {
  /** From the lease; never lower than that of an earlier holder. */
  readonly fence: number;
  /** A run id, or `person:NAME`. */
  readonly by: string;
}

export interface StopOptions {
  /** Ends it without giving it a chance to say goodbye. */
  readonly force: boolean;
  /** How long to wait for its end; less than what is left until the signal aborts. */
  readonly waitMs: number;
}

/** The last part of what one incarnation wrote. `complete`: nothing of it was left out or lost to rotation. */
export interface ServiceLog {
  readonly text: string;
  readonly complete: boolean;
  readonly why: string | null;
}

/** No call retries or reconnects; each ends when its signal aborts. */
export interface Supervisor {
  readonly kind: 'process' | 'systemd' | 'docker' | 'kubernetes';
  readonly fencing: { readonly stop: FencingClass; readonly start: FencingClass };
  state(signal: AbortSignal): Promise<Known<ServiceState>>;
  /** Makes every later request with a lower fence fail; `refused` with `unsupported` where fences are not kept. */
  raiseFence(token: MutationToken, signal: AbortSignal): Promise<Outcome<{ readonly maxFence: number }>>;
  /** Ends exactly that incarnation. `ended: null`: told to end, not yet seen to have ended. */
  stop(
    incarnation: ServiceIncarnation,
    token: MutationToken,
    options: StopOptions,
    signal: AbortSignal,
  ): Promise<Outcome<{ readonly ended: ServiceEnd | null }>>;
  /** Starts the service if nothing of it is alive. */
  start(token: MutationToken, signal: AbortSignal): Promise<Outcome<{ readonly incarnation: ServiceIncarnation }>>;
  /** What that incarnation wrote, at most `maxBytes` from its end. */
  log(incarnation: ServiceIncarnation, maxBytes: number, signal: AbortSignal): Promise<Known<ServiceLog>>;
}
