import { execFile } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { ATTEMPT_ACK_BYTES_SHOWN_MAX } from '../../src/steps/message-log/message-log.store.ts';
import type { ShownWhole } from '../../src/steps/message-log/shown.ts';
import { logInbound, logOutbound, PRIVILEGED_SCOPE } from './operator-server.ts';
import { operatorWorld } from './operator-world.ts';

/**
 * So long a look may keep everything else waiting, acknowledgements among it, however large the message is. A part takes 5 ms; the rest is for a machine that is shared with other tests.
 */
const STOP_MS_MAX = 50;
/** The one that was stopped least: what another process or the collector of garbage does is not of the look. */
const LOOKS = 3;

const HEAD =
  'MSH|^~\\&|HIS|HOSPITAL|PRELIM|RADIOLOGY|20260301080000||ORU^R01|BIG|P|2.5.1||||||UNICODE UTF-8\r';
const LINES = 190_000;
const line = (n: number) => `NTE|${n + 1}||Zwiebelkuchen ${n} ${'x'.repeat(45)}`;
const lines = Array.from({ length: LINES }, (_, n) => line(n));
const PDF = 'JVBERi0x'.repeat(1_600_000);

const LARGE: readonly (readonly [string, string])[] = [
  ['190,000 lines', `${lines.join('\r')}\r`],
  ['a PDF of 13 MB in one field', `OBX|1|ED|18748-4||^AP^PDF^Base64^${PDF}||||||F\r`],
  ['190,000 lines in one field', `OBX|1|TX|a||${lines.map((one) => one.slice(5)).join('\n')}||||||F\r`],
  [
    'as many values as find room',
    `ZZZ|${'a~'.repeat(99)}|${'a^'.repeat(99)}|${'a&'.repeat(99)}\r`.repeat(20_000),
  ],
];

const spentMs = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
};

const execute = promisify(execFile);
/** Who asks is a process of its own: what it does with the answer is not of the server. */
const ASK = `const [url, token] = process.argv.slice(1);
  const response = await fetch(url, { headers: { authorization: 'Bearer ' + token } });
  for await (const part of response.body);
  process.stdout.write(String(response.status));`;

describe('a look at a message of megabytes', () => {
  const world = operatorWorld({});

  /** Longest time in which nothing else ran here: processor time of this thread in ms, so that other processes do not count. */
  async function stopOf(path: string): Promise<number> {
    const token = await world.server.token(PRIVILEGED_SCOPE);
    const asked = execute(process.execPath, [
      '--input-type=module',
      '-e',
      ASK,
      `${world.server.url}${path}`,
      token,
    ]);
    // To start it stops this process too: the clock begins afterwards.
    let longest = 0;
    let last = spentMs();
    let isOver = false;
    const watch = (async () => {
      while (!isOver) {
        await turn();
        const now = spentMs();
        longest = Math.max(longest, now - last);
        last = now;
      }
    })();
    const { stdout } = await asked.finally(() => {
      isOver = true;
    });
    await watch;
    expect(stdout).toBe('200');
    return longest;
  }

  test.each(LARGE)('%s: nothing else waits for it, masked, unmasked or as a file', async (name, body) => {
    const id = await logInbound(world.database, { controlId: 'BIG', raw: HEAD + body });
    const { next } = ((await world.server.get(`/hl7/messages/in/${id}`)).body as ShownWhole).tree ?? {};
    const later = next === null ? [] : [`/tree?from=${next}`];
    for (const path of ['', '?unmask=true', '/raw', ...later]) {
      const stops: number[] = [];
      for (let look = 0; look < LOOKS; look += 1) stops.push(await stopOf(`/hl7/messages/in/${id}${path}`));
      if (process.env['PRELIM_TEST_TIMES'])
        process.stdout.write(`${name} ${path}: ${stops.map((one) => one.toFixed(1)).join(' ')} ms\n`);
      expect(Math.min(...stops), path).toBeLessThan(STOP_MS_MAX);
    }
  });

  test('of the answer to each try as much is shown as an acknowledgement has, in whole lines', async () => {
    const { id, controlId } = await logOutbound(world.database, { attempts: 1, error: 'AE 207' });
    const text = `ERR|||207|E||||${'ü'.repeat(80)}\r`;
    const ack = `${HEAD}MSA|AE|${controlId}\r${text.repeat(1_500)}`;
    await world.database.run(
      {
        text: `INSERT INTO hl7_attempt (message_id, destination, attempt, started_at, outcome, error, ack)
          SELECT message_id, destination, n, started_at, outcome, error, $2 FROM hl7_attempt, generate_series(2, 200) n WHERE message_id = $1`,
      },
      [id, Buffer.from(ack)],
    );
    const path = `/hl7/messages/out/${id}`;
    const { tries } = (await world.server.get(path)).body as ShownWhole;
    expect(tries).toHaveLength(200);
    const last = tries.at(-1)?.ack ?? [];
    expect(last[1]).toBe(`MSA|AE|${controlId}`);
    expect(last.at(-1)).toBe('ERR|||207|E||||•••');
    expect(last.length).toBeLessThan(ATTEMPT_ACK_BYTES_SHOWN_MAX / text.length);
    const stops = [await stopOf(path), await stopOf(path), await stopOf(path)];
    expect(Math.min(...stops)).toBeLessThan(STOP_MS_MAX);
  });
});
