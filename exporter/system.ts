import { z } from 'zod';
import type { Background, Call, Collector, CollectorCall, Peers } from './collector.ts';
import { authField, tlsField, type Auth, type Tls } from './fields.ts';
import type { Finding } from './findings.ts';
import type { Family, Families, OpenFamilies, Put } from './families.ts';

/** Prometheus label values may be anything; names of targets stand in URLs and shells too, so they are kept plain. */
export const targetName = z
  .string({ error: 'the name of a target' })
  .max(100)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]*$/, 'letters, digits and . _ : / @ -, beginning with a letter or digit');

const reserved = new Set(['target', 'instance', 'job', 'exporter', 'pipeline', 'severity', 'state', '__name__']);
const labelName = z
  .string()
  .regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'a Prometheus label name')
  .refine((name) => !reserved.has(name) && !name.startsWith('__'), {
    error: `another one; taken are ${[...reserved].join(', ')} and __*`,
  });

const limit = z.union([z.number(), z.literal('off')]);

/** What every target has, whatever its kind. */
const common = {
  name: targetName,
  /** Keeps the `instance` label of a user who comes from another exporter, through `/sd`; `/metrics` has the name only. */
  instance: z.string().min(1).optional(),
  auth: authField.optional(),
  tls: tlsField.optional(),
  /** Series that one sweep of this target may yield; the rest is left out and counted. */
  series_limit: z.int().min(1).optional(),
  labels: z.record(labelName, z.string()).default({}),
};

/** A connection to one target, kept from sweep to sweep while it is healthy. */
export interface TargetClient extends AsyncDisposable {
  /** Asks the target for a sign of life; throws TargetError. Each system says in its docstring what "up" means. */
  readonly ping: (call: Call) => Promise<void>;
  /** False once the connection is broken or was destroyed at a deadline: it is opened anew next time. */
  readonly usable: () => boolean;
  /**
   * Set where a target that does not answer can still be told about: Maxwell's tables and the binary logs of its source
   * while its process is gone. Its collectors run after a failed ping too; the target counts as down all the same.
   */
  readonly collectsWhileDown?: true;
}

/** What a system gets to open a connection. `address` is parsed by the system's own schema. */
export interface Opening<A> {
  readonly target: string;
  readonly address: A;
  readonly auth: Auth | undefined;
  readonly tls: Tls | undefined;
  /** Another target of the inventory, as written there; its own `address` schema parses it. The loader has checked that it exists. */
  readonly resolve: (name: string) => Referenced;
}

export interface Referenced {
  readonly name: string;
  readonly kind: string;
  readonly address: unknown;
  readonly auth: Auth | undefined;
  readonly tls: Tls | undefined;
}

/** A place in a target's address that names another target. */
export interface Reference {
  readonly path: string;
  readonly target: string;
  readonly kind: string;
}

/** Where a target stands in the pipelines, for what only matters there. */
export interface Place {
  readonly isSource: boolean;
  /** CDC processes that read its binary log. */
  readonly readers: readonly string[];
  /** What the others have found at the last look. */
  readonly peers?: Peers;
}

interface SystemSpec<Client extends TargetClient, T extends z.ZodType> {
  readonly kind: string;
  readonly help: string;
  /** How to reach one target of this kind. */
  readonly address: T;
  /** Names of thresholds that may be set for a target of this kind, with what they limit. */
  readonly thresholds: Readonly<Record<string, string>>;
  /** The peer exporter's own `…_up` family, served beside pipemedic_target_up. */
  readonly up?: Family<readonly []>;
  readonly references?: (address: z.output<T>) => readonly Reference[];
  readonly open: (opening: Opening<z.output<T>>, call: Call) => Promise<Client>;
  readonly collectors: readonly Collector<Client>[];
  /**
   * What `doctor` says of a target beyond its collectors: versions, settings, grants. `collectors` holds their options as
   * written, by name; `on` has the names of those that are on. @throws TargetError
   */
  readonly examine?: (
    client: Client,
    call: Call,
    collectors: Readonly<Record<string, unknown>>,
    place: Place | undefined,
    on: ReadonlySet<string>,
  ) => Promise<readonly Finding[]>;
}

