import { gauge } from '../../families.ts';

export const stageStates = ['ok', 'behind', 'stalled', 'down', 'unsplit', 'unknown'] as const;
export type StageState = (typeof stageStates)[number];

const stage = ['pipeline', 'stage', 'target', 'consumergroup'] as const;

export const pipelineFamilies = {
  lag: gauge(
    'pipeline_lag_seconds',
    'Age of the oldest change on the source that has not reached the end of the pipeline. While that is unknown, method at_least: what it is at least, once that is above the objective.',
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
  stageLagAtLeast: gauge(
    'pipeline_stage_lag_at_least_seconds',
    'What the lag of the stage is at least, while the lag itself is unknown.',
    stage,
    { level: 'pipeline', state: 'pipeline_stage_state' },
  ),
  stageState: gauge(
    'pipeline_stage_state',
    'State of each stage: one series per state, 1 for the present one. behind: by how much is unknown, but it is more than the objective. unsplit: nothing tells it from the stage before it, which carries the lag of both.',
    [...stage, 'state'] as const,
    { level: 'pipeline' },
  ),
} as const;
