// One selector: who serves the name, and whether its matchers find the series of pipemedic.
import type { Matcher, Selector } from '../promql.ts';
import { jobNameOf, leftOutReasons, ownProcessReasons } from './job-reasons.ts';
import { isOpen, plain } from './matchers.ts';
import { knownOf, namesBeginning, type Known, type Origin } from './knowledge.ts';
import { peerOf } from './peers.ts';
import type { Setting } from './setting.ts';
import { statusReasons } from './status-reasons.ts';
import { scrapeReasons, upReasons } from './up-reasons.ts';
import { variableName, variablePiece, variableValue } from './template.ts';
import { crossed, forSd, keep, type Reason } from './verdict.ts';

/** Labels that Prometheus, its configuration or pipemedic's doors put on a series. */
const added = new Set(['job', 'instance', 'target', 'cluster', '__name__', 'exporter']);

/** Functions that take a range, so that what they are given is a name and no number. */
const overRange = /_over_time$|^(rate|irate|increase|i?delta|deriv|predict_linear|changes|resets)$/;

export function selectorReasons(selector: Selector, setting: Setting): Reason[] {
  const { metric, matchers, inside } = selector;
  if (metric === '') return namelessReasons(matchers, setting);
  if (metric.includes(variableName)) {
    // alone it is a number or an interval; with matchers, in a range or as a piece it is a name
    const isName =
      metric.startsWith(variablePiece) || !metric.startsWith(variableName) || overRange.test(inside[0] ?? '');
    if (matchers.length === 0 && !isName) return [];
    return [{ verdict: 'unclear', text: 'the name of the metric depends on a variable of the dashboard' }];
  }
  const recorded = setting.recorded(metric);
  if (recorded !== undefined) return recorded;
  const known = knownOf(metric);
  return [...nameReasons(metric, known, selector, setting), ...matcherReasons(metric, known, selector, setting)];
}

function nameReasons(metric: string, known: Known, { inside, matchers }: Selector, setting: Setting): Reason[] {
  const forever = inside.some((name) => name.startsWith('absent'))
    ? '; absent() of it is true for ever once that is switched off'
    : '';
  switch (known.is) {
    case 'served':
      // what stays goes on serving it
      return known.peer?.fate === 'stays' ? [] : onReasons(metric, known.origins, setting);
    case 'prometheus':
      if (metric.startsWith('scrape_')) return scrapeReasons(metric, matchers, setting);
      return metric === 'up' ? upReasons(matchers, inside, setting) : [];
    case 'renamed': {
      const { name, instead, but } = known.alias;
      return [
        {
          verdict: 'renamed',
          metric,
          text: `${name} has another name here${but === undefined ? '' : `; ${but}`}${forever}`,
          fix: `write ${instead}${known.peer?.name === 'Maxwell' ? ', or keep its names with collectors: {http: {own_names: true}} of the maxwell target' : ''}`,
        },
      ];
    }
    case 'elsewhere':
      return known.isSure
        ? [{ verdict: 'not_served', metric, text: `${metric} is not served: ${known.peer.name} has it${forever}` }]
        : [
            {
              verdict: 'not_served',
              metric,
              text: `${metric} is not served, and ${known.peer.name}, whose names begin so, is not known to have it${forever}`,
              fix: 'look in Prometheus whether there is such a name, and what job it has',
            },
          ];
    case 'unknown':
      return [
        {
          verdict: 'not_served',
          metric,
          text: metric.includes(':')
            ? `${metric} is the name of a recording rule that is not in these files${forever}`
            : `${metric} is not served, and no exporter is known that has it${forever}`,
          ...(metric.includes(':') ? { fix: 'name the file with its rule too' } : {}),
        },
      ];
  }
}

function writtenOf({ collector, option }: Origin): string {
  return `collectors: {${collector}: {${option ?? ''}}}`;
}

