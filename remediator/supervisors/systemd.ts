// A systemd service, by systemctl. Never a signal to its process: systemd would take its end for a failure and, by
// Restart=, start it again at once; after `systemctl stop` it does not (systemd.service(5)).
import { pause } from '../../exporter/runtime/deadline.ts';
import { messageOf } from '../../exporter/runtime/errors.ts';
import { known, unknown } from '../../exporter/runtime/known.ts';
import { runArgv, type CommandResult } from './argv.ts';
import { processStateOf } from './process-state.ts';
import type { Outcome, ServiceIncarnation, Supervisor } from './supervisor.ts';
import { isInvocationId, parseShow, unitOwner, unitProperties, unitStateOf, type UnitState } from './systemd-facts.ts';

export interface SystemdSettings {
  /** NAME.service */
  readonly unit: string;
  /** The command and what comes before it: `[sudo, -n, /usr/bin/systemctl]`. */
  readonly systemctl: readonly string[];
  readonly journalctl: readonly string[];
}

export interface SystemdClock {
  readonly wallMs: () => number;
  /** CLOCK_MONOTONIC, in microseconds. */
  readonly monoUs: () => number;
}

const showBytes = 64 * 1024;
const logLines = 1_000;
const logBytes = 16 * 1024 * 1024;
const lookAgainMs = 250;

type Refused = Extract<Outcome<never>, { kind: 'refused' }>;

