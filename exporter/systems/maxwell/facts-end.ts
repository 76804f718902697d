// How the last life of Maxwell ended, by its exit code and by what it wrote. Pure.
import { endClassOf, type LifeLog, type LogClass } from './facts-log.ts';
import type { ServiceEnd } from './facts-witness.ts';

export type EndClass = 'stopped' | 'killed' | LogClass | 'unclassified';

/**
 * Codes as seen on 1.44.1: 143 after SIGTERM (the JVM's own), 137 after SIGKILL, 1 for most errors, 2 for a lost position
 * and for a second reader with the same server id, but 1 for a lost position on 1.22.6: only the log tells these apart.
 *
 * @param life what that life wrote, as far as it was read
 */
export function endClass(end: ServiceEnd, life: LifeLog | undefined): EndClass {
  const { exitCode, signal, isAsked } = end;
  if (isAsked || exitCode === 0 || exitCode === 143 || signal === 'SIGTERM' || signal === 'SIGINT') return 'stopped';
  const told = life === undefined ? undefined : endClassOf(life);
  // The kernel's own killer leaves no word in the log: what stands there is older.
  if (exitCode === 137 || signal === 'SIGKILL') return told === 'memory' ? 'memory' : 'killed';
  return told ?? 'unclassified';
}
