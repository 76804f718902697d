import { test } from 'node:test';
import type { Store } from '../../../remediator/store/store.ts';

export interface StoreUnderTest extends AsyncDisposable {
  /** A connection; several may be open at once. */
  readonly open: (options?: { readonly wallMs?: () => number; readonly relapseMs?: number }) => Store | Promise<Store>;
  readonly kind: 'sqlite' | 'mysql';
  /** Of the race of 12 processes. */
  readonly rounds: number;
  /** For another process. */
  readonly place: string;
}

export type MakeStore = () => Promise<StoreUnderTest>;

export const labels = { alertname: 'MaxwellDown', target: 'maxwell1' };
export const t0 = 1_000_000;
export const at =
  (ms: number): (() => number) =>
  () =>
    ms;

/** Each test has a store of its own. */
export function testsOf(
  make: MakeStore,
): (what: string, body: (store: Store, under: StoreUnderTest) => Promise<void>) => void {
  return (what, body) => {
    test(what, async () => {
      await using under = await make();
      await using store = await under.open();
      await body(store, under);
    });
  };
}
