// What a change by a person is given, and how it says no.
import type { Inventory } from '../exporter/config/inventory.ts';
import type { LedgerClock } from './clock.ts';
import type { Approval, Episode } from './model.ts';
import type { StillAsked } from './still-asked.ts';
import type { Store } from './store/store.ts';

export interface Actor {
  readonly name: string;
  readonly via: 'api' | 'cli';
  readonly may: (role: string) => boolean;
}

export interface PeopleContext {
  readonly store: Store;
  readonly clock: LedgerClock;
  readonly switchFile: string;
  /** Other machines may serve with the same store. */
  readonly sharedStore?: boolean;
  readonly inventory: Pick<Inventory, 'targets' | 'pipelines'>;
  /** Something may go on now. */
  readonly changed: () => void;
  /** Whether a question is one still, by the facts of now; left out where nobody looks at the targets. */
  readonly stillAsked?: (approval: Approval, episode: Episode) => Promise<StillAsked>;
}

/** Not done, and why, in one line. */
export class Refusal extends Error {
  readonly status: 400 | 403 | 404 | 409;
  constructor(status: Refusal['status'], message: string) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
  }
}
