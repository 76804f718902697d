// Regular expressions that people write in the configuration.
import { createRequire } from 'node:module';

export interface Pattern {
  /** As it was written. */
  readonly source: string;
  /** Whether it matches the whole of the text, line breaks among it; in a time that grows with the text alone. */
  readonly matches: (text: string) => boolean;
}

/** Loaded with the first pattern: most configurations have none, and it takes 10 to 40 ms. */
let library: typeof import('re2js') | undefined;

/**
 * RE2, as Go's programs have it: what worked for kafka_exporter and Prometheus works here, and no text makes it go back
 * over itself without an end, as (a+)+ does with a JavaScript expression. https://github.com/google/re2/wiki/Syntax
 *
 * @throws Error which says what is wrong with it
 */
export function patternOf(source: string): Pattern {
  library ??= createRequire(import.meta.url)('re2js') as typeof import('re2js');
  const { RE2JS } = library;
  try {
    RE2JS.compile(source); // by itself, so that the message shows what was written
    const compiled = RE2JS.compile(source, RE2JS.DOTALL);
    return { source, matches: (text) => compiled.matches(text) };
  } catch (error) {
    throw new Error(whyNot(error), { cause: error });
  }
}

function whyNot(error: unknown): string {
  const why = (error instanceof Error ? error.message : String(error)).replace(/^error parsing regexp: /, '');
  return /Perl syntax|invalid escape/.test(why) ? `${why}; RE2 has no lookaround and no backreferences` : why;
}
