// How late is what leaves a chain of stages? What waits in a stage now may have waited in those before it too, which may be
// quick again by now: its age is the time that it has waited here, and how late the stages before were when it came in.
import { known, unknown, type Known } from '../../runtime/known.ts';

interface Sample {
  readonly atMs: number;
  /** What leaves then was written on the source then. */
  readonly writtenAtMs: number;
}

const samples = 400;

/** How late the changes were that left a stage, look by look. Times are monotonic. */
export class LagHistory {
  #samples: Sample[] = [];

  add(atMs: number, lagSeconds: number): void {
    this.#samples.push({ atMs, writtenAtMs: atMs - lagSeconds * 1000 });
    if (this.#samples.length <= samples) return;
    // What is old becomes coarser, and is forgotten late
    const old = this.#samples.slice(0, samples / 2).filter((_, i) => i % 2 === 0);
    this.#samples = [...old, ...this.#samples.slice(samples / 2)];
  }

  /**
   * Between two looks as if it had passed things on evenly, which is wrong by their distance at most; undefined before
   * the first look.
   */
  lagAt(atMs: number): number | undefined {
    const after = this.#samples.findIndex((s) => s.atMs >= atMs);
    const [next, previous] = [this.#samples[after], this.#samples[after - 1]];
    if (next === undefined) return undefined;
    if (next.atMs === atMs) return (atMs - next.writtenAtMs) / 1000;
    if (previous === undefined) return undefined;
    const share = (atMs - previous.atMs) / (next.atMs - previous.atMs);
    return (atMs - previous.writtenAtMs - share * (next.writtenAtMs - previous.writtenAtMs)) / 1000;
  }
}

/** The slowest of the stages that are beside each other at one place of the chain. */
export interface ChainLink {
  readonly name: string;
  /** How long the oldest change that is in it has waited there. */
  readonly lagSeconds: Known<number>;
}

/** Of one pipeline, kept from look to look. */
export class ChainMemory {
  readonly #behind = new Map<string, LagHistory>();

  /**
   * Age of the oldest change that is anywhere in the chain. Unknown while a link is, and for what has come into a link
   * before this was watched: how late it was then is not known.
   *
   * @param nowMs monotonic; later than at the look before
   */
  look(links: readonly ChainLink[], nowMs: number): Known<number> {
    let lag: Known<number> | undefined;
    let before: ChainLink | undefined;
    for (const link of links) {
      lag = this.#add(link, before, lag, nowMs);
      if (lag.known) this.#historyOf(link.name).add(nowMs, lag.value);
      before = link;
    }
    return lag ?? unknown('the pipeline has no stage that is measured');
  }

  #add(
    { name, lagSeconds }: ChainLink,
    before: ChainLink | undefined,
    lagBefore: Known<number> | undefined,
    nowMs: number,
  ): Known<number> {
    if (!lagSeconds.known) return lagSeconds;
    if (before === undefined || lagBefore === undefined) return lagSeconds;
    if (!lagBefore.known) return lagBefore;
    const then = this.#historyOf(before.name).lagAt(nowMs - lagSeconds.value * 1000);
    if (then === undefined) return unknown(`what waits in ${name} has come there before the pipeline was watched`);
    const observedAtMs = Math.min(lagSeconds.observedAtMs, lagBefore.observedAtMs);
    return known(Math.max(0, lagSeconds.value + then), observedAtMs);
  }

  #historyOf(name: string): LagHistory {
    const found = this.#behind.get(name) ?? new LagHistory();
    this.#behind.set(name, found);
    return found;
  }
}
