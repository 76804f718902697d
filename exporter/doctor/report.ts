// What `doctor` has found, for eyes and for programs.
import type { Finding } from '../findings.ts';
import { oneLine } from '../runtime/one-line.ts';
import type { Failure } from '../scrape/outcome.ts';

export interface CollectorReport {
  readonly collector: string;
  /** Undefined when it succeeded. */
  readonly failure: Failure | undefined;
  readonly series: number;
  /** Numeric families without a sample whose state family says why. */
  readonly absent: readonly { readonly family: string; readonly because: string }[];
  /** What it knows only by having watched, if anything: two exporters differ in it. */
  readonly keeps: string | undefined;
}

export interface TargetReport {
  readonly target: string;
  readonly kind: string;
  /** Undefined when it answered. */
  readonly down: Failure | undefined;
  readonly collectors: readonly CollectorReport[];
  readonly findings: readonly Finding[];
}

/** Is there something that a person should mend? */
export function isHealthy(reports: readonly TargetReport[]): boolean {
  return reports.every(
    ({ down, collectors, findings }) =>
      down === undefined &&
      collectors.every(({ failure }) => failure === undefined) &&
      findings.every(({ ok }) => ok !== false),
  );
}

/** For eyes: what is wrong first, with what mends it. What is well, and which series are absent, only when asked for. */
export function doctorText(reports: readonly TargetReport[], isVerbose = false): string {
  const [wrong, well] = [reports.filter((r) => !isHealthy([r])), reports.filter((r) => isHealthy([r]))];
  const lines = [...wrong, ...well].flatMap((report) => targetLines(report, isVerbose));
  if (lines.some((line) => /\bGRANT\b/.test(line))) {
    lines.push(
      'Run a GRANT on the source, or on a replica after SET sql_log_bin = 0: else it is an errant transaction there.',
    );
  }
  const more = isVerbose ? '' : '; --verbose shows what is well too';
  const untold = reports.flatMap(({ findings }) => findings.filter(({ ok }) => ok === 'unknown')).length;
  const but = untold === 0 ? '' : ` (${String(untold)} unknown, see above)`;
  lines.push(
    wrong.length === 0
      ? `nothing wrong was found with ${count(reports)}${but}${more}`
      : `${String(wrong.length)} of ${count(reports)} need somebody: ${wrong.map((r) => r.target).join(', ')}${but}${more}`,
  );
  return `${lines.join('\n')}\n`;
}

function count({ length }: readonly unknown[]): string {
  return `${String(length)} target${length === 1 ? '' : 's'}`;
}

function targetLines({ target, kind, down, collectors, findings }: TargetReport, isVerbose: boolean): string[] {
  const lines = findingLines(findings.filter(({ ok }) => ok === false));
  for (const { collector, failure } of collectors) {
    if (failure !== undefined)
      lines.push(`  FAILED  collector ${collector}, ${failure.class}: ${oneLine(failure.why)}`);
  }
  lines.push(...findingLines(findings.filter(({ ok }) => ok === 'unknown')));
  const isWell = lines.length === 0;
  if (isVerbose) {
    lines.push(...findingLines(findings.filter(({ ok }) => ok === true)));
    for (const { collector, failure, series, absent, keeps } of collectors) {
      if (failure === undefined) lines.push(`  ok      collector ${collector}: ${String(series)} series`);
      if (keeps !== undefined) lines.push(`          holds state: ${keeps}`);
      lines.push(...absentLines(absent));
    }
  }
  const says = down === undefined ? (isWell ? 'well' : 'answers') : `DOWN, ${down.class}: ${oneLine(down.why)}`;
  return [`${target} (${kind}): ${says}`, ...(down === undefined ? [] : whereToLook(down)), ...lines];
}

const placesToLook: Readonly<Partial<Record<Failure['class'], string>>> = {
  refused: 'nobody listens there. Does it run, and are host and port of its `address` right?',
  unreachable: 'the name, the route and the firewall between this machine and its `address`',
  auth: 'user and password of its `auth`, and whether that account may come from this machine',
  tls: '`tls`: ca_file, server_name, and until when the certificates hold',
  protocol: 'whether something else listens at its `address`, or whether it wants `tls`',
  deadline:
    'whether it is overloaded or frozen, a firewall drops what is sent, or something else listens at its `address`',
};

/** What keeps it from being reached is on the way or in the inventory, unless the reason has said more. */
function whereToLook(down: Failure): string[] {
  const place = placesToLook[down.class];
  return place === undefined || down.why.includes('To allow it:') ? [] : [`          look at: ${place}`];
}

function findingLines(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ check, ok, text, fix, severity }) => [
    `  ${ok === true ? 'ok     ' : ok === false ? 'WRONG  ' : 'unknown'} ${check}${severity === undefined ? '' : ` (${severity})`}: ${oneLine(text)}`,
    ...(fix === undefined ? [] : fixLines(fix)),
  ]);
}

/** A fix of several lines is to be pasted: its indentation is kept. */
function fixLines(fix: string): string[] {
  const [first = '', ...more] = fix.split('\n').map((line) => oneLine(line));
  return [`          to mend it: ${first}`, ...more.map((line) => `            ${line}`)];
}

/** Families that are absent for the same reason share a line. */
function absentLines(absent: CollectorReport['absent']): string[] {
  return [...new Set(absent.map((a) => a.because))].map((because) => {
    const names = absent.filter((a) => a.because === because).map(({ family }) => family);
    const shown = names.length > 4 ? [...names.slice(0, 3), `${String(names.length - 3)} more`] : names;
    return `          absent: ${shown.join(', ')}: ${oneLine(because)}`;
  });
}
