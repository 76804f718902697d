// What of a page is passed on, name by name.
import { typeOf, type Page, type PageSample } from './exposition-text.ts';

export interface PassedName {
  readonly name: string;
  readonly type: 'gauge' | 'counter' | 'untyped';
  readonly help: string;
  readonly samples: readonly PageSample[];
}

/** All series of a name are written with the labels of all: a page could make that the product of both. */
const maxLabelsPerName = 64;

/**
 * @param keep on what the page says; what it refuses is not counted
 * @returns `left`: samples that cannot be passed on, because of labels that are reserved or too many
 */
export function passedNames(
  { samples }: Page,
  keep: (sample: PageSample) => boolean,
): { readonly names: readonly PassedName[]; readonly left: number } {
  const names = new Map<string, { labels: Set<string>; samples: PageSample[] }>();
  let left = 0;
  for (const sample of samples) {
    if (!keep(sample)) continue;
    const found = names.get(sample.name) ?? { labels: new Set(), samples: [] };
    const labels = new Set([...found.labels, ...sample.labels.keys()]);
    // Prometheus keeps labels that begin with __ to itself.
    if (labels.size > maxLabelsPerName || [...sample.labels.keys()].some((label) => label.startsWith('__'))) {
      left += 1;
      continue;
    }
    found.labels = labels;
    found.samples.push(sample);
    names.set(sample.name, found);
  }
  return {
    names: [...names].map(([name, found]) => {
      const [first] = found.samples;
      return {
        name,
        type: first === undefined ? 'untyped' : typeOf(first),
        help: first?.family.help ?? '',
        samples: found.samples,
      };
    }),
    left,
  };
}
