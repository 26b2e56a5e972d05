import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { parseArgs } from 'node:util';
import { type AckOutcome, acknowledgements } from '../src/hl7/ack.ts';
import { frame, MllpFrameDecoder } from '../src/hl7/mllp-frame.ts';
import { TLS_OPTIONS, tlsOf, wholeNumber } from './simulate-options.ts';
import { ReceivedMessages } from './simulate-received.ts';

export const RIS_FAULTS = [
  'late-ack',
  'no-ack',
  'ae',
  'ar',
  'wrong-msa',
  'close',
  'close-mid-ack',
  'drip',
  'garbage',
  'slow',
] as const;
export type RisFault = (typeof RIS_FAULTS)[number];

export const RIS_USAGE = `npm run simulate -- ris [--port 2576] [--host 127.0.0.1] [--count <n>] [--rate <per second>]
                         [--fault ${RIS_FAULTS.join('|')}]... [--every 10] [--fault-repeat]
                         [--wait-ms 35000] [--tls-cert <pem> --tls-key <pem> [--tls-ca <pem>]] [--quiet]
  Receives HL7 v2 by MLLP, acknowledges, and prints one line per message, without patient data.
  --count  ends after so many different messages; else with Ctrl-C
  --rate   takes at most so many messages per second
  --fault  what goes wrong, may be given several times; they take turns
  --every  with every how manieth message; a message that comes again is then taken, unless --fault-repeat
  --wait-ms  how late "late-ack" and "slow" answer
  Exit code: 0 good; 1 a result overtook a later one of the same report, or a message could not be read.
`;

const OPTIONS = {
  port: { type: 'string', default: '2576' },
  host: { type: 'string', default: '127.0.0.1' },
  count: { type: 'string', default: '0' },
  rate: { type: 'string', default: '0' },
  fault: { type: 'string', multiple: true, default: [] as string[] },
  every: { type: 'string', default: '10' },
  'fault-repeat': { type: 'boolean', default: false },
  'wait-ms': { type: 'string', default: '35000' },
  quiet: { type: 'boolean', default: false },
  ...TLS_OPTIONS,
} as const;

/** After the last message that is waited for. */
const LINGER_MS = 1_000;

/** How the simulated RIS behaves. */
export interface RisScript {
  readonly faults: readonly RisFault[];
  /** A fault with every how manieth message. */
  readonly every: number;
  /** Also when the message comes again. */
  readonly repeat: boolean;
  readonly waitMs: number;
  /** Least time between two answers. */
  readonly gapMs: number;
}

/** Runs until `--count` messages came or a signal ends it; gives the exit code. */
export async function simulateRis(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const rate = wholeNumber('rate', values.rate, 0, 100_000);
  const count = wholeNumber('count', values.count, 0, 100_000_000);
  const script: RisScript = {
    faults: values.fault.map(faultNamed),
    every: wholeNumber('every', values.every, 1, 1_000_000),
    repeat: values['fault-repeat'],
    waitMs: wholeNumber('wait-ms', values['wait-ms'], 1, 3_600_000),
    gapMs: rate === 0 ? 0 : 1_000 / rate,
  };
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const received = new ReceivedMessages(values.quiet ? () => undefined : say);
  const ris = new SimulatedRis(script, received, tlsOf(values));
  const port = await ris.listen(wholeNumber('port', values.port, 0, 65_535), values.host);
  say(`listening on ${values.host}:${port}`);
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve).once('SIGTERM', resolve);
    received.onMessage = () => {
      // A sender whose last answer was lost on the way must find somebody when it sends again.
      if (count > 0 && received.accepted >= count) setTimeout(resolve, LINGER_MS);
    };
  });
  await ris.close();
  say(received.summary());
  return received.isGood ? 0 : 1;
}

function faultNamed(text: string): RisFault {
  const fault = RIS_FAULTS.find((one) => one === text);
  if (fault === undefined) throw new Error(`--fault must be one of ${RIS_FAULTS.join(', ')}.`);
  return fault;
}

/** An MLLP listener that answers in order on each connection, with faults as told. */
export class SimulatedRis {
  private readonly server: net.Server;
  private readonly sockets = new Set<net.Socket>();
  private readonly hit = new Set<string>();
  private seen = 0;
  private faulted = 0;
  private nextAnswerAt = 0;
  private answers = 0;

