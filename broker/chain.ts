import type { Aedes } from "aedes";
import { brokerLimits } from "../schema/limits.ts";

export interface InProcessMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

interface Waiting {
  readonly message: InProcessMessage;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * The one way of in-process messages into aedes, in the order of the calls. aedes numbers a message when it is published and
 * takes one that was overtaken for a duplicate, which it drops; messages of one kind go through its steps in lockstep,
 * messages of different kinds (QoS, retained) overtake one another. So a turn of the event loop publishes one kind only.
 * A publish resolves when aedes has it, as a PUBACK would; that one subscriber does not read is no business of the publisher.
 */
export function publishChain(aedes: Aedes): (message: InProcessMessage) => Promise<void> {
  let queue: Waiting[] = [];
  let bytes = 0;
  let inside = 0;
  let scheduled = false;

  const schedule = (): void => {
    if (scheduled || queue.length === 0 || inside >= brokerLimits.concurrency) return;
    scheduled = true;
    setImmediate(publishTurn);
  };
  const publishTurn = (): void => {
    scheduled = false;
    const [first] = queue;
    if (!first) return;
    let count = 0;
    while (count < queue.length && count < brokerLimits.publishesPerTurn && sameKind(first, queue[count] as Waiting)) count += 1;
    const turn = queue.slice(0, count);
    queue = queue.slice(count);
    inside += turn.length;
    for (const { message, resolve, reject } of turn) {
      bytes -= message.payload.length;
      aedes.publish({ cmd: "publish", dup: false, ...message }, (error) => {
        inside -= 1;
        if (error) reject(error);
        schedule();
      });
      resolve();
    }
    schedule();
  };

  return (message) => {
    if (queue.length >= brokerLimits.publishQueue || bytes + message.payload.length > brokerLimits.publishQueueBytes) {
      return Promise.reject(
        new Error(
          `more than ${brokerLimits.publishQueue} messages or ${brokerLimits.publishQueueBytes} bytes wait for the embedded broker`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      bytes += message.payload.length;
      queue.push({ message, resolve, reject });
      schedule();
    });
  };
}

function sameKind(one: Waiting, other: Waiting): boolean {
  return one.message.qos === other.message.qos && one.message.retain === other.message.retain;
}
