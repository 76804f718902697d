// --web.config.file as the programs use it: re-read whenever a file's content may have changed, closed when it is wrong.
import type { SecureContextOptions } from 'node:tls';
import { ConfigError, messageOf } from './errors.ts';
import { filesOf, markOf, readPems, readWebConfig } from './web-config-file.ts';
import type { WebDocument, WebTls } from './web-config-schema.ts';
import { secureContextOf } from './web-config-tls.ts';

export interface WebState {
  readonly document: WebDocument;
  /** A new object when certificates or settings changed. */
  readonly secure: { readonly tls: WebTls; readonly context: SecureContextOptions } | undefined;
  /** Nobody is let in while the file cannot be understood: it may have been written to keep somebody out. */
  readonly fault: string | undefined;
}

export interface WebConfig {
  readonly file: string;
  /** Synchronous; a few stat() calls when nothing changed. */
  readonly now: () => WebState;
}

/**
 * Reads the file, and again when it changes or one that it names.
 * - wrong at the start: throws.
 * - wrong later: `fault`, until it is mended.
 * - a certificate that does not fit its key (one is renewed before the other): those before stay in use.
 * - TLS cannot be switched on or off while the program runs: `fault`.
 * @param told called with each change for the worse, and with undefined when all is well again
 * @throws ConfigError
 */
export function openWebConfig(
  file: string,
  told: (problem: string | undefined) => void,
  wallMs: () => number = () => Date.now(),
): WebConfig {
  let state = read(file, undefined).state;
  let mark = markNow();
  let problem: string | undefined;

  function markNow(): string {
    return markOf([file, ...filesOf(file, state.document.tls_server_config)], wallMs());
  }

  return {
    file,
    now: () => {
      const found = markNow();
      if (found === mark) return state;
      const next = read(file, state);
      state = next.state;
      mark = markNow(); // it may name other files now
      if (next.problem !== problem) told(next.problem);
      problem = next.problem;
      return state;
    },
  };
}

/** @throws ConfigError when there is nothing before that could stay in use */
function read(
  file: string,
  before: WebState | undefined,
): { readonly state: WebState; readonly problem: string | undefined } {
  let document: WebDocument;
  try {
    // Many write a file by emptying it first: for that moment nobody would be asked who they are.
    const hadUsers = Object.keys(before?.document.basic_auth_users ?? {}).length > 0;
    document = readWebConfig(file, { mayBeEmpty: !hadUsers });
  } catch (error) {
    if (before === undefined) throw error;
    return faulty(before, messageOf(error));
  }
  const tls = document.tls_server_config;
  if (before !== undefined && (tls === undefined) !== (before.secure === undefined)) {
    return faulty(before, `${file}: TLS is switched on or off by a restart only`);
  }
  if (before !== undefined && asksForCertificate(tls) !== asksForCertificate(before.secure?.tls)) {
    return faulty(before, `${file}: clients are asked for certificates, or not any more, by a restart only`);
  }
  if (tls === undefined) return { state: { document, secure: undefined, fault: undefined }, problem: undefined };
  try {
    const pems = readPems(file, tls);
    return {
      state: { document, secure: { tls, context: secureContextOf(file, tls, pems) }, fault: undefined },
      problem: undefined,
    };
  } catch (error) {
    if (before?.secure === undefined) throw error;
    const same = JSON.stringify(tls) === JSON.stringify(before.secure.tls);
    // Only the files' content is wrong: a renewal that is not finished.
    if (same && error instanceof ConfigError) {
      return { state: { ...before, document, fault: undefined }, problem: messageOf(error) };
    }
    return faulty(before, messageOf(error));
  }
}

/** Must everybody say who they are? Nothing is changed for people who need not; a certificate of anybody's says nothing. */
export function isEverybodyKnown(web: WebState | undefined): boolean {
  if (web === undefined) return false;
  const type = web.document.tls_server_config?.client_auth_type;
  return type === 'RequireAndVerifyClientCert' || Object.keys(web.document.basic_auth_users).length > 0;
}

/** Part of the handshake, and fixed when the server is made. */
export function asksForCertificate(tls: WebTls | undefined): boolean {
  return tls !== undefined && tls.client_auth_type !== 'NoClientCert';
}

function faulty(before: WebState, fault: string): { readonly state: WebState; readonly problem: string } {
  return { state: { ...before, fault }, problem: fault };
}
