// The class of what @platformatic/kafka throws, and what mends it. Pure.
import { asTargetError, classOf, codeOf, messageOf, TargetError, type TargetErrorCode } from '../../runtime/errors.ts';

/** How the client goes to the brokers: what a connection that was closed without a word means depends on it. */
export interface Way {
  readonly tls: boolean;
  readonly user: boolean;
}

const byApi: Readonly<Record<string, TargetErrorCode>> = {
  SASL_AUTHENTICATION_FAILED: 'auth',
  UNSUPPORTED_SASL_MECHANISM: 'auth',
  ILLEGAL_SASL_STATE: 'auth',
  TOPIC_AUTHORIZATION_FAILED: 'denied',
  GROUP_AUTHORIZATION_FAILED: 'denied',
  CLUSTER_AUTHORIZATION_FAILED: 'denied',
  UNSUPPORTED_VERSION: 'unsupported',
};

/** Texts of the library, of Node and of OpenSSL, each with its class and what mends it. The first that fits counts. */
const known: readonly (readonly [text: RegExp, code: TargetErrorCode, fix: string])[] = [
  [/Broker requires TLS/, 'tls', 'the broker wants TLS: set tls'],
  [/TLS handshake failed|wrong version number|packet length too long/, 'tls', 'this port speaks no TLS, or refuses ours: take tls away, or take the port of a TLS listener'],
  [/unable to verify the first certificate|unable to get (local )?issuer certificate|self[- ]signed certificate/, 'tls', "set tls.ca_file to the CA that has signed the brokers' certificates"],
  [/does not match certificate's altnames/, 'tls', 'set tls.server_name to a name that the certificate has, or let brokers advertise such a name'],
  [/alert (bad certificate|certificate required|unknown ca|certificate unknown)/, 'tls', 'the broker wants a certificate that it trusts: set tls.cert_file and tls.key_file'],
  [/alert certificate expired/, 'tls', 'the certificate in tls.cert_file has expired: renew it'],
  [/certificate has expired/, 'tls', "the broker's certificate has expired: renew it there"],
  [/alert handshake failure|alert protocol version/, 'tls', 'no TLS version or cipher is common to both sides, or the broker wants a certificate (tls.cert_file, tls.key_file)'],
  [/UNSUPPORTED_SASL_MECHANISM|does not support .* SASL mechanism/, 'auth', 'set address.sasl to a mechanism that the listener has enabled (sasl.enabled.mechanisms)'],
  [/SASL[_ ]authentication[_ ]failed/i, 'auth', 'the broker does not know this user, or has another password for it: look at auth and address.sasl'],
]; // prettier-ignore

/**
 * Its errors are wrapped in errors (causes and lists). A text that is known decides, else the innermost that has a class;
 * its time-out errors have the code of a network error, so they are told by their name.
 */
export function kafkaError(error: unknown, doing: string, way: Way = { tls: true, user: true }): TargetError {
  if (error instanceof TargetError) return error;
  const text = messagesOf(error).join(' ');
  const found = known.find(([pattern]) => pattern.test(text));
  const options = { cause: error };
  if (found !== undefined) return new TargetError(found[1], `${doing}: ${text}: ${found[2]}`, options);
  const code = innerClass(error, 0);
  if (code === undefined) return asTargetError(error, doing);
  const fix = code === 'unreachable' && /Connection closed|ECONNRESET|EPIPE/.test(text) ? fixOfSilence(way) : undefined;
  return new TargetError(code, `${doing}: ${text}${fix === undefined ? '' : `: ${fix}`}`, options);
}

/** A listener with TLS or SASL closes the connection of a client without, and says nothing. */
function fixOfSilence({ tls, user }: Way): string | undefined {
  if (tls && user) return undefined;
  const missing = [...(tls ? [] : ['TLS (set tls)']), ...(user ? [] : ['a user (set auth)'])];
  return `the broker closed the connection: perhaps it wants ${missing.join(' or ')}`;
}

function innerClass(error: unknown, depth: number): TargetErrorCode | undefined {
  if (!(error instanceof Error) || depth > 10) return undefined;
  for (const inner of [...(error instanceof AggregateError ? (error.errors as unknown[]) : []), error.cause]) {
    const found = innerClass(inner, depth + 1);
    if (found !== undefined) return found;
  }
  if ('apiId' in error && typeof error.apiId === 'string') return byApi[error.apiId] ?? 'failed';
  if (codeOf(error) === 'PLT_KFK_AUTHENTICATION') return 'auth';
  if (error.constructor.name === 'TimeoutError') return 'deadline';
  const fromSystem = classOf(error);
  if (fromSystem !== 'bug') return fromSystem;
  // The broker closed the connection: that is what one with TLS or SASL does to a client without
  return codeOf(error) === 'PLT_KFK_NETWORK' ? 'unreachable' : undefined;
}

/** The outer message says what was done ("Cannot connect to any broker."), the innermost why. */
function messagesOf(error: unknown): readonly string[] {
  const messages: string[] = [];
  let at: unknown = error;
  for (let depth = 0; at instanceof Error && depth < 10; depth++) {
    if (!messages.includes(messageOf(at))) messages.push(messageOf(at));
    at = at instanceof AggregateError ? (at.errors[0] as unknown) : at.cause;
  }
  return messages;
}
