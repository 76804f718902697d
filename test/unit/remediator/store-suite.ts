// One suite for every kind of store: what the remediator relies on.
import { escalationSuite } from './store-suite-escalations.ts';
import { episodeSuite } from './store-suite-episodes.ts';
import { intakeSuite } from './store-suite-intake.ts';
import { runSuite } from './store-suite-runs.ts';
import type { MakeStore } from './store-under-test.ts';

export function storeSuite(name: string, make: MakeStore): void {
  intakeSuite(name, make);
  episodeSuite(name, make);
  runSuite(name, make);
  escalationSuite(name, make);
}
