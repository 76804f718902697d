import { z } from 'zod';

/** Of every restart of a service. */
export const restartParams = {
  /** How long it gets to end in order; seen of Maxwell: 2.6 s. The call must fit into a lease. */
  stopSeconds: z.int().min(1).max(20).default(15),
  /** One that was started less than this ago is left alone: somebody has just started it. */
  startingSeconds: z.int().min(0).max(3600).default(60),
  /** How long the new incarnation must live before its data is looked at; a position that Maxwell lost shows after 3 s. */
  startStableSeconds: z.int().min(1).max(120).default(10),
  /** Within this the data must be seen to move; an idle Maxwell writes a heartbeat every 10 s. */
  verifySeconds: z.int().min(5).max(600).default(90),
  /** When its memory is full: its threads, and its heap where twice its size is free, into the folder of the run. */
  threadDump: z.boolean().default(true),
  heapDump: z.boolean().default(true),
};
