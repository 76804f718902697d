// A Prometheus page that a JVM serves about itself: whose names it uses, and what they say.
import type { Clock } from '../../runtime/clock.ts';
import { TargetError } from '../../runtime/errors.ts';
import { readPage, type PageSample } from '../../runtime/exposition-text.ts';
import { unknown } from '../../runtime/known.ts';
import { gaugeNameOf, heapOfGauges, heapUsed, runtimeOfGauges } from './facts-dropwizard.ts';
import type { JvmSeen } from './facts-model.ts';
import { pageOf, type PageFormat } from './facts-page-view.ts';
import { micrometer, openTelemetry } from './facts-page-pools.ts';
import { clientJava, simpleclient } from './facts-page-beans.ts';

const formats: readonly PageFormat[] = [clientJava, simpleclient, micrometer, openTelemetry];

const wanted = (name: string): boolean => /^(jvm_|process_)|_jvm_/.test(name);

/** @param prefix of names as Dropwizard has them (Maxwell's metrics_prefix) @throws TargetError `protocol` */
export async function readJvmPage(
  text: string,
  contentType: string | undefined,
  prefix: string | undefined,
  clock: Clock,
): Promise<JvmSeen> {
  const { samples, dropped } = await readPage(text, clock, {
    contentType,
    wanted,
    maxSamples: 5000,
    maxLineChars: 8192,
  });
  if (dropped.overLimit > 0) throw new TargetError('protocol', 'the page tells far more than one JVM has');
  const now = clock.wallMs();
  const page = pageOf(samples, now);
  for (const format of formats) {
    const seen = format(page, now);
    if (seen !== undefined) return seen;
  }
  return ofDropwizard(samples, prefix, now);
}

function ofDropwizard(samples: readonly PageSample[], prefix: string | undefined, now: number): JvmSeen {
  const gauges = new Map(
    samples.flatMap(({ name, value }) => {
      const gauge = gaugeNameOf(name);
      return gauge === undefined ? [] : [[gauge, value] as const];
    }),
  );
  if (![...gauges.keys()].some((name) => name.endsWith(heapUsed))) {
    return { heap: unknown('the page tells nothing about the memory of a JVM'), runtime: { numbers: {} } };
  }
  const written = prefix === undefined ? undefined : prefix.replaceAll(/[^a-zA-Z0-9_:]/g, '_');
  // The dot behind the prefix has become `_`: both stand before `jvm.` now.
  const renamed = new Map([...gauges].map(([name, value]) => [name.replace(/_jvm\./, '.jvm.'), value]));
  return { heap: heapOfGauges(renamed, written, now), runtime: runtimeOfGauges(renamed, written) };
}
