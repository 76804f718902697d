/** Why something outside this program could not be used. Closed, so that it may stand in a label. */
export const targetErrorCodes = [
  'deadline', // no answer within the time given
  'refused', // nobody listens there
  'unreachable', // no route, reset, name not found
  'auth', // credentials were not accepted
  'denied', // logged in, but this is not allowed (a grant or an ACL is missing)
  'protocol', // an answer that makes no sense
  'tls',
  'secret', // a credential could not be read on this side
  'unsupported', // the server's version or setting lacks what is asked
  'failed', // the target said no for another reason
  'queue', // not asked, or its large answer not read: this program was at work on other targets
  'bug', // our fault
] as const;
export type TargetErrorCode = (typeof targetErrorCodes)[number];

/** Thrown by clients and facts: the target (or the way to it) is at fault. Anything else that is thrown is our bug. */
export class TargetError extends Error {
  readonly code: TargetErrorCode;
  constructor(code: TargetErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'TargetError';
    this.code = code;
  }
}

/** Thrown for input that a person wrote: names the place and the fix. Printed without a stack. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(source: string, problems: readonly string[]) {
    super(`${source} is not usable:\n${problems.map((p) => `  - ${p}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The class of an error, for the label of a metric and for the reason in a state. */
export function classOf(error: unknown): TargetErrorCode {
  if (error instanceof TargetError) return error.code;
  if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')) return 'deadline';
  const fromSystem = systemErrors[codeOf(error) ?? ''];
  if (fromSystem !== undefined) return fromSystem;
  if (error instanceof Error && error.cause !== undefined) return classOf(error.cause);
  return 'bug';
}

// errno(3); TLS codes are Node's and OpenSSL's
const systemErrors: Readonly<Record<string, TargetErrorCode>> = {
  ECONNREFUSED: 'refused',
  ENOENT: 'refused', // a unix socket that is not there
  ECONNRESET: 'unreachable',
  EPIPE: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  ETIMEDOUT: 'deadline',
  ABORT_ERR: 'deadline',
  CERT_HAS_EXPIRED: 'tls',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls',
  ERR_TLS_CERT_ALTNAME_INVALID: 'tls',
};

/** Turns what a library threw into a TargetError with its class; a TargetError passes unchanged. */
export function asTargetError(error: unknown, doing: string): TargetError {
  if (error instanceof TargetError) return error;
  const found = classOf(error);
  return new TargetError(found === 'bug' ? 'failed' : found, `${doing}: ${messageOf(error)}`, { cause: error });
}
