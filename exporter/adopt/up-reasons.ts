// `up` is Prometheus' own: it tells of scrapes, and the scrape jobs are what changes.
import type { Matcher } from '../promql.ts';
import { isNamedAfter, isOpen, jobNames, plain } from './matchers.ts';
import { peers, type Peer } from './peers.ts';
import type { Setting } from './setting.ts';
import { forSd, type Reason } from './verdict.ts';

/** `up` tells of a scrape: with one exporter for everything it says nothing of a server. */
export function upReasons(matchers: readonly Matcher[], inside: readonly string[], setting: Setting): Reason[] {
  const job = matchers.find((m) => m.label === 'job' && !m.op.startsWith('!'));
  const alternatives = job === undefined ? [] : jobNames(job.op, job.value);
  const named = job === undefined || isOpen(job) ? [] : alternatives.flatMap(setting.peersOfJob);
  const going = [...new Set(named)].filter(({ fate }) => fate !== 'stays');
  const instance = matchers.find((m) => m.label === 'instance' && !m.op.startsWith('!'));
  const isOfOneThatStays = named.length > 0 ? going.length === 0 : stays(instance);
  if (isOfOneThatStays) return [];
  // by /probe each target is scraped by itself, under the job that relabelling gives it
  const isOwn = job !== undefined && alternatives.every((name) => setting.ownUpJobs.includes(name));
  if (isOwn) {
    const text = `up of a target by /probe tells that the exporter answered for it, as it does elsewhere`;
    return [{ verdict: 'note', text }];
  }
  if (instance !== undefined && !isOpen(instance)) {
    return [
      {
        verdict: 'breaks',
        metric: 'up',
        text: `up{instance${instance.op}"${instance.value}"} tells of a scrape, and pipemedic has another address`,
        fix: `write pipemedic_target_up{instance${instance.op}"${instance.value}"}, with instance: ${plain(instance.value)} at the target in the inventory ${forSd}`,
      },
    ];
  }
  if (job === undefined || isOpen(job)) {
    const text = `up of all jobs tells which scrapes fail: a host with an exporter of its own that is gone showed there, one that pipemedic asks from afar shows in pipemedic_target_up`;
    return inside.includes('absent') ? [] : [{ verdict: 'note', text }];
  }
  if (/pipemedic/.test(job.value)) return [];
  if (named.length === 0) {
    return [
      { verdict: 'note', text: `up of the job ${job.value} is Prometheus' own: it goes on while that job is scraped` },
    ];
  }
  const rest = matchers.filter((m) => m !== job).map(({ label, op, value }) => `${label}${op}"${value}"`);
  const kept = rest.length === 0 ? '' : `{${rest.join(', ')}}`;
  const forever = inside.includes('absent') ? ', and absent() of it is true for ever' : '';
  const own = going.map((peer) => `${upOf(peer)}${kept} == 0`).join(' or ');
  return going.map((peer): Reason => ({
    verdict: 'breaks',
    metric: 'up',
    exporter: peer.name,
    text: `up{job${job.op}"${job.value}"} goes with the scrape job of ${peer.name}${isNamedAfter(peer, alternatives) ? '' : ', if that is what it is'}${forever}; up of pipemedic tells that the exporter answers, not the server`,
    fix: `write ${own} (pipemedic_target_up for a target of any kind), and up{job=~"pipemedic.*"} for the exporter; or give the targets the old job (exporter/MIGRATION.md, step 5)`,
  }));
}

/** `scrape_duration_seconds{job="mysql"}`: of the scrapes of an exporter that goes. */
export function scrapeReasons(metric: string, matchers: readonly Matcher[], setting: Setting): Reason[] {
  const job = matchers.find((m) => m.label === 'job' && !m.op.startsWith('!'));
  if (job === undefined || isOpen(job)) return [];
  const names = jobNames(job.op, job.value);
  if (names.every((name) => setting.ownUpJobs.includes(name))) return [];
  const going = new Set(names.flatMap(setting.peersOfJob).filter(({ fate }) => fate !== 'stays'));
  return [...going].map((peer): Reason => ({
    verdict: 'breaks',
    metric,
    exporter: peer.name,
    text: `${metric}{job${job.op}"${job.value}"} goes with the scrape job of ${peer.name}${isNamedAfter(peer, names) ? '' : ', if that is what it is'}`,
    fix: 'write job=~"pipemedic.*", or give the targets the old job (exporter/MIGRATION.md, step 5)',
  }));
}

function upOf(peer: Peer): string {
  const name = { mysqld_exporter: 'mysql_up', redis_exporter: 'redis_up' }[peer.name];
  return name ?? (peer.kind === 'kafka' ? 'kafka_up' : 'pipemedic_target_up');
}

/** The address of an exporter that pipemedic does not take the place of, by its port. */
function stays(instance: Matcher | undefined): boolean {
  const port = Number(/:(\d{1,5})$/.exec(instance?.value ?? '')?.[1] ?? Number.NaN);
  return peers.find((peer) => peer.ports.includes(port))?.fate === 'stays';
}