/** One collector of one target; the client type is closed over. */
export interface BoundCollector {
  readonly name: string;
  readonly collect: (client: TargetClient, put: Put, call: CollectorCall) => Promise<void>;
  readonly unknown: (why: string, put: Put, call: CollectorCall) => void;
  /** Its work beside the sweeps, if it has any. */
  readonly background?: ((work: Omit<Background<unknown>, 'open'>) => Promise<void>) | undefined;
}

export interface BoundTarget {
  readonly open: (call: Call) => Promise<TargetClient>;
  readonly examine: (client: TargetClient, call: Call, place?: Place) => Promise<readonly Finding[]>;
  readonly collectors: readonly BoundCollector[];
}

/** The client type is closed over: a registry of systems needs no type parameters. */
export interface System {
  readonly kind: string;
  readonly help: string;
  /** An object with a literal `kind`, so that the config can be a discriminated union: z.union would only say "Invalid input". */
  readonly schema: z.ZodObject<{ kind: z.ZodLiteral<string> }>;
  readonly thresholds: Readonly<Record<string, string>>;
  readonly up: Family<readonly []> | undefined;
  readonly collectors: readonly {
    readonly name: string;
    readonly help: string;
    readonly defaultOn: boolean;
    readonly keeps: string | undefined;
    readonly families: Families;
    readonly open: OpenFamilies;
  }[];
  readonly references: (target: unknown) => readonly Reference[];
  /** Parses once, at load, and makes the state that is kept from sweep to sweep. `target` is as written in the inventory. */
  readonly bind: (target: unknown, resolve: (name: string) => Referenced) => BoundTarget;
}

export function defineSystem<Client extends TargetClient, T extends z.ZodType>(spec: SystemSpec<Client, T>): System {
  const schema = z.strictObject({
    ...common,
    kind: z.literal(spec.kind),
    address: spec.address,
    thresholds: z
      .strictObject(
        Object.fromEntries(
          Object.keys(spec.thresholds).map((name) => [
            name,
            z.strictObject({ warning: limit.optional(), critical: limit.optional() }).optional(),
          ]),
        ),
      )
      .default({}),
    collectors: z
      .strictObject(
        Object.fromEntries(spec.collectors.map((c) => [c.name, z.union([z.literal(false), c.config]).optional()])),
      )
      .default({}),
  });
  // From the input, not from the parsed target: a transform must not run twice.
  const addressOf = (raw: unknown): z.output<T> => spec.address.parse((raw as { address: unknown }).address);
  return {
    kind: spec.kind,
    help: spec.help,
    schema,
    thresholds: spec.thresholds,
    up: spec.up,
    collectors: spec.collectors,
    references: (raw) => spec.references?.(addressOf(raw)) ?? [],
    bind: (raw, resolve) => {
      const target = schema.parse(raw);
      const written = (raw as { collectors?: Record<string, unknown> }).collectors ?? {};
      const on = spec.collectors.filter(
        (c) => written[c.name] !== false && (c.defaultOn || written[c.name] !== undefined),
      );
      const opening: Opening<z.output<T>> = {
        target: target.name,
        address: addressOf(raw),
        auth: target.auth,
        tls: target.tls,
        resolve,
      };
      return {
        open: (call) => spec.open(opening, call),
        examine: async (client, call, place) =>
          (await spec.examine?.(client as Client, call, written, place, new Set(on.map(({ name }) => name)))) ?? [],
        collectors: on.map((c) => {
          const prepared = c.prepare(written[c.name] ?? {});
          const { background } = prepared;
          return {
            background:
              background === undefined
                ? undefined
                : (work) => background({ ...work, open: (call) => spec.open(opening, call) }),
            name: c.name,
            // The sweep hands back the client that this target's own `open` made.
            collect: (client, put, call) => prepared.collect(client as Client, put, call),
            unknown: prepared.unknown,
          };
        }),
      };
    },
  };
}
