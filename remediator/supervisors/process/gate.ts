/** What stands between a request and its effect: the fence, and the intent on disk. */
import { messageOf } from '../../../exporter/runtime/errors.ts';
import type { RefusalCode } from '../process-wire.ts';
import type { Line, State, Store } from './store.ts';

/** Proof that nothing was done. */
export class Refused extends Error {
  readonly code: RefusalCode;
  constructor(code: RefusalCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'Refused';
    this.code = code;
  }
}

export interface Asking {
  readonly fence: number;
  readonly by: string;
}

/** Throws Refused when a higher fence was seen. */
export function checkFence(store: Store, line: Line & Asking): void {
  const { maxFence } = store.state;
  if (line.fence < maxFence) throw refuse(store, line, 'fenced', `a request with fence ${maxFence} was seen`);
}

/** Records the refusal. A fence once seen is the floor, also when its request is refused for another reason. */
export function refuse(store: Store, line: Line & Asking, code: RefusalCode, message: string): Refused {
  store.note({ maxFence: Math.max(store.state.maxFence, line.fence) }, { ...line, outcome: code });
  return new Refused(code, message);
}

/** Makes the intent durable, with its fence; throws Refused when that fails. */
export function accept(store: Store, line: Line & Asking, change: Partial<State>): void {
  try {
    store.commit({ ...change, maxFence: line.fence }, { ...line, outcome: 'accepted' });
  } catch (cause) {
    store.note({}, { ...line, outcome: 'store_failed', why: store.error });
    throw new Refused('store_failed', messageOf(cause), { cause });
  }
}
