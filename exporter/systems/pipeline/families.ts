import { gauge } from '../../families.ts';

export const stageStates = ['ok', 'behind', 'stalled', 'down', 'unsplit', 'unknown'] as const;
export type StageState = (typeof stageStates)[number];

/** idle: nothing is written, and nothing waits. unknown: nothing shows whether data moves. */
export const flowStates = ['flowing', 'stuck', 'idle', 'unknown'] as const;
export type FlowState = (typeof flowStates)[number];

const stage = ['pipeline', 'stage', 'target', 'consumergroup'] as const;

export const pipelineFamilies = {
  lag: gauge(
    'pipeline_lag_seconds',
    'Age of the oldest change on the source that has not reached the end of the pipeline. While that is unknown, method at_least: what it is at least, once that is above the objective. Method canary: measured, too large by a tenth or 0.1 s at most, and while nothing arrives too small by the canary’s interval at most; method computed: made of what the stages are late by.',
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
  flowing: gauge(
    'pipeline_data_flowing',
    '1 while data is seen to move through the whole pipeline, 0 while it waits and does not arrive, or a stage is down; absent when nothing is written or nothing can be seen.',
    ['pipeline'],
    { level: 'pipeline', state: 'pipeline_data_flowing_state' },
  ),
  flowState: gauge(
    'pipeline_data_flowing_state',
    'Whether data moves: one series per state, 1 for the present one. idle: nothing was written lately, and nothing waits.',
    ['pipeline', 'state'],
    { level: 'pipeline' },
  ),
} as const;
