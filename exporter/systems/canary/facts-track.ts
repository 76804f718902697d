// What was written and what was seen of it. Pure: the clock is handed in.
//
// A token is the time of its writing by the exporter's clocks, in milliseconds, followed by three digits that are this
// run's own: a decimal number that grows strictly. The wall clock is read once, when the run begins; from there on the
// monotonic one counts. So a jump of the wall clock changes nothing, the clock of no server matters, and the latency of a
// token can be told from the token.
import { factKey } from '../../facts.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { TargetErrorCode } from '../../runtime/errors.ts';
import type { CanaryState, SeenState } from './families.ts';

export interface CanaryTimes {
  readonly everyMs: number;
  readonly lateAfterMs: number;
  readonly giveUpAfterMs: number;
}

/** One end, as it is now. */
export interface SeenView {
  readonly seenAt: string;
  readonly state: SeenState;
  readonly why: string | undefined;
  readonly latencySeconds: Known<number>;
  readonly outstandingSeconds: Known<number>;
  /** How late this end is: the latency of what was seen last or the age of what was not seen yet, whichever is more. */
  readonly lagSeconds: Known<number>;
  /** Since a token was seen; undefined when none was. */
  readonly sinceSeenSeconds: number | undefined;
  readonly seenTotal: number;
  readonly lostTotal: number;
}

export interface CanaryView {
  /** The target that is written to. */
  readonly writtenTo: string;
  readonly state: CanaryState;
  readonly why: string | undefined;
  readonly everySeconds: number;
  readonly lateAfterSeconds: number;
  readonly ends: readonly SeenView[];
}

export const canaryFact = factKey<CanaryView>('canary');

interface End {
  readonly name: string;
  /** The newest token of this run that was seen; 0 before the first. */
  seen: number;
  seenAtMs: number;
  latencyMs: number;
  seenTotal: number;
  lostTotal: number;
  /** The newest token that was counted as lost. */
  givenUp: number;
  lookedAtMs: number | undefined;
  failure: { readonly state: SeenState; readonly why: string } | undefined;
}

/** Beyond it tokens in the middle are forgotten: one that is seen later still tells its time. */
const maxTokens = 512;
/** By which a token is known as one that was sent: a week of one in 10 s. */
const maxSent = 65_536;
const step = 1000;

export class CanaryTrack {
  readonly #times: CanaryTimes;
  readonly #writtenTo: string;
  readonly #startedAtMs: number;
  readonly #base: number;
  readonly #ends: ReadonlyMap<string, End>;
  /** Sent and not seen at every end yet, oldest first. */
  readonly #tokens: number[] = [];
  /** Every one that was sent, oldest first. */
  #sent: number[] = [];
  #last: number;
  #state: CanaryState = 'unknown';
  #why: string | undefined = 'nothing was written yet';
  #sentAtMs: number | undefined;
  #writes = 0;
  readonly #failures = new Map<TargetErrorCode, number>();

