// Commands that a server does not let this user run: asked now and then, not at every sweep, where each refusal would be a
// line in ACL LOG and a failure that says nothing new.
import { TargetError } from '../../runtime/errors.ts';

export const commandStates = ['accepted', 'denied', 'missing'] as const;
/** `denied`: the user may not. `missing`: the server does not have it, under this name (renamed, disabled, too old). */
export type CommandState = (typeof commandStates)[number];

export interface CommandSeen {
  readonly state: CommandState;
  /** The server's own words; empty when it was accepted. */
  readonly why: string;
  /** When it was asked last, on the monotonic clock. */
  readonly askedAtMs: number;
}

/** After this time a refused command is asked again: a grant changes nothing that we would notice otherwise. */
export const askAgainMs = 600_000;

/** Commands that name what they do by their first argument; ACL rules write them as `config|get`. */
const containers = new Set(['acl', 'client', 'cluster', 'command', 'config', 'latency', 'memory', 'script', 'sentinel', 'slowlog', 'xinfo']); // prettier-ignore
/** Without them there is nothing else to ask, and a grant must be seen at once. */
const alwaysAsked = new Set(['auth', 'info', 'ping']);

/** As ACL rules name it: `config|get`, `info`. */
export function commandName(command: string, args: readonly string[]): string {
  const name = command.toLowerCase();
  const [first] = args;
  return containers.has(name) && first !== undefined ? `${name}|${first.toLowerCase()}` : name;
}

/** What is remembered of one target's commands while its connections come and go. */
export class Refusals {
  readonly #seen = new Map<string, CommandSeen>();
  #who = '';

  /** By name as ACL rules write it. */
  get commands(): ReadonlyMap<string, CommandSeen> {
    return this.#seen;
  }

  /** Another user or password: what the one before was refused says nothing. */
  loggedInAs(who: string): void {
    if (who !== this.#who) this.#seen.clear();
    this.#who = who;
  }

  /** @throws TargetError as it was the last time, for a command that was refused not long ago */
  check(name: string, nowMs: number): void {
    const seen = this.#seen.get(name);
    if (seen === undefined || seen.state === 'accepted' || alwaysAsked.has(name)) return;
    if (nowMs - seen.askedAtMs >= askAgainMs) return;
    throw new TargetError(seen.state === 'denied' ? 'denied' : 'unsupported', seen.why);
  }

  accepted(name: string, nowMs: number): void {
    this.#seen.set(name, { state: 'accepted', why: '', askedAtMs: nowMs });
  }

  /** Remembers a refusal of the command itself; one of a key, or any other failure, says nothing about the command. */
  failed(name: string, error: TargetError, nowMs: number): void {
    const state = stateOf(error.message);
    if (state !== undefined) this.#seen.set(name, { state, why: error.message, askedAtMs: nowMs });
  }
}

/**
 * Redis 7 and Valkey: `NOPERM User x has no permissions to run the 'config|get' command`; Redis 6: `this user has no
 * permissions to run the 'config' command or its subcommand` (acl.c). `ERR unknown command 'CONFIG', with args beginning
 * with:`, and of hosted servers without the rest; `ERR unknown subcommand 'X'.` (server.c).
 */
function stateOf(message: string): CommandState | undefined {
  if (/\bNOPERM\b.* permissions to run the '[^']+' command/.test(message)) return 'denied';
  return /\bERR unknown (sub)?command\b/i.test(message) ? 'missing' : undefined;
}

/** What lets the user run the command. `user` undefined: the default one. */
export function grantOf(name: string, user: string | undefined): string {
  return `ACL SETUSER ${user ?? 'default'} +${name}`;
}
