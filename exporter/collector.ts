import type { z } from 'zod';
import type { Clock } from './runtime/clock.ts';
import type { FactBoard, FactKey } from './facts.ts';
import {
  emitter,
  openEmitter,
  type Emit,
  type EmitOpen,
  type Families,
  type OpenFamilies,
  type Put,
} from './families.ts';
import type { Known } from './runtime/known.ts';
import type { Log } from './runtime/log.ts';

/** What every client call takes: who asks, until when, and the clock. */
export interface Call {
  /** Aborts at the deadline: the client destroys its connection then. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** Whom a target is paired with in the inventory, and what is known of them. */
export interface Peers {
  /** The sources of the pipelines in which this target is a replica. */
  readonly sources: readonly string[];
  /**
   * What another target's collector, or another one of this target, has found in the present round; awaited for at most
   * `waitMs`, then what it found the last time. Whoever publishes a fact says in it when it was read.
   */
  readonly fact: <T>(target: string, key: FactKey<T>, waitMs: number) => Promise<Known<T>>;
}

/** One collector's part of one sweep of one target. */
export interface CollectorCall extends Call {
  readonly target: string;
  readonly board: FactBoard;
  /** Undefined outside of a round over an inventory. */
  readonly peers?: Peers;
  /** A person looks, beside an exporter that may be running: nothing that it keeps on disk may be changed. */
  readonly isExamination?: true;
  /** A collector that serves what was observed earlier (a background sweep) says when, on the monotonic clock. */
  readonly observed?: (atMonoMs: number) => void;
}

/**
 * What a collector's work beside the sweeps gets: for what is too slow for a scrape, or must go on between scrapes (a
 * canary, the reading of whole backups, a large cluster).
 */
export interface Background<Client> {
  readonly target: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the exporter stops, or reads an inventory that has this target otherwise or not at all. */
  readonly signal: AbortSignal;
  /** A connection of its own, never the sweep's; whoever opens it disposes of it. @throws TargetError */
  readonly open: (call: Call) => Promise<Client>;
  readonly peers?: Peers;
}

interface CollectorSpec<Client, C extends z.ZodType, F extends Families, S, O extends OpenFamilies> {
  /** snake_case; the key under `collectors:` in the inventory and the label of the success and duration series. */
  readonly name: string;
  readonly help: string;
  /** Off unless the inventory turns it on (`collectors: {name: {}}`). Default on. */
  readonly defaultOn?: boolean;
  /**
   * What it knows only by having watched: two exporters differ in it, and a new one begins anew. Left out where every
   * sweep stands for itself, and where nothing but a cache is kept.
   */
  readonly keeps?: string;
  readonly config: C;
  readonly families: F;
  /** Names that only the target knows. A declared family may not bear one of them in the same sweep. */
  readonly open?: O;
  /** What is kept from sweep to sweep, per target: a ring, the objects last seen. */
  readonly state: () => S;
  readonly collect: (run: {
    readonly client: Client;
    readonly config: z.output<C>;
    readonly emit: Emit<F> & EmitOpen<O>;
    readonly call: CollectorCall;
    readonly state: S;
  }) => Promise<void>;
  /**
   * Runs from the moment the exporter serves the target until `work.signal` aborts, and ends soon after that; what it finds
   * it leaves in `state`. Never run by `check` and `doctor`. It bears with a target that is away (see runtime/repeat.ts):
   * what it throws is logged, and it is begun anew after a pause.
   */
  readonly background?: (run: {
    readonly config: z.output<C>;
    readonly state: S;
    readonly work: Background<Client>;
  }) => Promise<void>;
  /**
   * Called instead when the target could not be opened, and after `collect` failed or ran out of time (what it had
   * emitted is dropped then). Emits the state families that must never be silent, with `unknown`.
   */
  readonly unknown?: (run: {
    readonly config: z.output<C>;
    readonly emit: Emit<F>;
    readonly call: CollectorCall;
    readonly state: S;
    readonly why: string;
  }) => void;
}

/** A collector bound to one target: its config parsed, its state made. */
export interface PreparedCollector<Client> {
  readonly collect: (client: Client, put: Put, call: CollectorCall) => Promise<void>;
  readonly unknown: (why: string, put: Put, call: CollectorCall) => void;
  readonly background: ((work: Background<Client>) => Promise<void>) | undefined;
}

/** A collector whose config, families and state are its own business. Only the client type is left visible. */
export interface Collector<Client> {
  readonly name: string;
  readonly help: string;
  readonly defaultOn: boolean;
  readonly keeps: string | undefined;
  readonly config: z.ZodType;
  readonly families: Families;
  readonly open: OpenFamilies;
  /** Parses the config once, at load; throws ZodError. */
  readonly prepare: (config: unknown) => PreparedCollector<Client>;
}

/** `Client` is given by the system: `const collector = collectorOf<RedisClient>()({…})`. */
export function collectorOf<Client>() {
  return function defineCollector<
    C extends z.ZodType,
    F extends Families,
    S,
    // eslint-disable-next-line @typescript-eslint/no-generated-empty-object-type -- with no open names, emit has none of them
    O extends OpenFamilies = Record<never, never>,
  >(spec: CollectorSpec<Client, C, F, S, O>): Collector<Client> {
    return {
      name: spec.name,
      help: spec.help,
      defaultOn: spec.defaultOn ?? true,
      keeps: spec.keeps,
      config: spec.config,
      families: spec.families,
      open: spec.open ?? {},
      prepare: (raw) => {
        const config = spec.config.parse(raw);
        const state = spec.state();
        const { background } = spec;
        return {
          background: background === undefined ? undefined : (work) => background({ config, state, work }),
          collect: (client, put, call) =>
            spec.collect({
              client,
              config,
              emit: Object.assign(emitter(spec.families, put), openEmitter((spec.open ?? {}) as O, put)),
              call,
              state,
            }),
          unknown: (why, put, call) => {
            spec.unknown?.({ config, emit: emitter(spec.families, put), call, state, why });
          },
        };
      },
    };
  };
}
