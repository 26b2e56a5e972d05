import { expect, it, onTestFinished } from 'vitest';
import { acknowledgements } from '../../hl7/ack.ts';
import { MllpServer } from '../../hl7/mllp-server.ts';
import { RisDestination } from './ris-destination.ts';
import type { RisProfiles } from './ris-profiles.ts';

it('A receiver keeps to fewer connections when its profile allows fewer, once those too many are free', async () => {
  let open = 0;
  let most = 0;
  const server = new MllpServer({
    host: '127.0.0.1',
    port: 0,
    onMessage: async (bytes) => {
      open += 1;
      most = Math.max(most, open);
      await new Promise((resolve) => setTimeout(resolve, 20));
      open -= 1;
      return acknowledgements(bytes, { kind: 'accept' }, { now: new Date(0), controlId: '1' });
    },
  });
  const url = new URL(`mllp://127.0.0.1:${await server.listen()}`);
  onTestFinished(() => server.close());
  let connectionsMax = 4;
  const read = async () => ({ name: 'p', version: '1', profile: { connectionsMax, minGapMs: 0 } });
  const place = {
    name: 'p',
    isNamed: true,
    url,
    ackTimeoutMs: 2_000,
    connectTimeoutMs: 2_000,
    idleMs: 60_000,
  };
  const made = new RisDestination({ ...place, tls: null, tlsPlaces: {}, filter: {}, profileName: 'p' }, {
    read,
  } as unknown as RisProfiles);
  onTestFinished(() => made.close());
  const sendAll = () =>
    Promise.all(
      Array.from({ length: 8 }, (_unused, n) =>
        made.send(Buffer.from(`MSH|^~\\&|A|B|C|D|20260115||ORU^R01|${n}|P|2.5.1\r`), String(n)),
      ),
    );
  await sendAll();
  expect(most).toBe(4);
  connectionsMax = 1;
  await made.freshProfile();
  most = 0;
  await sendAll();
  expect(most).toBe(1);
  await expect.poll(() => server.connectionCount).toBe(1);
});
