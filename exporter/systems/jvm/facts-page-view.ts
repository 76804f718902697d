// The samples of a Prometheus page by name and label, for those that know what the names mean.
import { TargetError } from '../../runtime/errors.ts';
import type { PageSample } from '../../runtime/exposition-text.ts';
import { smallestOf } from '../../runtime/extremes.ts';
import type { JvmSeen } from './facts-model.ts';

export type Where = Readonly<Record<string, string>>;

/** The samples of a page by name and label. All of them throw when the page tells one thing of several JVMs. */
export interface JvmPage {
  /** In `where`, an empty value stands for a label that is not there. */
  readonly one: (name: string, where?: Where) => number | undefined;
  /** By the value of a label; samples without it are left out. */
  readonly by: (name: string, label: string, where?: Where) => ReadonlyMap<string, number>;
  /** As `by`, added up over all other labels. */
  readonly sums: (name: string, label: string, where?: Where) => ReadonlyMap<string, number>;
  readonly labels: (name: string) => ReadonlyMap<string, string> | undefined;
  /** How old the page says that a sample is; 0 where it says nothing. */
  readonly ageSeconds: (name: string) => number;
}

/** The names that a library gives to the numbers of a JVM; undefined when the page does not use them. */
export type PageFormat = (page: JvmPage, observedAtMs: number) => JvmSeen | undefined;

export function pageOf(samples: readonly PageSample[], nowMs: number): JvmPage {
  const byName = grouped(samples);
  const find = (name: string, where: Where): readonly PageSample[] =>
    (byName.get(name) ?? []).filter(({ labels }) =>
      Object.entries(where).every(([label, value]) => (labels.get(label) ?? '') === value),
    );
  const page: JvmPage = {
    one: (name, where = {}) => {
      const found = find(name, where);
      if (found.length > 1) throw severalJvms(name);
      return found[0]?.value;
    },
    by: (name, label, where = {}) => {
      const found = new Map<string, number>();
      for (const { labels, value } of find(name, where)) {
        const key = labels.get(label);
        if (key === undefined) continue;
        if (found.has(key)) throw severalJvms(name);
        found.set(key, value);
      }
      return found;
    },
    sums: (name, label, where = {}) => {
      const found = new Map<string, number>();
      for (const { labels, value } of find(name, where)) {
        const key = labels.get(label);
        if (key !== undefined) found.set(key, (found.get(key) ?? 0) + value);
      }
      return found;
    },
    labels: (name) => {
      const found = byName.get(name) ?? [];
      if (found.length > 1) throw severalJvms(name);
      return found[0]?.labels;
    },
    ageSeconds: (name) => {
      const times = (byName.get(name) ?? []).flatMap(({ timestampMs }) => timestampMs ?? []);
      return times.length === 0 ? 0 : Math.max(0, (nowMs - smallestOf(times)) / 1000);
    },
  };
  return page;
}

function severalJvms(name: string): TargetError {
  return new TargetError('protocol', `the page tells ${name} of several JVMs: give each a target of its own`);
}

function grouped(samples: readonly PageSample[]): ReadonlyMap<string, readonly PageSample[]> {
  const found = new Map<string, PageSample[]>();
  for (const sample of samples) {
    const same = found.get(sample.name);
    if (same === undefined) found.set(sample.name, [sample]);
    else same.push(sample);
  }
  return found;
}
