// Conditions of a restart that any service has. Pure.
import type { Known } from '../../../exporter/runtime/known.ts';
import { allow, deny, unsure, type Verdict } from '../../guard.ts';
import type { ServiceEnd, ServiceState } from '../../supervisors/supervisor.ts';
import type { BusOffsets } from './facts.ts';

/**
 * One that has just been started looks like one that is stuck: a schema capture of Maxwell can take its first minute.
 */
export function startedVerdict(service: Known<ServiceState>, startingSeconds: number, nowWallMs: number): Verdict {
  if (!service.known) return unsure('supervisor_unknown', service.why);
  const { running } = service.value;
  if (running === null) return allow('not_running', 'nothing runs that could be disturbed');
  // A clock that was set back makes the age negative: as good as just started.
  const ageSeconds = Math.round((nowWallMs - running.startedAtMs) / 1000);
  const inputs = { ageSeconds, startingSeconds };
  if (ageSeconds >= startingSeconds) return allow('started', `it was started ${ageSeconds} s ago`, inputs);
  return unsure('starting', `it was started ${ageSeconds} s ago only: somebody may be at it`, inputs);
}

export function busVerdict(kafka: BusOffsets): Verdict {
  const all = Object.entries(kafka);
  if (all.length === 0) return allow('no_bus', 'no pipeline says where its changes go');
  for (const [bus, ends] of all) if (!ends.known) return unsure('kafka_unknown', `${bus}: ${ends.why}`);
  return allow('kafka_answers', all.map(([bus]) => bus).join(', '));
}

/** How it exited, where that is what says what to do. */
export interface Exited {
  readonly is: 'exited';
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly inputs: { readonly exitCode: number | null; readonly signal: string | null };
}

/** Who asked for its end, and whether it is known how it ended: what comes before the codes and logs of any service. */
export function endVerdict({ exit, asked, oomKilled }: ServiceEnd): Verdict | Exited {
  if (asked !== null && !asked.by.startsWith('run:')) {
    return deny('stopped_on_purpose', `${asked.by} has stopped it`, { by: asked.by });
  }
  if (asked !== null) return allow('stopped_by_us', `an earlier run has stopped it (${asked.by})`, { by: asked.by });
  if (!exit.known) return unsure('exit_unknown', `how it ended is not known: ${exit.why}`);
  const { exitCode, signal } = exit.value;
  const inputs = { exitCode, signal };
  if (oomKilled === true) return deny('memory', 'the kernel has ended it for want of memory', inputs);
  return { is: 'exited', exitCode, signal, inputs };
}