/** What must be switched on, by the inventory if there is one, by the defaults otherwise. */
function onReasons(metric: string, origins: readonly Origin[], { inventory }: Setting): Reason[] {
  if (origins.length === 0) return [];
  const kinds = [...new Set(origins.map((origin) => origin.kind))];
  if (inventory === undefined) {
    const first = origins[0];
    if (first === undefined || origins.some((o) => o.defaultOn && o.option === undefined)) return [];
    const text = `${metric} needs ${first.option === undefined ? `the collector ${first.collector}, which is off by default` : 'an option'}`;
    return [{ verdict: 'note', metric, text, fix: `at the ${first.kind} target: ${writtenOf(first)}`, isNeed: true }];
  }
  const targets = inventory.filter((target) => kinds.includes(target.kind));
  if (targets.length === 0) {
    return [
      {
        verdict: 'off',
        metric,
        text: `${metric} needs a target of kind ${kinds.join(' or ')}, and the inventory has none`,
        fix: `add a target of kind ${kinds.join(' or ')}`,
        isNeed: true,
      },
    ];
  }
  const isOn = targets.some((target) =>
    origins.some(
      (o) =>
        o.kind === target.kind &&
        (o.collector === '' || target.collectors.includes(o.collector)) &&
        (o.option === undefined || target.hasOption(o.collector, metric)),
    ),
  );
  if (isOn) return [];
  const origin = origins.find((o) => targets.some((target) => target.kind === o.kind));
  if (origin === undefined) return []; // the targets are those of the origins' kinds
  const names = targets.filter((target) => target.kind === origin.kind).map((target) => target.name);
  const what = origin.option === undefined ? `the collector ${origin.collector}, which is off` : 'an option';
  return [
    {
      verdict: 'off',
      metric,
      text: `${metric} needs ${what} at ${names.join(', ')}`,
      fix: `${writtenOf(origin)} at ${names.join(', ')}`,
      isNeed: true,
    },
  ];
}

function matcherReasons(metric: string, known: Known, { matchers }: Selector, setting: Setting): Reason[] {
  if (known.is !== 'served') return [];
  // what stays keeps its job, its instance and its labels, but for the process of an exporter that goes
  if (known.peer?.fate === 'stays') return ownProcessReasons(metric, known.peer, matchers, setting);
  const isOfTarget = known.level === 'target';
  return matchers.flatMap((matcher): Reason[] => {
    const { label, op, value } = matcher;
    const isChosen = value.includes(variableValue);
    if (label === '__name__') return [];
    const written = `${label}${op}"${value.replaceAll(variableValue, '$…')}"`;
    if (isOpen(matcher) || value === variableValue) {
      if (!isChosen) return [];
      if (label === 'instance' && isOfTarget) return [{ verdict: 'raw', text: `${written}: ${crossed}`, fix: keep }];
      if (!isOfTarget || known.labels === undefined || known.labels.includes(label)) return [];
      return missingLabel(metric, written, label, setting);
    }
    if (label === 'job' && op.startsWith('!')) return leftOutReasons(metric, known.peer, matcher, setting);
    if (label === 'job') {
      if (/pipemedic/.test(value) || setting.ownJobs.some((job) => job === value)) return [];
      return [
        {
          verdict: 'breaks',
          metric,
          text: `${written}: the job is pipemedic's, whatever it was before`,
          fix: isChosen
            ? 'leave the matcher out, or let the variable choose the job of pipemedic'
            : `leave the matcher out, or give the series the old job: metric_relabel_configs: [{source_labels: [__name__], regex: '${prefixOf(metric)}.*', target_label: job, replacement: ${jobNameOf(op, value)}}]`,
        },
      ];
    }
    if (label === 'instance' && isOfTarget) return instanceReasons(metric, matcher, setting);
    if (known.labels?.includes(label) === true) return statusReasons(metric, matcher, setting);
    if (added.has(label) || known.labels === undefined) return [];
    if (!isOfTarget) return [{ verdict: 'breaks', metric, text: `${written}: ${metric} has no label ${label}` }];
    return missingLabel(metric, written, label, setting).map((reason) =>
      setting.inventory === undefined ? reason : { ...reason, verdict: 'off' },
    );
  });
}

