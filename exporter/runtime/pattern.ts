// Regular expressions that people write in the configuration.
import { createRequire } from 'node:module';
import type * as Re2 from 're2js';

export interface Pattern {
  /** As it was written. */
  readonly source: string;
  /** Whether it matches the whole of the text, line breaks among it; in a time that grows with the text alone. */
  readonly matches: (text: string) => boolean;
  /** What its groups have caught, by number (0: the whole) and by name; undefined where it does not match the whole text. */
  readonly groups: (text: string) => ReadonlyMap<string, string> | undefined;
}

/** Loaded with the first pattern: most configurations have none, and it takes 10 to 40 ms. */
let library: typeof Re2 | undefined;

/**
 * RE2, as Go's programs have it: what worked for kafka_exporter and Prometheus works here, and no text makes it go back
 * over itself without an end, as (a+)+ does with a JavaScript expression. https://github.com/google/re2/wiki/Syntax
 *
 * @throws Error which says what is wrong with it
 */
export function patternOf(source: string): Pattern {
  library ??= createRequire(import.meta.url)('re2js') as typeof Re2;
  const { RE2JS } = library;
  try {
    RE2JS.compile(source); // by itself, so that the message shows what was written
    const compiled = RE2JS.compile(source, RE2JS.DOTALL);
    return {
      source,
      matches: (text) => compiled.matches(text),
      groups: (text) => {
        const matcher = compiled.matcher(text);
        if (!matcher.matches()) return undefined;
        const caught = new Map<string, string>();
        for (let i = 0; i <= matcher.groupCount(); i += 1) caught.set(String(i), matcher.group(i) ?? '');
        for (const name of Object.keys(compiled.namedGroups())) caught.set(name, matcher.group(name) ?? '');
        return caught;
      },
    };
  } catch (error) {
    throw new Error(whyNot(error), { cause: error });
  }
}

function whyNot(error: unknown): string {
  const why = (error instanceof Error ? error.message : String(error)).replace(/^error parsing regexp: /, '');
  return /Perl syntax|invalid escape/.test(why) ? `${why}; RE2 has no lookaround and no backreferences` : why;
}
