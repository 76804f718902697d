import { TargetError } from '../../runtime/errors.ts';

/** The server said that this user may not, or that it has no such command: nothing that time mends. */
export function isRefusal(error: unknown): error is TargetError {
  return error instanceof TargetError && (error.code === 'denied' || error.code === 'unsupported');
}

/** What a command yields; undefined when it is refused, which the client remembers and tells. */
export async function unlessRefused<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

/** States of what depends on a command beyond INFO. */
export const commandStates = ['read', 'refused', 'unknown'] as const;
