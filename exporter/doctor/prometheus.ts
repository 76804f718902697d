// What `doctor` says of the Prometheus that scrapes this exporter. It only reads.
import type { Inventory } from '../config/inventory.ts';
import { clockFindingOf, type Finding } from '../findings.ts';
import type { Clock } from '../runtime/clock.ts';
import { within } from '../runtime/deadline.ts';
import { TargetError } from '../runtime/errors.ts';
import { failureOf } from '../scrape/outcome.ts';
import { openPrometheus, type PrometheusAddress } from './prometheus-api.ts';
import { readPrometheus, type PrometheusFacts } from './prometheus-facts.ts';
import { reallyDiffering, ruleFindings, shortestRangeMs, suspectsIn } from './prometheus-rules.ts';
import { scrapeFindings } from './prometheus-scrape.ts';
import type { TargetReport } from './report.ts';
import { readShippedRules } from './shipped-rules.ts';
import { cannotKnow, right, wrong } from './wording.ts';

interface Examining {
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** Of this program. */
  readonly version: string;
  /** With the shipped `*.rules.yml`. */
  readonly rulesFolder: string;
}

/** A report like that of a target, named by its address. Never rejects for what Prometheus does. */
export async function examinePrometheus(
  address: PrometheusAddress,
  inventory: Pick<Inventory, 'targets'>,
  { clock, deadlineMs, version, rulesFolder }: Examining,
): Promise<TargetReport> {
  const call = { clock, signal: within(deadlineMs) };
  const report = { target: URL.parse(address.url)?.host ?? address.url, kind: 'prometheus', collectors: [] };
  const api = openPrometheus(address);
  try {
    const facts = await readPrometheus(api, call);
    const shipped = readShippedRules(rulesFolder);
    const suspects = facts.rules.known ? suspectsIn(shipped, facts.rules.value) : [];
    const compared = await reallyDiffering(api, suspects, call);
    const nowMs = clock.wallMs() + (facts.clock.known ? facts.clock.value.offsetMs : 0);
    const findings = [
      versionFinding(facts),
      clockFinding(facts),
      ...scrapeFindings(facts, {
        targets: inventory.targets,
        version,
        shortestRangeMs: shortestRangeMs(shipped, facts),
      }),
      ...ruleFindings(facts, { ...compared, shipped, version, folder: rulesFolder, nowMs }),
      alertmanagerFinding(facts),
    ];
    return { ...report, down: undefined, findings };
  } catch (error) {
    if (!(error instanceof TargetError)) throw error;
    return { ...report, down: failureOf(error, call.signal), findings: [] };
  }
}

/** keep_firing_for came with it. */
const oldest = [2, 42] as const;

function versionFinding({ version }: PrometheusFacts): Finding {
  const check = 'prometheus_version';
  if (!version.known) return cannotKnow(check, version.why);
  const [major = 0, minor = 0] = version.value.split('.').map((part) => Number.parseInt(part, 10));
  const isOld = major < oldest[0] || (major === oldest[0] && minor < oldest[1]);
  if (!isOld) return right(check, `Prometheus ${version.value}`);
  return wrong(
    check,
    'critical',
    `Prometheus ${version.value} cannot read the rules`,
    `Prometheus ${oldest.join('.')} or newer`,
  );
}

function clockFinding({ clock }: PrometheusFacts): Finding {
  const check = 'prometheus_clock';
  return clock.known ? clockFindingOf(check, "Prometheus' clock", clock.value) : cannotKnow(check, clock.why);
}

const alertingLines = `alerting:
  alertmanagers:
  - static_configs: [{targets: ['127.0.0.1:9093']}]`;

function alertmanagerFinding({ alertmanagers }: PrometheusFacts): Finding {
  const check = 'prometheus_alertmanagers';
  if (!alertmanagers.known) return cannotKnow(check, alertmanagers.why);
  const { active, dropped } = alertmanagers.value;
  if (active > 0) return right(check, `alerts go to ${active} Alertmanager${active === 1 ? '' : 's'}`);
  const text =
    dropped > 0
      ? `all ${dropped} Alertmanagers that are found are dropped by relabelling`
      : 'no Alertmanager is configured';
  return wrong(check, 'critical', `${text}: nobody is told of an alert, and nothing is repaired`, alertingLines);
}
