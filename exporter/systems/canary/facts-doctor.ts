// What `doctor` says of a canary. Nothing is written: the place is looked at, and each end is looked at once.
import type { Call } from '../../collector.ts';
import type { Finding } from '../../findings.ts';
import { messageOf } from '../../runtime/errors.ts';
import type { SeenPlace } from './address.ts';
import type { CanaryClient } from './client.ts';

export async function examineCanary(client: CanaryClient, call: Call): Promise<readonly Finding[]> {
  const ends = client.plan.seenAt.map((place) => endFinding(client, place, call));
  return Promise.all([writeFinding(client, call), ...ends]);
}

async function writeFinding(client: CanaryClient, call: Call): Promise<Finding> {
  const { write } = client.plan;
  const place = write.kind === 'mysql' ? `${write.target}, table ${write.table}` : `${write.target}, key ${write.key}`;
  try {
    await using writer = await client.openWriter(call);
    const wrong = await writer.obstacle(call);
    if (wrong !== undefined) {
      const { why, fix } = wrong;
      return { check: 'canary_write', ok: false, text: `${place}: ${why}`, ...(fix === undefined ? {} : { fix }) };
    }
    return { check: 'canary_write', ok: true, text: `${place}: it can be written to` };
  } catch (error) {
    return { check: 'canary_write', ok: false, text: `${place}: ${messageOf(error)}` };
  }
}

async function endFinding(client: CanaryClient, place: SeenPlace, call: Call): Promise<Finding> {
  const check = 'canary_seen_at';
  try {
    await using sight = await client.openSight(place, call);
    const text = await sight.look(call);
    const what = text === undefined ? 'it can be looked at; there is nothing yet' : 'it can be looked at';
    return { check, ok: true, text: `${place.target}: ${what}` };
  } catch (error) {
    return { check, ok: false, text: `${place.target}: ${messageOf(error)}` };
  }
}
