import type { Target } from '../config/inventory.ts';
import { escapeLabel } from './writer.ts';

/** In front of every series of the target. */
export function labelsOf(target: Pick<Target, 'name' | 'labels'>): Readonly<Record<string, string>> {
  return { target: target.name, ...target.labels };
}

/** What opens the labels of each of its series. */
export function prefixOf(target: Target): Buffer {
  const labels = Object.entries(labelsOf(target)).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return Buffer.from(`{${labels.join(',')}`);
}
