import type { ProcessStat } from './facts-proc.ts';

interface Counted {
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly majorFaults: number;
}

/** What the processes of a group have used, those that have ended too: never smaller than before. */
export class GroupCounters {
  readonly #ended = { userSeconds: 0, systemSeconds: 0, majorFaults: 0 };
  #alive: ReadonlyMap<string, Counted> | undefined;
  starts = 0;

  look(processes: readonly { readonly stat: ProcessStat }[]): void {
    const now = new Map(processes.map(({ stat }) => [`${String(stat.pid)}:${String(stat.startedTicks)}`, stat]));
    for (const [key, before] of this.#alive ?? []) {
      if (now.has(key)) continue;
      this.#ended.userSeconds += before.userSeconds;
      this.#ended.systemSeconds += before.systemSeconds;
      this.#ended.majorFaults += before.majorFaults;
    }
    // What is there at the first look has not appeared since.
    if (this.#alive !== undefined) for (const key of now.keys()) if (!this.#alive.has(key)) this.starts += 1;
    this.#alive = now;
  }

  get userSeconds(): number {
    return this.#sum('userSeconds');
  }

  get systemSeconds(): number {
    return this.#sum('systemSeconds');
  }

  get majorFaults(): number {
    return this.#sum('majorFaults');
  }

  #sum(of: keyof Counted): number {
    return [...(this.#alive?.values() ?? [])].reduce((total, process) => total + process[of], this.#ended[of]);
  }
}
