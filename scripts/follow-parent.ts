/**
 * Preloaded (`--import`) by a parent that keeps an IPC channel open: when the parent is gone, even by kill -9, the channel
 * closes and this process is told to end as by SIGTERM, so that no half of the system is left behind holding its ports.
 */
if (process.channel) {
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.channel.unref(); // a listener alone would keep the process alive for ever
}
