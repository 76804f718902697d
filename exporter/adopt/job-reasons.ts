// Matchers of the label `job`, which every exporter has one of its own of.
import type { Matcher } from '../promql.ts';
import { isNamedAfter, isOpen, jobNames, plain } from './matchers.ts';
import type { Peer } from './peers.ts';
import type { Setting } from './setting.ts';
import { variableValue } from './template.ts';
import type { Reason } from './verdict.ts';

/** `mysql_up{job!="mysql-test"}`: who was left out by the job of his exporter is in. */
export function leftOutReasons(
  metric: string,
  peer: Peer | undefined,
  { op, value }: Matcher,
  setting: Setting,
): Reason[] {
  const names = jobNames(op.slice(1) === '~' ? '=~' : '=', value);
  const isOwn = /pipemedic/.test(value) || names.every((name) => setting.ownJobs.includes(name));
  // nobody else has the name, or the job is of an exporter that has it not
  const isOfOthers = (name: string): boolean => {
    const owners = setting.peersOfJob(name);
    return owners.length > 0 && owners.every((owner) => owner !== peer);
  };
  if (peer === undefined || isOwn || value.includes(variableValue) || names.every(isOfOthers)) return [];
  const text = `job${op}"${value}": the job is pipemedic's, whatever it was before, so that nothing is left out`;
  const fix = 'leave out by target, or by a label that the targets get in the inventory (labels: {…})';
  return [{ verdict: 'breaks', metric, text, fix }];
}

/** `process_open_fds{job="mysql"}` is of the old exporter's own process. */
export function ownProcessReasons(
  metric: string,
  peer: Peer,
  matchers: readonly Matcher[],
  setting: Setting,
): Reason[] {
  const job = matchers.find(({ label, op }) => label === 'job' && (op === '=' || op === '=~'));
  if (job === undefined || isOpen(job) || peer.prefixes.every((prefix) => prefix !== 'process_')) return [];
  const names = jobNames(job.op, job.value);
  const owners = names.flatMap(setting.peersOfJob);
  const going = owners.find((owner) => owner.fate === 'program' && isNamedAfter(owner, names));
  if (going === undefined) return [];
  return [
    {
      verdict: 'breaks',
      metric,
      exporter: going.name,
      text: `job${job.op}"${job.value}": ${metric} is there of the process of ${going.name}, and goes with it`,
      fix: 'take the rule out, or write the job of pipemedic',
    },
  ];
}

/** The one that series can be given: the first that is written out, where it is a pattern. */
export function jobNameOf(op: string, value: string): string {
  if (op === '=') return plain(value);
  return jobNames(op, value).find((name) => /^[\w./-]+$/.test(name)) ?? 'NAME, with a name that the pattern matches';
}