  constructor(
    private readonly script: RisScript,
    private readonly received: ReceivedMessages,
    files: tls.TlsOptions | null,
  ) {
    const accept = (socket: net.Socket) => this.accept(socket);
    const mutual = files?.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true };
    this.server =
      files === null ? net.createServer(accept) : tls.createServer({ ...files, ...mutual }, accept);
  }

  /** Gives the port. */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => resolve((this.server.address() as net.AddressInfo).port));
    });
  }

  close(): Promise<void> {
    for (const socket of this.sockets) socket.end();
    setTimeout(() => {
      for (const socket of this.sockets) socket.destroy();
    }, 200).unref();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  private accept(socket: net.Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.sockets.delete(socket));
    const decoder = new MllpFrameDecoder({
      onOddity: (oddity, bytes) => this.received.note(`${oddity}, ${bytes} bytes`),
    });
    let turn: Promise<void> = Promise.resolve();
    socket.on('data', (chunk) => {
      try {
        for (const message of decoder.push(chunk)) {
          turn = turn.then(() => this.take(socket, message)).catch(() => void socket.destroy());
        }
      } catch {
        this.received.note('a frame that is too long; the connection is closed');
        socket.destroy();
      }
    });
  }

  private async take(socket: net.Socket, message: Buffer): Promise<void> {
    const wait = this.nextAnswerAt - performance.now();
    if (wait > 0) await sleep(wait);
    this.nextAnswerAt = performance.now() + this.script.gapMs;
    const came = this.received.take(message);
    const fault = this.faultFor(came.controlId, came.readable);
    if (fault !== null) this.received.answered(came, await this.answerWrongly(socket, message, fault));
    else {
      const outcome: AckOutcome = came.readable
        ? { kind: 'accept' }
        : { kind: 'reject', text: 'The message cannot be read.', error: { code: '100', location: '' } };
      socket.write(this.framed(message, outcome));
      this.received.answered(came, came.readable ? 'AA' : 'AR');
    }
  }

  private faultFor(controlId: string, readable: boolean): RisFault | null {
    const { faults, every, repeat } = this.script;
    if (faults.length === 0 || !readable || (!repeat && this.hit.has(controlId))) return null;
    this.seen += 1;
    if (this.seen % every !== 0) return null;
    this.hit.add(controlId);
    this.faulted += 1;
    return faults[(this.faulted - 1) % faults.length] ?? null;
  }

  /** Gives what was done, for the line of the message. */
  private async answerWrongly(socket: net.Socket, message: Buffer, fault: RisFault): Promise<string> {
    const good = () => this.framed(message, { kind: 'accept' });
    const error = { code: '207', location: '' };
    switch (fault) {
      case 'late-ack':
        setTimeout(() => socket.destroyed || socket.write(good()), this.script.waitMs).unref();
        return `fault late-ack: AA after ${this.script.waitMs} ms`;
      case 'slow':
        await sleep(this.script.waitMs);
        socket.write(good());
        return 'AA';
      case 'no-ack':
        return 'fault no-ack';
      case 'ae':
        socket.write(this.framed(message, { kind: 'error', text: 'Simulated: try again.', error }));
        return 'AE';
      case 'ar':
        socket.write(
          this.framed(message, {
            kind: 'reject',
            text: 'Simulated: patient unknown.',
            error: { code: '204', location: 'PID^1^3' },
          }),
        );
        return 'AR';
      case 'wrong-msa':
        socket.write(
          Buffer.from(
            good()
              .toString('latin1')
              .replace(/(MSA\|AA\|)/, '$1X'),
            'latin1',
          ),
        );
        return 'fault wrong-msa';
      case 'close':
        socket.destroy();
        return 'fault close: no answer';
      case 'close-mid-ack':
        socket.write(good().subarray(0, 20), () => socket.destroy());
        return 'fault close-mid-ack';
      case 'garbage':
        socket.write(frame(Buffer.from('this is no acknowledgement')));
        return 'fault garbage';
      case 'drip':
        for (const byte of good()) {
          if (socket.destroyed) break;
          socket.write(Buffer.of(byte));
          await sleep(1);
        }
        return 'AA';
    }
  }

  private framed(message: Buffer, outcome: AckOutcome): Buffer {
    this.answers += 1;
    const context = { now: new Date(), controlId: `SIMRIS${Date.now()}${this.answers}` };
    return Buffer.concat(acknowledgements(message, outcome, context).map(frame));
  }
}
