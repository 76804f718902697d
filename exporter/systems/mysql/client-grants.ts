// A session has the global privileges that its account had when it began, so a kept connection is refused for ever what
// was granted meanwhile: https://dev.mysql.com/doc/refman/8.4/en/privilege-changes.html (seen on MariaDB 10.11
// and MySQL 9.7).
import { createHash } from 'node:crypto';
import type { Row } from './client-rows.ts';

/**
 * What the server tells in any session is what the account has now. Without FOR it shows what the roles in use give as
 * well. FOR CURRENT_USER() does not on MariaDB (seen on 10.11; on MySQL 9.7 both do).
 */
export const ownGrants = 'SHOW GRANTS';

/** How soon a GRANT, or a REVOKE, is noticed. */
const againAfterMs = 60_000;

/** Of one connection: whether its account has got other privileges since they were looked at first. */
export class GrantWatch {
  #first: string | undefined;
  #lookedAtMs = 0;

  /** Whether anybody has looked: where nothing depends on it, nothing is asked. */
  get isBegun(): boolean {
    return this.#first !== undefined;
  }

  isDue(nowMs: number): boolean {
    return this.#first === undefined || nowMs - this.#lookedAtMs >= againAfterMs;
  }

  /** @param nowMs monotonic @returns whether they are others than at first */
  look(rows: readonly Row[], nowMs: number): boolean {
    const lines = rows.flatMap((row) => Object.values(row)).map((value) => withoutPassword(String(value)));
    const found = createHash('sha256').update(lines.sort().join('\n')).digest('base64');
    this.#lookedAtMs = nowMs;
    this.#first ??= found;
    return found !== this.#first;
  }
}

/** MariaDB shows how the account logs in, which says nothing of what it may do. */
function withoutPassword(line: string): string {
  return line.split(' IDENTIFIED ', 1)[0] ?? '';
}
