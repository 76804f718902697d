import type { FactBoard } from '../../facts.ts';
import { emitState, emitter, type Put } from '../../families.ts';
import type { Clock } from '../../runtime/clock.ts';
import { FlowMemory, flowOf } from './facts-flow.ts';
import { measuredLagOf } from './facts-measured.ts';
import { pipelineLagOf, type Pipeline } from './facts-pipeline.ts';
import { flowStates, pipelineFamilies, stageStates } from './families.ts';

/**
 * Belongs to no target: runs after the sweeps of all targets, on what their collectors published.
 * @param all pipelines of the inventory, where not all are asked for: what is known of the others is kept
 */
export function collectPipelines(
  pipelines: readonly Pipeline[],
  board: FactBoard,
  put: Put,
  clock: Clock,
  memory: FlowMemory = new FlowMemory(),
  all: readonly Pipeline[] = pipelines,
): void {
  const emit = emitter(pipelineFamilies, put);
  memory.keep(all);
  for (const pipeline of pipelines) {
    const chain = memory.chainOf(pipeline.name);
    const { objectiveSeconds, stages, lagSeconds, atLeastSeconds } = pipelineLagOf(
      pipeline,
      board,
      chain,
      clock.monoMs(),
    );
    const name = { pipeline: pipeline.name };
    emit.objective(objectiveSeconds, name);
    if (lagSeconds.known) emit.lag(lagSeconds.value, { ...name, method: 'computed' });
    // Below the objective it would look like a pipeline in time.
    else if (atLeastSeconds.known && atLeastSeconds.value > objectiveSeconds) {
      emit.lag(atLeastSeconds.value, { ...name, method: 'at_least' });
    }
    const measured = measuredLagOf(pipeline, board);
    if (measured?.known === true) emit.lag(measured.value, { ...name, method: 'canary' });
    const { state: flow } = flowOf(pipeline, stages, board, memory, clock.monoMs());
    if (flow === 'flowing' || flow === 'stuck') emit.flowing(flow === 'flowing' ? 1 : 0, name);
    emitState(
      (value, of) => {
        emit.flowState(value, { ...name, state: of });
      },
      flowStates,
      flow,
    );
    for (const { stage, target, consumergroup, state, lagSeconds: stageLag, atLeastSeconds: atLeast } of stages) {
      const labels = { ...name, stage, target, consumergroup };
      if (stageLag.known) emit.stageLag(stageLag.value, labels);
      else if (atLeast.known) emit.stageLagAtLeast(atLeast.value, labels);
      emitState(
        (value, of) => {
          emit.stageState(value, { ...labels, state: of });
        },
        stageStates,
        state,
      );
    }
  }
}
