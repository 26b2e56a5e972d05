import { connect } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refusedByHttp } from './refused-by-http.ts';

let app: FastifyInstance;
beforeAll(async () => {
  app = fastify({ ...refusedByHttp });
  app.get('/fhir/:type', async () => ({}));
  await app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(() => app.close());

/** Sends bytes and reads to the end. */
const answerTo = (sent: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const { port } = app.server.address() as { port: number };
    const socket = connect(port, '127.0.0.1', () => socket.write(sent));
    let text = '';
    socket.on('data', (part) => {
      text += String(part);
    });
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });

describe('what is refused before there is a request', () => {
  it.each([
    [
      'a URL that is no UTF-8',
      'GET /fhir/%E0%A4%A HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      400,
      /percent-encode/,
    ],
    [
      'headers that are too large',
      `GET /fhir/A?name=${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
      431,
      /POST to _search/,
    ],
    ['what is no HTTP', 'MSH|^~\\&|RIS\r\n\r\n', 400, /no HTTP/],
  ])('%s: is answered with an OperationOutcome that says what to do', async (_, sent, status, text) => {
    const [head = '', body = ''] = (await answerTo(sent)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(head.toLowerCase()).toContain('content-type: application/fhir+json');
    const outcome = JSON.parse(body);
    expect(outcome).toMatchObject({
      resourceType: 'OperationOutcome',
      issue: [{ severity: 'error', code: 'invalid' }],
    });
    expect(outcome.issue[0].details.text).toMatch(text);
  });
});
