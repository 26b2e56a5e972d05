import net from 'node:net';

/**
 * A receiver in a process of its own that answers AA at once and checks what no receiver would: control ids are `<lane>-<number>`, and within a lane the
 * numbers must come one after the other. Tells its parent what came, when asked.
 */
const counts = { received: 0, repeated: 0, disordered: 0, lanes: new Map<string, number>() };
const sockets = new Set<net.Socket>();
let firstAt = 0;
let lastAt = 0;

let server = listen(0);

process.on('message', (message: 'state' | 'down' | 'up') => {
  if (message === 'down') {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
  if (message === 'up') server = listen(port);
  const { received, repeated, disordered } = counts;
  process.send?.({ kind: 'state', received, repeated, disordered, ms: lastAt - firstAt });
});
process.on('disconnect', () => process.exit(0));

let port = 0;

function listen(at: number): net.Server {
  const made = net.createServer((socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let end = rest.indexOf(0x1c); end >= 0; end = rest.indexOf(0x1c)) {
        socket.write(answer(rest.subarray(rest.indexOf(0x0b) + 1, end)));
        rest = rest.subarray(end + 2);
      }
    });
  });
  made.listen(at, '127.0.0.1', () => {
    port = (made.address() as net.AddressInfo).port;
    process.send?.({ kind: 'listening', port });
  });
  return made;
}

function answer(message: Buffer): string {
  const controlId = message.subarray(0, message.indexOf(0x0d)).toString('latin1').split('|')[9] ?? '';
  const [lane = '', number = '0'] = controlId.split('-');
  const before = counts.lanes.get(lane) ?? 0;
  lastAt = performance.now();
  if (counts.received === 0) firstAt = lastAt;
  counts.received += 1;
  if (Number(number) === before) counts.repeated += 1;
  else if (Number(number) !== before + 1) counts.disordered += 1;
  counts.lanes.set(lane, Number(number));
  return `\x0bMSH|^~\\&|R|R|P|P|20260101||ACK^R01|A${counts.received}|P|2.5.1\rMSA|AA|${controlId}\r\x1c\r`;
}
