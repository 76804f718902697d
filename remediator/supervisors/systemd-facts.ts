// What `systemctl show` says of a service, as facts. Pure. Properties: org.freedesktop.systemd1(5) and systemd.service(5).
import { constants } from 'node:os';
import { known, unknown, type Known } from '../../exporter/runtime/known.ts';
import type { ServiceEnd, ServiceIncarnation, ServiceOwner } from './supervisor.ts';

export const unitProperties = [
  'LoadState',
  'ActiveState',
  'SubState',
  'Result',
  'InvocationID',
  'MainPID',
  'ExecMainCode',
  'ExecMainStatus',
  'ExecMainStartTimestampMonotonic',
  'ExecMainExitTimestampMonotonic',
  'NRestarts',
  'Restart',
  'Job',
] as const;
type Property = (typeof unitProperties)[number];
export type Shown = Readonly<Partial<Record<Property, string>>>;

export interface UnitState {
  readonly loadState: string;
  readonly activeState: string;
  readonly subState: string;
  readonly result: string;
  readonly restart: string;
  readonly hasJob: boolean;
  readonly restarts: number | null;
  readonly running: ServiceIncarnation | null;
  readonly last: ServiceEnd | null;
}

/** Both clocks at one moment: systemd's times are of CLOCK_MONOTONIC, in microseconds. */
export interface Moment {
  readonly wallMs: number;
  readonly monoUs: number;
}

export function parseShow(text: string): Shown {
  const shown: Partial<Record<Property, string>> = {};
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    const name = unitProperties.find((p) => p === line.slice(0, at));
    if (name !== undefined) shown[name] = line.slice(at + 1).trim();
  }
  return shown;
}

/** @throws when what decides is not there: an answer of another program, or of a systemd that is too old */
export function unitStateOf(shown: Shown, now: Moment): UnitState {
  const text = (name: Property): string => {
    const value = shown[name];
    if (value === undefined) throw new Error(`systemctl show has no ${name}`);
    return value;
  };
  const wallOf = (name: Property): number | undefined => {
    const us = Number(text(name));
    return us > 0 ? Math.round(now.wallMs - (now.monoUs - us) / 1000) : undefined;
  };
  const id = text('InvocationID');
  if (id !== '' && !isInvocationId(id)) throw new Error('InvocationID is not 32 hexadecimal digits');
  const pid = Number(text('MainPID'));
  const startedAtMs = wallOf('ExecMainStartTimestampMonotonic');
  const life = (livePid: number | null): ServiceIncarnation | null =>
    id === '' || startedAtMs === undefined ? null : { id: `systemd:${id}`, pid: livePid, startedAtMs };
  const running = pid > 0 ? life(pid) : null;
  if (pid > 0 && running === null) throw new Error('a main process without an InvocationID');
  const isActive = ['active', 'reloading'].includes(text('ActiveState'));
  // Type=oneshot with RemainAfterExit=, or forking without a PIDFile=: a start does nothing, and an end is not to be seen
  if (pid === 0 && isActive)
    throw new Error('the unit is active and has no main process: it is of no kind that can be followed');
  // Before its main process is there, a new life has its id already and the times and the end of the one before
  const isBegun = text('ActiveState') === 'activating' && text('SubState') !== 'auto-restart';
  const ended = running === null && !isBegun ? life(null) : null;
  const last =
    ended === null
      ? null
      : {
          incarnation: ended,
          exit: exitOf(text('ExecMainCode'), Number(text('ExecMainStatus')), now.wallMs),
          endedAtMs: wallOf('ExecMainExitTimestampMonotonic') ?? ended.startedAtMs,
          asked: null,
          oomKilled: text('Result') === 'oom-kill',
        };
  const restarts = Number(shown.NRestarts ?? 'none');
  return {
    loadState: text('LoadState'),
    activeState: text('ActiveState'),
    subState: text('SubState'),
    result: text('Result'),
    restart: text('Restart'),
    // left out of the output while there is none
    hasJob: !['', '0'].includes(shown.Job ?? ''),
    restarts: Number.isSafeInteger(restarts) ? restarts : null,
    running,
    last,
  };
}

export function isInvocationId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

/** CLD_EXITED, CLD_KILLED, CLD_DUMPED of waitid(2). */
function exitOf(code: string, status: number, atMs: number): Known<{ exitCode: number | null; signal: string | null }> {
  if (code === '1') return known({ exitCode: status, signal: null }, atMs);
  if (code !== '2' && code !== '3') return unknown(`systemd does not tell how it ended (ExecMainCode ${code})`);
  const name = Object.entries(constants.signals).find(([, number]) => number === status)?.[0];
  return known({ exitCode: null, signal: name ?? `signal ${status}` }, atMs);
}

export function unitOwner(unit: UnitState): ServiceOwner {
  const { activeState, subState, restart, restarts, result } = unit;
  const is = (what: ServiceOwner['is'], because: string): ServiceOwner => ({ is: what, because, restarts });
  const policy = `Restart=${restart}`;
  if (unit.loadState === 'masked') return is('left_down', 'the unit is masked: somebody does not want it started');
  if (subState === 'auto-restart') return is('busy', `${policy}: systemd waits to start it again`);
  if (unit.hasJob) return is('busy', 'systemd has a job for the unit');
  if (activeState === 'activating' || activeState === 'deactivating') return is('busy', `the unit is ${subState}`);
  // By a request that took too long (TimeoutStopSec=): else it looks like one that somebody has killed
  if (activeState === 'failed' && result === 'timeout') {
    return is(
      'left_down',
      `${policy}, and systemd has killed it as a stop or a start took too long: see who wanted that`,
    );
  }
  if (restart === 'no') return is('none', policy);
  if (unit.running !== null) return is('watching', policy);
  if (result === 'start-limit-hit') {
    return is(
      'gave_up',
      `${policy}, and its start limit is reached: a start is refused until the limit's interval is over`,
    );
  }
  if (activeState === 'failed') return is('gave_up', `${policy}, and the unit has failed (${result})`);
  return is('left_down', `${policy}, and yet systemd leaves it down: it was stopped by request`);
}
