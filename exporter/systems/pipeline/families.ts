import { gauge } from '../../families.ts';

export const stageStates = ['ok', 'stalled', 'down', 'unknown'] as const;
export type StageState = (typeof stageStates)[number];

const stage = ['pipeline', 'stage', 'target', 'consumergroup'] as const;

export const pipelineFamilies = {
  lag: gauge(
    'pipeline_lag_seconds',
    'Age of the oldest change on the source that has not reached the end of the pipeline. Absent while a stage of the chain is unknown.',
    ['pipeline', 'method'],
    { level: 'pipeline', state: 'pipeline_stage_state' },
  ),
  objective: gauge('pipeline_lag_objective_seconds', 'The lag the pipeline is allowed.', ['pipeline'], {
    level: 'pipeline',
  }),
  stageLag: gauge('pipeline_stage_lag_seconds', 'What each stage adds to the lag; target owns the stage.', stage, {
    level: 'pipeline',
    state: 'pipeline_stage_state',
  }),
  stageState: gauge(
    'pipeline_stage_state',
    'State of each stage: one series per state, 1 for the present one.',
    [...stage, 'state'] as const,
    { level: 'pipeline' },
  ),
} as const;
