import { codeOf } from './errors.ts';

/**
 * Whoever reads may have seen enough (`| head`): what is written after that goes nowhere, and the command goes on to its end
 * and its own exit status. Anything else, a disk that is full for one, stays an error.
 */
export function allowClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error) => {
    if (codeOf(error) !== 'EPIPE') throw error;
  });
}
