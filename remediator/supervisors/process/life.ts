/** How the state changes when a life of the service begins and ends. Pure. */
import type { Asked, Ended, Exit } from '../process-wire.ts';
import type { Life, Line, State } from './store.ts';

/** `by` of a stop that is part of the supervisor's own end. */
export const shutdownBy = 'supervisor-shutdown';

export function begun(state: State, life: Pick<Life, 'incarnation' | 'marker' | 'log'>): Partial<State> {
  return {
    starting: null,
    running: { ...life, asked: null, leaderExit: null, leaderEndedAtMs: null },
    counts: { ...state.counts, starts: state.counts.starts + 1 },
    resume: false,
  };
}

/** What ended by itself stays so, also when the rest of its group is asked to end. */
export function askedNow(life: Life, asked: Asked): Asked | null {
  return life.leaderExit === null ? asked : life.asked;
}

export function exitLine({ incarnation, asked }: Life, exit: Exit): Line {
  const { seq, pid, startTicks } = incarnation;
  return {
    event: 'exit',
    seq,
    pid,
    startTicks,
    fence: asked?.fence ?? null,
    by: asked?.by ?? null,
    ...(exit.known ? { exitCode: exit.exitCode, signal: exit.signal } : { why: exit.why }),
  };
}

export function over(
  state: State,
  life: Life,
  exit: Exit,
  log: Life['log'],
  now: { wallMs: number; bootId: string },
): Partial<State> {
  const { incarnation, asked } = life;
  const { counts } = state;
  const rebooted = incarnation.bootId !== now.bootId;
  return {
    running: null,
    last: {
      incarnation,
      exit,
      endedAtMs: life.leaderEndedAtMs ?? now.wallMs,
      asked,
      logOffset: log.offset,
      logEnd: log.end?.at ?? log.offset,
      log,
    },
    resume: asked === null ? rebooted : asked.by === shutdownBy,
    counts:
      asked === null
        ? { ...counts, endsByItself: counts.endsByItself + 1 }
        : { ...counts, endsAsked: counts.endsAsked + 1 },
  };
}

export function publicEnded({ log: _log, ...ended }: NonNullable<State['last']>): Ended {
  return ended;
}
