import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { dicomwebConnection } from './dicomweb-connection.ts';
import { sendDicomweb } from './dicomweb-request.ts';

const BODY = Buffer.alloc(4 * 1024 * 1024, 7);

async function served(answer: (socket: Socket) => void, read: (root: URL) => Promise<void>): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  try {
    await read(new URL(`http://127.0.0.1:${port}/dicom-web`));
  } finally {
    server.close();
  }
}

const head = (length: number) => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`;

const ask = (root: URL) =>
  sendDicomweb(dicomwebConnection(root), new URL(`${root.href}/studies`), {
    method: 'GET',
    headers: {},
    timeMs: 20_000,
    answerBytesMax: 2 ** 30,
  });

it('a server that closes the connection while a slow reader is far behind loses nothing', async () => {
  await served(
    (socket) => socket.end(Buffer.concat([Buffer.from(head(BODY.length)), BODY])),
    async (root) => {
      const answer = await ask(root);
      await sleep(200);
      let bytes = 0;
      for await (const chunk of answer.body) {
        bytes += chunk.byteLength;
        if (bytes < 1024 * 1024) await sleep(5);
      }
      expect(bytes).toBe(BODY.length);
    },
  );
});

it('an answer that ends early is an unreachable PACS, never a short body', async () => {
  await served(
    (socket) => socket.end(Buffer.concat([Buffer.from(head(BODY.length)), BODY.subarray(0, 1000)])),
    async (root) => {
      const answer = await ask(root);
      const read = (async () => {
        for await (const _ of answer.body);
      })();
      await expect(read).rejects.toMatchObject({ code: 'dicomweb.unreachable' });
    },
  );
});

it('an answer that nobody reads, from a server that goes away, harms nothing', async () => {
  await served(
    (socket) => {
      socket.write(Buffer.concat([Buffer.from(head(BODY.length)), BODY.subarray(0, 1000)]));
      setTimeout(() => socket.destroy(), 50);
    },
    async (root) => {
      const answer = await ask(root);
      await sleep(150);
      await answer.cancel();
      expect(answer.status).toBe(200);
    },
  );
});

it('what a reader holds stays as it is while more arrives, also when the connection is used again', async () => {
  const numbers = Buffer.from(Uint32Array.from({ length: 1024 * 1024 }, (_, at) => at).buffer);
  const kept = `HTTP/1.1 200 OK\r\nContent-Length: ${numbers.length}\r\n\r\n`;
  await served(
    (socket) => {
      const answer = () => socket.write(Buffer.concat([Buffer.from(kept), numbers]));
      answer();
      socket.on('data', answer);
    },
    async (root) => {
      for (let request = 0; request < 2; request += 1) {
        const pieces: Buffer[] = [];
        for await (const piece of (await ask(root)).body) pieces.push(piece);
        expect(Buffer.concat(pieces).equals(numbers)).toBe(true);
      }
    },
  );
});
