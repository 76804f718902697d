// What a JVM has loaded in one life, for the next ones to map: https://openjdk.org/jeps/350. With it Maxwell and Kafka start
// with about half of the CPU time (seen on OpenJDK 17), and the tests start some hundred of them.
import { existsSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, program } from './context.ts';

/** Of that program and the Java of now: an archive fits no other build. */
export function classArchive(name: string): string {
  const build = Math.round(statSync(realpathSync(program('java'))).mtimeMs).toString(36);
  return join(cacheFolder(), `${name}.${build}.jsa`);
}

/** For the command line of a JVM; none without an archive. One that does not fit is left aside by the JVM. */
export function archivedClasses(name: string): readonly string[] {
  const file = classArchive(name);
  return existsSync(file) ? [`-XX:SharedArchiveFile=${file}`] : [];
}
