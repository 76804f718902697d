// Writes the canary and looks for it, beside the sweeps. Bounded in everything: one token in `every`, one connection to
// write and one for each end, a deadline for each call, looks only while a token is waited for.
import type { Background, Call } from '../../collector.ts';
import { within } from '../../runtime/deadline.ts';
import { messageOf, TargetError } from '../../runtime/errors.ts';
import { paused } from '../../runtime/repeat.ts';
import type { SeenPlace } from './address.ts';
import type { CanaryClient } from './client.ts';
import type { CanarySight } from './client-sight.ts';
import type { CanaryWriter } from './client-writer.ts';
import type { CanaryTrack } from './facts-track.ts';

/** For each call, connecting included. */
const callMs = 5_000;
/** To pass over what a topic holds: a write waits for it. */
const skipMs = 1_000;
/** To take the key away at the end. */
const removeMs = 1_000;

type Work = Pick<Background<CanaryClient>, 'clock' | 'log' | 'signal'>;

interface Canary {
  readonly client: CanaryClient;
  readonly track: CanaryTrack;
  readonly work: Work;
  /** [0, 1) */
  readonly random: () => number;
  /** Why nothing may be written now, by what is known of the place from elsewhere; undefined when nothing is against it. */
  readonly forbidden?: (() => Promise<string | undefined>) | undefined;
}

/** Runs until the signal aborts, whatever its targets do. @throws only for a fault of this program */
export async function runCanary(canary: Canary): Promise<void> {
  const ending = new AbortController();
  const signal = AbortSignal.any([canary.work.signal, ending.signal]);
  const own = { ...canary, work: { ...canary.work, signal } };
  const bell = new Bell();
  const looks: Promise<void>[] = [];
  const firstLooks = canary.client.plan.seenAt.map(
    (place) =>
      new Promise<void>((resolve) => {
        looks.push(lookOn(own, place, bell, resolve));
      }),
  );
  // A topic is read from its end on: it has to be there before the first token
  const looked = Promise.race([Promise.all(firstLooks), paused(callMs, signal)]);
  const jobs = [looked.then(() => writeOn(own, bell)), ...looks];
  // Of one that fails the others must not go on
  const guarded = jobs.map((job) =>
    job.catch((error: unknown) => {
      ending.abort();
      throw error;
    }),
  );
  const ended = await Promise.allSettled(guarded);
  const failed = ended.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function writeOn({ client, track, work, random, forbidden }: Canary, bell: Bell): Promise<void> {
  const { signal, clock } = work;
  const isOver = (): boolean => signal.aborted;
  let writer: CanaryWriter | undefined;
  let said: string | undefined;
  try {
    while (!isOver()) {
      const why = await writeOnce();
      // Once, not at each try
      if (why !== undefined && why !== said && !isOver()) work.log.warn({ why }, 'canary was not written');
      said = why;
      // A little more than `every`, so that two exporters do not write in step
      await paused(client.plan.everyMs * (1 + random() / 10), signal);
    }
  } finally {
    await writer?.remove(callOf(work.clock, within(removeMs))).catch(() => undefined);
    await writer?.[Symbol.asyncDispose]();
  }

  async function writeOnce(): Promise<string | undefined> {
    const call = callOf(clock, within(callMs, signal));
    let token: number | undefined;
    try {
      const why = await forbidden?.();
      if (why !== undefined) {
        track.notWritten(undefined, 'refused', why);
        return why;
      }
      if (writer?.usable() !== true) {
        await writer?.[Symbol.asyncDispose]();
        writer = undefined;
        writer = await client.openWriter(call);
      }
      await bell.prepare();
      // The time of a token is that of its sending: what took time before does not count as its way
      token = track.send(clock.monoMs());
      if (token === undefined) return undefined;
      bell.ring();
      const result = await writer.write(token, call);
      if (result === 'written') {
        track.written();
        return undefined;
      }
      const { state, fix } = result;
      const failure = state === 'refused' ? undefined : state === 'denied' ? 'denied' : 'failed';
      track.notWritten(token, state, result.why, failure);
      return fix === undefined ? result.why : `${result.why}. To mend it: ${fix}`;
    } catch (error) {
      const { code, message } = targetErrorOf(error);
      const away = code === 'refused' || code === 'unreachable' || code === 'deadline';
      track.notWritten(token, code === 'auth' ? 'denied' : away ? 'unreachable' : 'failed', message, code);
      return message;
    }
  }
}

/** @param first called when it was looked for the first time */
async function lookOn({ client, track, work }: Canary, place: SeenPlace, bell: Bell, first: () => void): Promise<void> {
  const { signal, clock } = work;
  const name = place.target;
  let sight: CanarySight | undefined;
  let said: string | undefined;
  const isOver = (): boolean => signal.aborted;
  // What is passed over before the token is sent need not be read; what is not is only read later
  bell.before(async () => {
    if (sight?.skip === undefined || !sight.usable() || track.nextLookMs(name, clock.monoMs()) !== undefined) return;
    await sight.skip(callOf(clock, within(skipMs, signal))).catch(() => undefined);
  });
  try {
    while (!isOver()) {
      const { rings } = bell;
      // A topic is read from its end: it has to be looked at before the first token comes
      if (track.nextLookMs(name, clock.monoMs()) !== undefined || sight === undefined) {
        const why = await lookOnce();
        if (why !== undefined && why !== said && !isOver()) work.log.warn({ end: name, why }, 'canary cannot be seen');
        said = why;
      }
      first();
      const nextMs = track.nextLookMs(name, clock.monoMs());
      if (nextMs === undefined) await bell.rung(rings, signal);
      else await paused(nextMs, signal);
    }
  } finally {
    await sight?.[Symbol.asyncDispose]();
  }

  async function lookOnce(): Promise<string | undefined> {
    const call = callOf(clock, within(callMs, signal));
    try {
      if (sight?.usable() !== true) {
        await sight?.[Symbol.asyncDispose]();
        sight = undefined;
        sight = await client.openSight(place, call);
      }
      const text = await sight.look(call);
      track.looked(name, text, clock.monoMs());
      return undefined;
    } catch (error) {
      const { code, message } = targetErrorOf(error);
      if (isOver()) return undefined;
      const away = code === 'refused' || code === 'unreachable' || code === 'deadline';
      track.lookFailed(name, away ? 'unreachable' : 'unknown', message, clock.monoMs());
      return message;
    }
  }
}

/** @throws what is no TargetError: a fault of this program */
function targetErrorOf(error: unknown): TargetError {
  if (error instanceof TargetError) return error;
  throw new Error(`canary: ${messageOf(error)}`, { cause: error });
}

function callOf(clock: Call['clock'], signal: AbortSignal): Call {
  return { clock, signal };
}

/** What the writing and the looking say to each other. */
class Bell {
  readonly #waiting = new Set<() => void>();
  readonly #before = new Set<() => Promise<void>>();
  #rings = 0;

  before(job: () => Promise<void>): void {
    this.#before.add(job);
  }

  /** Does what has to be done before the next token is sent. */
  async prepare(): Promise<void> {
    await Promise.all([...this.#before].map((job) => job()));
  }

  get rings(): number {
    return this.#rings;
  }

  ring(): void {
    this.#rings += 1;
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves when it was rung more often than `rings`, or when the signal aborts. */
  rung(rings: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#rings > rings) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}
