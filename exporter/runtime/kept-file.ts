// What this program keeps over a restart, one JSON document in a file of its own.
import { open, rename, unlink } from 'node:fs/promises';

/** All or nothing: a crash, or a disk that is full, leaves what was there before. @throws what writing throws */
export async function keepJson(path: string, document: unknown): Promise<void> {
  const temporary = `${path}.new`;
  try {
    {
      await using file = await open(temporary, 'w', 0o600);
      await file.writeFile(`${JSON.stringify(document)}\n`);
      await file.sync();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

/** Undefined for what is no JSON. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