  /** @param own 0 to 999, by which this run knows its tokens */
  constructor(
    plan: CanaryTimes & { readonly write: { readonly target: string }; readonly seenAt: readonly { target: string }[] },
    start: { readonly wallMs: number; readonly monoMs: number; readonly own: number },
  ) {
    this.#times = plan;
    this.#writtenTo = plan.write.target;
    this.#startedAtMs = start.monoMs;
    this.#base = Math.floor(start.wallMs) * step + start.own;
    this.#last = this.#base - step;
    const fresh = { seen: 0, seenAtMs: 0, latencyMs: 0, seenTotal: 0, lostTotal: 0, givenUp: 0 };
    this.#ends = new Map(
      plan.seenAt.map(({ target: name }) => [name, { name, ...fresh, lookedAtMs: undefined, failure: undefined }]),
    );
  }

  /**
   * The token that is sent now. It can be seen before the server has said that it is written.
   * Undefined while nothing shall be sent: every end is lost, and the last token is not that old yet.
   */
  send(nowMs: number): number | undefined {
    if (this.#isHopeless(nowMs) && this.#sentAtMs !== undefined && nowMs - this.#sentAtMs < this.#times.giveUpAfterMs) {
      this.#state = 'held';
      this.#why = 'every end is lost; one token in give_up_after is written';
      return undefined;
    }
    this.#last = Math.max(this.#last + step, this.#base + Math.floor(nowMs - this.#startedAtMs) * step);
    this.#sentAtMs = nowMs;
    this.#tokens.push(this.#last);
    this.#sent.push(this.#last);
    if (this.#sent.length > maxSent) this.#sent = this.#sent.slice(maxSent / 2);
    if (this.#tokens.length > maxTokens) this.#tokens.splice(maxTokens / 2, 1);
    return this.#last;
  }

  written(): void {
    this.#writes += 1;
    this.#state = 'ok';
    this.#why = undefined;
  }

  /**
   * Whether it was written is not known, or known not to be: it is waited for no longer, and still counts when it is seen.
   *
   * @param token undefined when it did not come to sending one
   */
  notWritten(token: number | undefined, state: CanaryState, why: string, failure?: TargetErrorCode): void {
    const at = token === undefined ? -1 : this.#tokens.indexOf(token);
    if (at >= 0) this.#tokens.splice(at, 1);
    this.#state = state;
    this.#why = why;
    if (failure !== undefined) this.#failures.set(failure, (this.#failures.get(failure) ?? 0) + 1);
  }

  /** @param text what is there now, undefined for nothing */
  looked(name: string, text: string | undefined, nowMs: number): void {
    const end = this.#end(name);
    end.failure = undefined;
    end.lookedAtMs = nowMs;
    const newest = this.#newestIn(text);
    if (newest > end.seen) {
      const proved = this.#tokens.filter((t) => t > end.seen && t <= newest).length;
      end.seenTotal += Math.max(1, proved);
      end.seen = newest;
      end.seenAtMs = nowMs;
      end.latencyMs = Math.max(0, nowMs - this.#sentAt(newest));
      this.#forget();
    }
    for (const token of this.#tokens) {
      if (token <= end.seen || token <= end.givenUp) continue;
      if (nowMs - this.#sentAt(token) <= this.#times.giveUpAfterMs) break;
      end.lostTotal += 1;
      end.givenUp = token;
    }
  }

  lookFailed(name: string, state: 'unreachable' | 'unknown', why: string, nowMs: number): void {
    const end = this.#end(name);
    end.lookedAtMs = nowMs;
    end.failure = { state, why };
  }

  /** The time until the next look, which grows with what is waited for; undefined when there is nothing to look for. */
  nextLookMs(name: string, nowMs: number): number | undefined {
    const end = this.#end(name);
    const oldest = this.#oldest(end);
    if (oldest === undefined) return undefined;
    const slowestMs = this.#times.everyMs / 4;
    if (end.failure !== undefined) return slowestMs;
    // By what is expected next, not by what may be lost: so that the end of a stall is seen soon
    const newest = this.#tokens.at(-1) ?? oldest;
    const ageMs = nowMs - this.#sentAt(newest);
    return Math.min(slowestMs, Math.max(100, ageMs / 10));
  }

  get writes(): number {
    return this.#writes;
  }

  get failures(): ReadonlyMap<TargetErrorCode, number> {
    return this.#failures;
  }

  view(nowMs: number): CanaryView {
    return {
      writtenTo: this.#writtenTo,
      state: this.#state,
      why: this.#why,
      everySeconds: this.#times.everyMs / 1000,
      lateAfterSeconds: this.#times.lateAfterMs / 1000,
      ends: [...this.#ends.values()].map((end) => this.#viewOf(end, nowMs)),
    };
  }

  /** When anything was found out last, on the monotonic clock. */
  get observedAtMs(): number | undefined {
    const times = [this.#sentAtMs, ...[...this.#ends.values()].map((end) => end.lookedAtMs)];
    const known_ = times.filter((at) => at !== undefined);
    return known_.length === 0 ? undefined : Math.max(...known_);
  }

  #viewOf(end: End, nowMs: number): SeenView {
    const oldest = this.#oldest(end);
    const ageMs = oldest === undefined ? 0 : Math.max(0, nowMs - this.#sentAt(oldest));
    const isFresh = (sinceMs: number | undefined): boolean =>
      sinceMs !== undefined && nowMs - sinceMs <= 3 * this.#times.everyMs;
    const wallMs = this.#base / step + nowMs - this.#startedAtMs;
    const counted = {
      seenAt: end.name,
      sinceSeenSeconds: end.seen === 0 ? undefined : (nowMs - end.seenAtMs) / 1000,
      seenTotal: end.seenTotal,
      lostTotal: end.lostTotal,
    };
    const no = (state: SeenState, why: string): SeenView => {
      const none = unknown(why);
      return { ...counted, state, why, latencySeconds: none, outstandingSeconds: none, lagSeconds: none };
    };
    if (end.lookedAtMs === undefined) return no('unknown', 'it was not looked at yet');
    if (end.failure !== undefined && (oldest !== undefined || isFresh(end.lookedAtMs))) {
      return no(end.failure.state, end.failure.why);
    }
    if (oldest === undefined && (end.seen === 0 || !isFresh(end.seenAtMs))) {
      return no('unknown', 'nothing was written lately');
    }
    const hasLatency = end.seen > 0 && isFresh(end.seenAtMs);
    const latency = hasLatency ? known(end.latencyMs / 1000, wallMs) : unknown('no token was seen lately');
    return {
      ...counted,
      ...this.#stateOf(ageMs, oldest, end),
      latencySeconds: latency,
      outstandingSeconds: known(ageMs / 1000, wallMs),
      lagSeconds: known(Math.max(hasLatency ? end.latencyMs : 0, ageMs) / 1000, wallMs),
    };
  }

  #stateOf(ageMs: number, oldest: number | undefined, { seen }: End): Pick<SeenView, 'state' | 'why'> {
    const { lateAfterMs, giveUpAfterMs } = this.#times;
    const age = `a token was not seen for ${Math.floor(ageMs / 1000)} s`;
    if (oldest !== undefined && ageMs > giveUpAfterMs) return { state: 'lost', why: age };
    if (oldest !== undefined && ageMs > lateAfterMs) return { state: 'late', why: age };
    return seen === 0 ? { state: 'unknown', why: 'no token was seen yet' } : { state: 'ok', why: undefined };
  }

  #isHopeless(nowMs: number): boolean {
    return [...this.#ends.values()].every((end) => {
      const oldest = this.#oldest(end);
      return oldest !== undefined && nowMs - this.#sentAt(oldest) > this.#times.giveUpAfterMs;
    });
  }

  #oldest({ seen }: End): number | undefined {
    return this.#tokens.find((token) => token > seen);
  }

  #sentAt(token: number): number {
    return this.#startedAtMs + (token - this.#base) / step;
  }

  /**
   * Numbers of any length are looked at whole: a token within a longer one is none. 0 for none. A time in microseconds has
   * as many digits (`ts_us` in every record of Debezium), and one in a thousand ends as ours do: it has to be one that was
   * sent.
   */
  #newestIn(text: string | undefined): number {
    let newest = 0;
    for (const [digits] of (text ?? '').matchAll(/\d+/g)) {
      if (digits.length > 16) continue; // not exact as a number, and none of ours
      const token = Number(digits);
      const isOwn = (token - this.#base) % step === 0 && token >= this.#base && token <= this.#last;
      if (isOwn && token > newest && this.#wasSent(token)) newest = token;
    }
    return newest;
  }

  #wasSent(token: number): boolean {
    let [low, high] = [0, this.#sent.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sent[middle] ?? Infinity) < token) low = middle + 1;
      else high = middle;
    }
    return this.#sent[low] === token;
  }

  #forget(): void {
    const everywhere = Math.min(...[...this.#ends.values()].map((end) => end.seen));
    while (this.#tokens[0] !== undefined && this.#tokens[0] <= everywhere) this.#tokens.shift();
  }

  #end(name: string): End {
    const end = this.#ends.get(name);
    if (end === undefined) throw new Error(`this canary is not looked for at ${name}`);
    return end;
  }
}
