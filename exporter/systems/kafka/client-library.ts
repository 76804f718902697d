// Loads the Kafka library before the files that import it, in a good half of the time.
import { createRequire } from 'node:module';

interface Check {
  (options: unknown): boolean;
  errors?: unknown;
}

type Compile = (this: unknown, schema: unknown) => Check;

let loaded: Promise<unknown> | undefined;

/**
 * As it is loaded, the library compiles its checks of the options of all its clients, by ajv: about forty, 0.3 s of 0.7 s of
 * processor time without a turn of the event loop (seen on @platformatic/kafka 2.12.1, utils.js and clients/…/options.js). They
 * are used by clients with `strict` only, which ours is not. So each is compiled when it is used first, and says what it would
 * have said. Where ajv is not found the library is loaded as it is.
 */
export function loadKafkaLibrary(): Promise<unknown> {
  // One that failed, for want of a file descriptor as an example, is tried again.
  return (loaded ??= loadWith(checkMaker()).catch((error: unknown) => {
    loaded = undefined;
    throw error;
  }));
}

async function loadWith(maker: { compile: Compile } | undefined): Promise<unknown> {
  if (maker === undefined) return await import('@platformatic/kafka');
  const { compile } = maker;
  maker.compile = compileLater(compile);
  try {
    return await import('@platformatic/kafka');
  } finally {
    maker.compile = compile;
  }
}

/** The library's own ajv. */
function checkMaker(): { compile: Compile } | undefined {
  try {
    const required: unknown = createRequire(import.meta.resolve('@platformatic/kafka'))('ajv/dist/2020.js');
    return (required as { readonly Ajv2020?: { readonly prototype: { compile: Compile } } }).Ajv2020?.prototype;
  } catch {
    return undefined;
  }
}

function compileLater(compile: Compile): Compile {
  return function (schema) {
    let made: Check | undefined;
    const check: Check = (options) => {
      made ??= compile.call(this, schema);
      const isValid = made(options);
      check.errors = made.errors;
      return isValid;
    };
    return check;
  };
}
