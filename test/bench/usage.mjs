// Loaded into a server beside it: tells over the channel what its JavaScript holds. It does not keep the server alive.
process.on('message', () => {
  const { heapUsed, external } = process.memoryUsage();
  process.send({ heapUsed, external });
});
process.channel.unref();
