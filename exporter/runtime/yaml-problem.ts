import { YAMLException } from 'js-yaml';

/**
 * What is wrong with a YAML file that may hold secrets, in one line; undefined for any other error. The message of js-yaml
 * (5.5) shows some lines of the file, and its reasons may repeat a part of one in quotes or angle brackets.
 */
export function yamlProblem(error: unknown): string | undefined {
  if (!(error instanceof YAMLException)) return undefined;
  const { mark, reason } = error;
  const place = mark === undefined ? '' : `line ${String(mark.line + 1)}: `;
  return `${place}not YAML: ${reason.replace(/".*"|<.*>|(?<=characters: ).*/gs, '…')}. Mend it there`;
}
