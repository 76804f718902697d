import { counter, gauge } from './families.ts';

/** Served from the inventory and by the sweep itself, for every target, also while it is down. */
export const graphFamilies = {
  targetInfo: gauge('pipemedic_target_info', 'The inventory: 1 for every target.', ['target', 'kind'], {
    level: 'graph',
  }),
  memberInfo: gauge(
    'pipemedic_pipeline_member_info',
    'Which target plays which role in which pipeline: 1.',
    ['pipeline', 'target', 'role'],
    { level: 'graph' },
  ),
  dependencyInfo: gauge(
    'pipemedic_dependency_info',
    'Transitive closure: target cannot work while upstream is down. 1.',
    ['target', 'upstream'],
    { level: 'graph' },
  ),
  targetsConfigured: gauge('pipemedic_targets_configured', 'Targets in the inventory.', [], { level: 'graph' }),
  targetUp: gauge(
    'pipemedic_target_up',
    '1 when the target was connected to and answered, 0 when not or when the time ran out. None while nobody knows, because this program had no time to ask it (class queue).',
    [],
  ),
  targetErrorInfo: gauge('pipemedic_target_error_info', 'Why the target is not up: 1 with the class of the error.', [
    'class',
  ]),
  targetDataAge: gauge(
    'pipemedic_target_data_age_seconds',
    'Age of what pipemedic_target_up says: 0 when the target was asked for this scrape, above when a sweep was shared or a target that is down was left alone.',
    [],
  ),
  targetBackoff: gauge(
    'pipemedic_target_backoff_seconds',
    'For how long a target that is down is left alone from now on; 0: the next scrape asks it.',
    [],
  ),
  targetSamples: gauge(
    'pipemedic_target_samples',
    'Samples that the collectors of the target have yielded in this scrape, after its series_limit.',
    [],
  ),
  targetSeriesDropped: counter(
    'pipemedic_target_series_dropped_total',
    'Series left out because the target has more than its series_limit, by family, summed over its sweeps. Beyond 100 names: other.',
    ['family'],
  ),
  scrapeSamples: gauge(
    'pipemedic_scrape_samples',
    'Samples of all targets, pipelines and the inventory in this scrape; those of the program itself come on top. For sample_limit.',
    [],
    { level: 'graph' },
  ),
  threshold: gauge(
    'pipemedic_threshold',
    'Limits set in the inventory; rules have a default for those that are not. +Inf switches an alert off.',
    ['threshold', 'severity', 'consumergroup'],
  ),
  collectorSuccess: gauge('pipemedic_collector_success', '1 when the collector succeeded in this sweep.', [
    'collector',
  ]),
  collectorDuration: gauge('pipemedic_collector_duration_seconds', 'Time the collector took in this sweep.', [
    'collector',
  ]),
  collectorDataAge: gauge(
    'pipemedic_collector_data_age_seconds',
    'Age of the data served for this collector; above zero when a sweep was shared or runs in the background.',
    ['collector'],
    { state: 'pipemedic_collector_success' },
  ),
  collectorErrorInfo: gauge(
    'pipemedic_collector_error_info',
    'Why the collector did not succeed: 1 with the class of the error.',
    ['collector', 'class'],
  ),
  seriesDropped: gauge(
    'pipemedic_collector_series_dropped',
    'Series left out of this sweep because the target has more than its series_limit.',
    ['collector'],
  ),
} as const;

/** About the program itself; prom-client serves them, and its process and HTTP metrics beside them. */
export const selfFamilies = {
  buildInfo: gauge('pipemedic_exporter_build_info', 'Version of the program: 1.', ['version', 'node'], {
    level: 'graph',
  }),
  reloadSuccessful: gauge(
    'pipemedic_exporter_config_last_reload_successful',
    '1 when the inventory was read without an error the last time, 0 when the one before is still in use.',
    [],
    { level: 'graph' },
  ),
  reloadTimestamp: gauge(
    'pipemedic_exporter_config_last_reload_success_timestamp_seconds',
    'When the inventory in use was read.',
    [],
    { level: 'graph' },
  ),
  scrapesInFlight: gauge('pipemedic_exporter_scrapes_in_flight', 'Scrapes being answered.', [], { level: 'graph' }),
  faults: counter(
    'pipemedic_exporter_faults_total',
    'Errors of the program itself, by part: each is a bug to report.',
    ['part'],
    { level: 'graph' },
  ),
} as const;
