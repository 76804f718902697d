// What one host may have at most of what all share, so that one that takes and gives nothing back leaves room for the others.

/**
 * Who counts as one: an IPv4 address, or a whole /64 of IPv6, which is what one host has.
 * @returns undefined for a unix socket: who is behind it is not known
 */
export function sharerOf(remoteAddress: string | undefined): string | undefined {
  if (remoteAddress === undefined) return undefined;
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (!address.includes(':')) return address;
  const [left = '', right] = address.split('::');
  const groups = left === '' ? [] : left.split(':');
  const after = right === undefined || right === '' ? 0 : right.split(':').length;
  const zeros = right === undefined ? 0 : 8 - groups.length - after;
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...(right ?? '').split(':')];
  return `${all.slice(0, 4).join(':')}::/64`;
}

export class Shares {
  readonly #mostEach: number;
  readonly #held = new Map<string, number>();

  constructor(mostEach: number) {
    this.#mostEach = mostEach;
  }

  isFull(who: string | undefined): boolean {
    return who !== undefined && (this.#held.get(who) ?? 0) >= this.#mostEach;
  }

  /** To be given back by the function returned, once. */
  take(who: string | undefined): () => void {
    if (who === undefined) return () => undefined;
    this.#held.set(who, (this.#held.get(who) ?? 0) + 1);
    return () => {
      const left = (this.#held.get(who) ?? 1) - 1;
      if (left === 0) this.#held.delete(who);
      else this.#held.set(who, left);
    };
  }
}

interface Waiting {
  readonly who: string | undefined;
  readonly grant: (giveBack: () => void) => void;
}

/** A number of places, and for each host a smaller one. First come, first served among those who may have one. */
export class Places {
  readonly #most: number;
  readonly #shares: Shares;
  #taken = 0;
  #queue: Waiting[] = [];

  constructor(most: number, mostEach: number) {
    this.#most = most;
    this.#shares = new Shares(mostEach);
  }

  get taken(): number {
    return this.#taken;
  }

  /** Would this one have to wait? */
  isFull(who: string | undefined): boolean {
    return this.#taken >= this.#most || this.#shares.isFull(who);
  }

  /** To be given back by the function that it resolves with, once. */
  take(who: string | undefined): Promise<() => void> {
    if (!this.isFull(who)) return Promise.resolve(this.#hold(who));
    return new Promise((grant) => this.#queue.push({ who, grant }));
  }

  #hold(who: string | undefined): () => void {
    this.#taken += 1;
    const giveBack = this.#shares.take(who);
    return () => {
      this.#taken -= 1;
      giveBack();
      // One place has become free, so there is room for one at most.
      const next = this.#queue.find((waiting) => !this.isFull(waiting.who));
      if (next === undefined) return;
      this.#queue = this.#queue.filter((waiting) => waiting !== next);
      next.grant(this.#hold(next.who));
    };
  }
}
