/** What stands between a socket and the embedded broker's parser, which by itself would buffer a packet of 256 MB. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { brokerLimits } from "../schema/limits.ts";

/**
 * Follows the packet borders of one MQTT byte stream. The returned function takes each chunk and answers the remaining
 * length of the first packet that passes its bound, as soon as its header is there; undefined while all is well.
 */
export function packetMeter(bounds: {
  readonly firstPacketBytes: number;
  readonly packetBytes: number;
}): (chunk: Uint8Array) => number | undefined {
  let bound = bounds.firstPacketBytes;
  let bodyLeft = 0;
  let length = 0;
  // -1: the next byte is a packet's first; otherwise how far the next length digit is shifted [MQTT-2.2.3].
  let shift = -1;
  return (chunk) => {
    for (let at = 0; at < chunk.length;) {
      if (bodyLeft > 0) {
        const step = Math.min(bodyLeft, chunk.length - at);
        bodyLeft -= step;
        at += step;
        continue;
      }
      const byte = chunk[at] as number;
      at += 1;
      if (shift < 0) {
        shift = 0;
        length = 0;
        continue;
      }
      length += (byte & 127) * 2 ** shift;
      shift += 7;
      if (length > bound) return length;
      if ((byte & 128) !== 0) {
        if (shift > 21) return Number.POSITIVE_INFINITY; // a fifth length byte is malformed
        continue;
      }
      bodyLeft = length;
      bound = bounds.packetBytes;
      shift = -1;
    }
    return undefined;
  };
}

/**
 * The stream that the broker is given instead of the socket. It cuts the connection at the header of a packet that is too
 * large, and buffers what the client does not read up to `outboundBytes`: a frozen client then holds none of the broker's
 * slots, which it shares with everybody else.
 */
export function guardStream(socket: Socket, tooLarge: (packetBytes: number) => void): Duplex {
  const meter = packetMeter({ firstPacketBytes: brokerLimits.connectBytes, packetBytes: brokerLimits.packetBytes });
  const guarded = new Duplex({
    readableHighWaterMark: 65_536,
    writableHighWaterMark: brokerLimits.outboundBytes,
    allowHalfOpen: false,
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, done) => socket.write(chunk, done),
    writev: (chunks, done) => {
      socket.cork();
      chunks.forEach(({ chunk }, at) => socket.write(chunk, at === chunks.length - 1 ? done : undefined));
      socket.uncork();
    },
    final: (done) => socket.end(done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on("data", (chunk: Buffer) => {
    const packetBytes = meter(chunk);
    if (packetBytes !== undefined) {
      tooLarge(packetBytes);
      guarded.destroy(new Error(`a packet of ${packetBytes} bytes is over the bound of ${brokerLimits.packetBytes}`));
    } else if (!guarded.push(chunk)) socket.pause();
  });
  socket.on("end", () => guarded.push(null));
  socket.on("error", (error) => guarded.destroy(error));
  socket.on("close", () => guarded.destroy());
  return guarded;
}
