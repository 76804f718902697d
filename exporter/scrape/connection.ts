import type { Call } from '../collector.ts';
import type { BoundTarget, TargetClient } from '../system.ts';
import { TargetError, messageOf } from '../runtime/errors.ts';
import { until } from '../runtime/deadline.ts';
import type { Log } from '../runtime/log.ts';

/** A client that does not end within this time after it was told to is given up: its connection is destroyed by then. */
const closeAtMostMs = 30_000;

/**
 * The one connection to a target, kept from sweep to sweep. There is never a second one: an attempt that ran out of
 * time is awaited, and closed when it succeeds late, before the next begins.
 */
export class Connection {
  readonly #bound: BoundTarget;
  readonly #log: Log;
  #client: TargetClient | undefined;
  #silence: unknown;
  #ending: Promise<void> = Promise.resolve();
  #predecessor: Promise<void> | undefined;

  /** @param after what must have ended before the first attempt: the same target's connection before a reload */
  constructor(bound: BoundTarget, log: Log, after?: Promise<void>) {
    this.#bound = bound;
    this.#log = log;
    if (after === undefined) return;
    this.#awaitEnd(after);
    this.#predecessor = after.then(() => {
      this.#predecessor = undefined;
    });
  }

  /** The same target's connection before a reload, until it has ended: what it is still doing says nothing of this one. */
  get predecessor(): Promise<void> | undefined {
    return this.#predecessor;
  }

  /** Why the client that `ready` gave has not answered; only ever set for one that collects while its target is down. */
  get silence(): unknown {
    return this.#silence;
  }

  /** A client that has just answered, or that collects without. @throws TargetError, or whatever the system's open threw */
  async ready(call: Call): Promise<TargetClient> {
    this.#silence = undefined;
    const kept = this.#client;
    if (kept?.usable() === true) {
      try {
        await answer(kept, call);
        return kept;
      } catch (error) {
        if (this.#bearsSilence(kept, error, call)) return kept;
        // The server may have closed an idle connection or been restarted: it is down only when a new one fails too.
        this.close();
        if (call.signal.aborted) throw error;
      }
    }
    this.close();
    await until(call.signal, 'waiting for the connection before this one to end', this.#ending);
    const client = await this.#open(call);
    try {
      await answer(client, call);
      return client;
    } catch (error) {
      if (this.#bearsSilence(client, error, call)) return client;
      this.close();
      throw error;
    }
  }

  #bearsSilence(client: TargetClient, error: unknown, call: Call): boolean {
    if (client.collectsWhileDown !== true || !client.usable() || call.signal.aborted) return false;
    this.#silence = error;
    return true;
  }

  /** Closes a client that cannot be used any more. */
  release(): void {
    if (this.#client?.usable() === false) this.close();
  }

  /** Begins to close; the next `ready` waits for the end. */
  close(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) this.#awaitEnd(this.#dispose(client));
  }

  /** Resolves when nothing is open any more. */
  async closed(): Promise<void> {
    this.close();
    await this.#ending;
  }

  async #open(call: Call): Promise<TargetClient> {
    const opening = attempt(() => this.#bound.open(call));
    try {
      this.#client = await until(call.signal, 'connecting', opening);
      return this.#client;
    } catch (error) {
      this.#awaitEnd(
        opening.then(
          (late) => this.#dispose(late),
          () => undefined,
        ),
      );
      throw error;
    }
  }

  #awaitEnd(end: Promise<void>): void {
    const before = this.#ending;
    this.#ending = Promise.all([before, end]).then(() => undefined);
  }

  async #dispose(client: TargetClient): Promise<void> {
    try {
      const signal = AbortSignal.timeout(closeAtMostMs);
      const disposing = attempt(() => client[Symbol.asyncDispose]());
      await until(signal, 'closing the connection', disposing);
    } catch (error) {
      this.#log.warn({ why: messageOf(error) }, 'connection was not closed cleanly');
    }
  }
}

async function answer(client: TargetClient, call: Call): Promise<void> {
  const ping = attempt(() => client.ping(call));
  await until(call.signal, 'asking for a sign of life', ping);
  if (!client.usable()) throw new TargetError('unreachable', 'the connection broke while it was being asked');
}

/** What throws at once is a rejection like any other. */
export async function attempt<T>(work: () => PromiseLike<T>): Promise<T> {
  return work();
}
