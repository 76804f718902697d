// Parts of Kafka's protocol that the library does not decode for us, and the class of what it throws. Pure.
import { asTargetError, classOf, codeOf, messageOf, TargetError, type TargetErrorCode } from '../../runtime/errors.ts';

/**
 * Topics of a member's assignment in the consumer protocol (ConsumerProtocolAssignment.json):
 * version int16, array of { topic: string with int16 length, partitions: array of int32 }, user data.
 * Empty for a member that has not been given anything, and for bytes that are something else.
 */
export function assignedTopics(bytes: Buffer): string[] {
  const topics: string[] = [];
  try {
    let at = 2;
    const count = bytes.readInt32BE(at);
    at += 4;
    for (let i = 0; i < count; i++) {
      const length = bytes.readInt16BE(at);
      const topic = bytes.toString('utf8', at + 2, at + 2 + length);
      at += 2 + length;
      const partitions = bytes.readInt32BE(at);
      at += 4 + 4 * partitions;
      if (length < 0 || partitions < 0 || at > bytes.length) return [];
      if (partitions > 0) topics.push(topic);
    }
  } catch (error) {
    if (error instanceof RangeError) return []; // shorter than it says
    throw error;
  }
  return topics;
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

/**
 * The class of what @platformatic/kafka throws: errors wrapped in errors (causes and lists). The innermost that has a
 * class decides; its time-out errors have the code of a network error, so they are told by their name.
 */
export function kafkaError(error: unknown, doing: string): TargetError {
  if (error instanceof TargetError) return error;
  const code = innerClass(error, 0);
  if (code === undefined) return asTargetError(error, doing);
  return new TargetError(code, `${doing}: ${innerMessage(error)}`, { cause: error });
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
  if (/requires TLS|TLS handshake failed/.test(error.message)) return 'tls';
  const fromSystem = classOf(error);
  if (fromSystem !== 'bug') return fromSystem;
  // The broker closed the connection: that is what one with TLS or SASL does to a client without
  return codeOf(error) === 'PLT_KFK_NETWORK' ? 'unreachable' : undefined;
}

/** The outer message says what was done ("Cannot connect to any broker."), the innermost why. */
function innerMessage(error: unknown): string {
  const messages: string[] = [];
  let at: unknown = error;
  for (let depth = 0; at instanceof Error && depth < 10; depth++) {
    if (!messages.includes(messageOf(at))) messages.push(messageOf(at));
    at = at instanceof AggregateError ? (at.errors[0] as unknown) : at.cause;
  }
  return messages.join(' ');
}
