// Parts of Kafka's protocol that the library does not decode for us. Pure.

/**
 * Topics of a member's assignment in the consumer protocol (ConsumerProtocolAssignment.json):
 * version int16, array of { topic: string with int16 length, partitions: array of int32 }, user data.
 * Empty for a member that has not been given anything, and for bytes that are something else.
 */
export function assignedTopics(bytes: Buffer): string[] {
  const topics: string[] = [];
  try {
    let at = 2;
    const count = bytes.readInt32BE(at);
    at += 4;
    for (let i = 0; i < count; i++) {
      const length = bytes.readInt16BE(at);
      const topic = bytes.toString('utf8', at + 2, at + 2 + length);
      at += 2 + length;
      const partitions = bytes.readInt32BE(at);
      at += 4 + 4 * partitions;
      if (length < 0 || partitions < 0 || at > bytes.length) return [];
      if (partitions > 0) topics.push(topic);
    }
  } catch (error) {
    if (error instanceof RangeError) return []; // shorter than it says
    throw error;
  }
  return topics;
}