export function systemdSupervisor(settings: SystemdSettings, clock: SystemdClock): Supervisor {
  const { unit, systemctl, journalctl } = settings;
  const show = async (signal: AbortSignal): Promise<UnitState> => {
    const argv = [...systemctl, 'show', '--no-pager', `--property=${unitProperties.join(',')}`, '--', unit];
    const result = await runArgv(argv, signal, { maxBytes: showBytes });
    if (result.is === 'not_run') throw new Error(`${result.code}: ${result.message}`);
    if (result.exitCode !== 0) throw new Error(`systemctl show: ${firstLine(result.stderr)}`);
    const state = unitStateOf(parseShow(result.stdout), { wallMs: clock.wallMs(), monoUs: clock.monoUs() });
    // an unknown unit is shown too, with exit code 0
    if (!['loaded', 'masked'].includes(state.loadState)) throw new Error(`the unit ${unit} is ${state.loadState}`);
    return state;
  };
  const compared = async (signal: AbortSignal): Promise<UnitState | Refused> => {
    try {
      return await show(signal);
    } catch (error) {
      return refused('not_sent', `the unit cannot be looked at: ${messageOf(error)}`);
    }
  };
  /** Enters a job and comes back: how the job goes on is seen by looking. */
  const enter = async (verb: readonly string[], signal: AbortSignal): Promise<Outcome<undefined>> => {
    let result: CommandResult;
    try {
      result = await runArgv([...systemctl, ...verb, '--', unit], signal, { maxBytes: showBytes });
    } catch (cause) {
      return { kind: 'unknown', cause };
    }
    if (result.is === 'not_run') return refused(result.code, result.message);
    if (result.exitCode === 0) return { kind: 'done', value: undefined };
    const message = `systemctl ${verb[0] ?? ''}: code ${result.exitCode}: ${firstLine(result.stderr)}`;
    const refusal = refusals.find(([text]) => result.stderr.includes(text));
    return refusal === undefined ? { kind: 'unknown', cause: new Error(message) } : refused(refusal[1], message);
  };

  return {
    kind: 'systemd',
    // systemd's interface has no condition: the InvocationID is compared by a call of its own.
    fencing: { stop: 'predicate', start: 'predicate' },
    state: async (signal) => {
      try {
        const found = await show(signal);
        const { running, last } = found;
        const nowMs = clock.wallMs();
        const processState =
          running?.pid == null ? unknown('no main process') : processStateOf(running.pid, running.startedAtMs, nowMs);
        return known({ running, processState, orphan: false, last, maxFence: null, owner: unitOwner(found) }, nowMs);
      } catch (error) {
        return unknown(messageOf(error));
      }
    },
    raiseFence: () => Promise.resolve(refused('unsupported', 'systemd keeps no fences')),
    stop: async (incarnation, _token, { force, waitMs }, signal) => {
      const found = await compared(signal);
      if ('kind' in found) return found;
      const now = found.running;
      if (now === null && found.last?.incarnation.id === incarnation.id)
        return { kind: 'done', value: { ended: found.last } };
      if (now?.id !== incarnation.id || now.pid !== incarnation.pid) {
        return refused(
          'overtaken',
          `another life of the unit: ${now === null ? 'none' : `${now.id}, process ${now.pid ?? 0}`}`,
        );
      }
      // A kill without a stop that is under way would be a failure, after which Restart= starts it.
      if (force && found.activeState !== 'deactivating') return refused('not_stopping', 'it is not being stopped');
      const outcome = await enter(
        force ? ['kill', '--signal=SIGKILL'] : ['stop', '--no-block', '--job-mode=fail'],
        signal,
      );
      if (outcome.kind !== 'done') return outcome;
      const ended = await seen(waitMs, signal, (unit) => (unit.running?.id === incarnation.id ? undefined : unit));
      const last = ended?.last ?? null;
      return { kind: 'done', value: { ended: last?.incarnation.id === incarnation.id ? last : null } };
    },
    start: async (_token, signal) => {
      const found = await compared(signal);
      if ('kind' in found) return found;
      if (found.running !== null) return refused('running', 'the unit has a main process');
      if (found.loadState === 'masked') return refused('masked', 'the unit is masked');
      if (found.hasJob || found.subState === 'auto-restart')
        return refused('owner_busy', `the unit is ${found.subState}`);
      const before = found.last?.incarnation.id;
      const outcome = await enter(['start', '--no-block', '--job-mode=fail'], signal);
      if (outcome.kind !== 'done') return outcome;
      const incarnation = await seen(Number.MAX_SAFE_INTEGER, signal, (now): ServiceIncarnation | undefined => {
        const life = now.running ?? now.last?.incarnation;
        return life?.id === before ? undefined : life;
      });
      if (incarnation === undefined)
        return { kind: 'unknown', cause: new Error('its start was entered and not yet seen') };
      return { kind: 'done', value: { incarnation } };
    },
    log: async (incarnation, maxBytes, signal) => {
      const id = incarnation.id.replace(/^systemd:/, '');
      if (!isInvocationId(id)) return unknown('not a life of a systemd unit');
      // of the service itself, and what systemd says of it: journalctl(1), systemd.journal-fields(7)
      const match = [`_SYSTEMD_INVOCATION_ID=${id}`, '+', `INVOCATION_ID=${id}`];
      const argv = [...journalctl, '--no-pager', '--quiet', '--output=cat', `--lines=${logLines}`, ...match];
      try {
        const result = await runArgv(argv, signal, { maxBytes: logBytes });
        if (result.is === 'not_run') return unknown(`${result.code}: ${result.message}`);
        if (result.exitCode !== 0) return unknown(`journalctl: ${firstLine(result.stderr)}`);
        const bytes = Buffer.from(result.stdout);
        const isCut = bytes.length > maxBytes || result.stdout.split('\n').length > logLines;
        const text = bytes.subarray(-maxBytes).toString('utf8');
        return known({ text, complete: !isCut, why: isCut ? 'only its end was asked for' : null }, clock.wallMs());
      } catch (error) {
        return unknown(messageOf(error));
      }
    },
  };

  /** Looks until something is found; undefined when the time is over, or nothing more can be seen. */
  async function seen<T>(
    waitMs: number,
    signal: AbortSignal,
    find: (unit: UnitState) => T | undefined,
  ): Promise<T | undefined> {
    const untilUs = clock.monoUs() + waitMs * 1000;
    try {
      for (;;) {
        const found = find(await show(signal));
        if (found !== undefined || clock.monoUs() >= untilUs) return found;
        await pause(lookAgainMs, signal);
      }
    } catch {
      return undefined;
    }
  }
}

/** Texts of systemctl 252 after which no job was entered. */
const refusals: readonly (readonly [text: string, code: string])[] = [
  ['Access denied', 'denied'],
  ['authentication required', 'denied'],
  ['authentication is required', 'denied'],
  ['a password is required', 'denied'], // sudo -n
  ['is not allowed to execute', 'denied'], // sudo
  ['not found.', 'not_found'],
  ['not loaded.', 'not_found'],
  ['is masked', 'masked'],
  // --job-mode=fail
  ['is destructive', 'owner_busy'],
  ['System has not been booted with systemd', 'no_systemd'],
  ['Failed to connect to bus', 'no_systemd'],
];

function firstLine(text: string): string {
  return (text.trim().split('\n')[0] ?? '').slice(0, 200);
}

function refused(code: string, message: string): Refused {
  return { kind: 'refused', code, message };
}
