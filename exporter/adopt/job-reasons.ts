// Matchers of the label `job`, of which every exporter has its own, and whose own process a series is of.
import type { Matcher } from '../promql.ts';
import { isNamedAfter, isOpen, jobNames, plain } from './matchers.ts';
import { peers, type Peer } from './peers.ts';
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

/** `process_open_fds{job="mysql"}`, or with the address of the old exporter, is of its own process. */
export function ownProcessReasons(
  metric: string,
  peer: Peer,
  matchers: readonly Matcher[],
  setting: Setting,
): Reason[] {
  if (peer.prefixes.every((prefix) => prefix !== 'process_')) return [];
  const of = matchers.filter((m) => !m.op.startsWith('!') && !isOpen(m));
  const job = of.find(({ label }) => label === 'job');
  const instance = of.find(({ label }) => label === 'instance');
  const named = job ?? instance;
  const owners = job === undefined ? ownerAt(instance) : ownersOf(jobNames(job.op, job.value), setting);
  const [going] = owners.filter(({ fate }) => fate === 'program');
  if (named === undefined || going === undefined) return [];
  return [
    {
      verdict: 'breaks',
      metric,
      exporter: going.name,
      text: `${named.label}${named.op}"${named.value}": ${metric} is there of the process of ${going.name}, and goes with it`,
      fix: 'take the rule out, or write the job of pipemedic',
    },
  ];
}

function ownersOf(names: readonly string[], setting: Setting): readonly Peer[] {
  return names.flatMap(setting.peersOfJob).filter((owner) => isNamedAfter(owner, names));
}

/** By the port of the exporter. */
function ownerAt(instance: Matcher | undefined): readonly Peer[] {
  const port = Number(/:(\d{1,5})$/.exec(instance?.value ?? '')?.[1] ?? Number.NaN);
  return peers.filter(({ ports }) => ports.includes(port));
}

/** The one that series can be given: the first that is written out, where it is a pattern. */
export function jobNameOf(op: string, value: string): string {
  if (op === '=') return plain(value);
  return jobNames(op, value).find((name) => /^[\w./-]+$/.test(name)) ?? 'NAME, with a name that the pattern matches';
}
