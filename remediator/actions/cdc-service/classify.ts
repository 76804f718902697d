// What the end of a CDC service says about a restart. Pure. Its codes are not published: those of sysexits.h and of a
// shell are taken for what they say everywhere, any other one for a crash.
import { allow, deny, unsure, type Verdict } from '../../guard.ts';
import type { Known } from '../../../exporter/runtime/known.ts';
import type { ServiceEnd, ServiceLog, ServiceState } from '../../supervisors/supervisor.ts';
import { endVerdict } from '../service/verdicts.ts';

/** Codes of classes that no restart can mend, now or later. */
export const neverCodes: ReadonlySet<string> = new Set([
  'access_denied',
  'bad_options',
  'not_executable',
  'binlog_purged',
]);

export function classify(service: Known<ServiceState>, log: Known<ServiceLog>): Verdict {
  if (!service.known) return unsure('supervisor_unknown', service.why);
  const { running, processState, orphan, last } = service.value;
  if (orphan) return deny('orphan', 'a process of a former supervisor lives on: end it first');
  if (running !== null) {
    if (!processState.known) return unsure('process_state_unknown', processState.why);
    const inputs = { pid: running.pid, state: processState.value };
    if (processState.value === 'T' || processState.value === 't') {
      return deny('held', 'somebody holds its process: SIGSTOP, a debugger, or a paused container', inputs);
    }
    if (!log.known) return unsure('log_unknown', `what it writes cannot be read: ${log.why}`, inputs);
    if (log.value.text.includes('OutOfMemoryError')) return deny('memory', 'its heap is too small', inputs);
    return allow('alive', 'its process lives', inputs);
  }
  if (last === null) return deny('never_ran', 'it has never run under its supervisor: the first start is a person’s');
  return classifyEnd(last, log);
}

export function classifyEnd(last: ServiceEnd, log: Known<ServiceLog>): Verdict {
  const end = endVerdict(last);
  if (end.is !== 'exited') return end;
  const { exitCode, signal, inputs } = end;
  if (exitCode === 143 || signal === 'SIGTERM' || exitCode === 130 || signal === 'SIGINT') {
    return deny('stopped_on_purpose', 'somebody has told it to end', inputs);
  }
  if (exitCode === 0)
    return deny('ended_in_order', 'it has ended in order: it was told to, or has nothing to do', inputs);
  if (!log.known) return unsure('log_unknown', `what it wrote last cannot be read: ${log.why}`, inputs);
  const says = (marker: string): boolean => log.value.text.includes(marker);
  if (says('OutOfMemoryError')) return deny('memory', 'its heap was too small', inputs);
  if (signal === 'SIGKILL' || exitCode === 137) return allow('killed', 'it was killed', inputs);
  // MySQL's own words: error 1045, 1236
  if (says('Access denied for user')) return deny('access_denied', 'MySQL does not accept its password', inputs);
  const lost = [
    'Could not find first log file name in binary log index file',
    'purged required binary logs',
    'binlog truncated in the middle of event',
  ].find(says);
  if (lost !== undefined)
    return deny('binlog_purged', `its position is no longer on the source: ${lost}`, { ...inputs, marker: lost });
  // sysexits.h: EX_USAGE, EX_CONFIG; a shell: found but not executable, not found
  if (exitCode === 64 || exitCode === 78) return deny('bad_options', 'it does not accept its options', inputs);
  if (exitCode === 126 || exitCode === 127) return deny('not_executable', 'its program cannot be run', inputs);
  return allow('crashed', `it has ended with ${signal ?? `code ${exitCode ?? 'unknown'}`}`, inputs);
}