function instanceReasons(metric: string, { op, value }: Matcher, { inventory, doors }: Setting): Reason[] {
  if (value.includes(variableValue)) {
    const written = value.replaceAll(variableValue, '$…');
    return [
      {
        verdict: 'breaks',
        metric,
        text: `instance${op}"${written}": instance is the name of the target here`,
        fix: `keep the old values, of the form ${written}: instance: at the targets in the inventory ${forSd}`,
      },
    ];
  }
  const named = inventory?.find((target) => (target.instance ?? target.name) === value);
  const isThere = named !== undefined;
  if (isThere && named.name !== value && doors.length > 0 && !doors.includes('probe')) {
    return [
      {
        verdict: 'breaks',
        metric,
        text: `instance${op}"${value}": the job scrapes /metrics, where instance is the name of the target, ${named.name}`,
        fix: 'scrape through /sd, which takes instance: from the inventory, or name the target so',
      },
    ];
  }
  if (isThere && (op === '=' || op === '!=')) {
    const other = named.name === value ? '' : `, and by the line that copies target to instance ${named.name}`;
    const text = `instance${op}"${value}": on the bare /metrics it is the exporter's address${other}`;
    return [{ verdict: 'raw', text, ...(other === '' ? {} : { fix: 'scrape through /sd' }) }];
  }
  return [
    {
      verdict: 'breaks',
      metric,
      text: `instance${op}"${value}": instance is the name of the target here${op.startsWith('!') ? ', so that nothing is left out' : ''}`,
      fix: `write the name, or keep the old one: instance: ${plain(value)} at the target in the inventory ${forSd}`,
    },
  ];
}

/** A label that no family has comes from the user's own scrape configuration, and can come from the inventory. */
export function missingLabel(metric: string, written: string, label: string, { inventory }: Setting): Reason[] {
  if (added.has(label) || label === 'quantile' || label === 'le') return [];
  if (inventory?.some((target) => label in target.labels) === true) return [];
  return [
    {
      verdict: 'note',
      metric,
      text: `${written}: ${metric} has no label ${label} of its own, so it came from your scrape configuration`,
      fix: `labels: {${label}: …} at the target in the inventory, or among the labels of the scrape job`,
      isNeed: true,
    },
  ];
}

/** `{__name__=~"mysql_.*"}`, `{job="x"}`. */
function namelessReasons(matchers: readonly Matcher[], setting: Setting): Reason[] {
  const names = matchers.find(({ label }) => label === '__name__');
  if (names === undefined) {
    return [{ verdict: 'unclear', text: 'it names no metric: what it finds depends on everything that is scraped' }];
  }
  const alternatives = alternativesOf(names.value);
  const fix = 'compare what it finds before and after, or write the names';
  return alternatives.flatMap((text): Reason[] => {
    if (names.op === '=~' && /^[a-zA-Z_:][\w:]*$/.test(text)) {
      return selectorReasons({ metric: text, matchers: matchers.filter((m) => m !== names), inside: [] }, setting);
    }
    const prefix = /^([a-zA-Z_:][\w:]*)\.[*+]$/.exec(text)?.[1];
    if (prefix === undefined || names.op !== '=~') {
      return [{ verdict: 'unclear', text: `__name__${names.op}"${text}" picks names by a pattern`, fix }];
    }
    const count = namesBeginning(prefix);
    if (count === 0) {
      const peer = peerOf(`${prefix}x`);
      return [
        {
          verdict: 'not_served',
          text: `no name served here begins with ${prefix}${peer === undefined ? '' : `: ${peer.name} has them`}`,
        },
      ];
    }
    return [
      {
        verdict: 'breaks',
        text: `__name__=~"${text}" picks names by a pattern: ${count} names here begin so, some that the other exporter has not and not all that it has`,
        fix,
      },
    ];
  });
}

/** `a|b`, `(a|b)`, `redis_(up|down)`: one list of names in brackets is written out; anything else stays a pattern. */
function alternativesOf(pattern: string): string[] {
  const text = pattern.replace(/^\^/, '').replace(/\$$/, '');
  const [, before, list, after] = /^([\w:]*)\(([\w:|]+)\)([\w:]*)$/.exec(text) ?? [];
  if (list === undefined) return text.split('|');
  return list.split('|').map((part) => `${before ?? ''}${part}${after ?? ''}`);
}

function prefixOf(metric: string): string {
  return /^[a-z]+_/.exec(metric)?.[0] ?? metric;
}
