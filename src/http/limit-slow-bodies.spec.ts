import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limitSlowBodies } from './limit-slow-bodies.ts';

const BODY_MS = 150;
const app = fastify();
const trustBody = limitSlowBodies(app, BODY_MS);
app.addHook('onRequest', (request, _reply, done) => {
  if (request.headers.authorization === 'Bearer good') Object.assign(request, { grant: {} });
  done(request.url === '/refused' ? new Error('no token') : undefined);
});
trustBody();
app.addContentTypeParser('text/plain', { parseAs: 'string' }, (_request, body, done) => done(null, body));
app.post('/form', (request) => ({ got: request.body }));
app.post('/refused', () => ({}));

beforeAll(() => app.listen({ port: 0, host: '127.0.0.1' }));
afterAll(() => app.close());

const PIECES = 20;

/** Sends the head of a request and its body in pieces, one every 20 ms, and no more than the body has. Gives what came, and whether the connection was cut before the end. */
async function drip(path: string, head = `Content-Length: ${PIECES}`, piece = 'a') {
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString();
  });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n${head}\r\n\r\n`);
  // A cut may come as a reset, which is no fault here.
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  let sent = 0;
  const sender = setInterval(() => {
    // More would be the beginning of another request, and a bad one.
    if (socket.writable && sent++ < PIECES) socket.write(piece);
  }, 20);
  const until = Date.now() + 5_000;
  while (Date.now() < until && !socket.destroyed && !answer.includes('got'))
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 20))]);
  clearInterval(sender);
  const wasCut = socket.destroyed;
  socket.destroy();
  return { answer, wasCut };
}

describe('bodies that come byte by byte', () => {
  it('of a stranger are cut, to a door that is open to all as to one that is not', async () => {
    const [open, refused] = await Promise.all([drip('/form'), drip('/refused')]);
    expect([open.wasCut, open.answer]).toEqual([true, '']);
    expect(refused.wasCut).toBe(true);
  });

  it('in pieces without a length too', async () => {
    const { answer, wasCut } = await drip('/form', 'Transfer-Encoding: chunked', '1\r\na\r\n');
    expect([wasCut, answer]).toEqual([true, '']);
  });

  it('of somebody with a token are waited for', async () => {
    const { answer, wasCut } = await drip('/form', 'Authorization: Bearer good\r\nContent-Length: 20');
    expect(answer).toContain('"got":"aaaaaaaaaaaaaaaaaaaa"');
    expect(wasCut).toBe(false);
  });

  it('and a body that comes at once meets nothing of it', async () => {
    const { port } = app.server.address() as AddressInfo;
    const answer = await fetch(`http://127.0.0.1:${port}/form`, { method: 'POST', body: 'quick' });
    expect(await answer.json()).toEqual({ got: 'quick' });
  });
});
