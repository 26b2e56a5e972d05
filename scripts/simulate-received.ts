import { type Hl7Message, readMessage } from '../src/hl7/codec.ts';
import { readHeader } from '../src/hl7/message-header.ts';

/** A message as it came in. */
export interface Came {
  readonly controlId: string;
  readonly readable: boolean;
  /** What its line says before the answer. */
  readonly words: string;
  readonly repeated: boolean;
  readonly at: number;
}

/**
 * What a receiver can say about the messages it got: how many, how often again, whether one about a report came after a later one of the same
 * report. Its lines hold no patient data.
 */
export class ReceivedMessages {
  onMessage: () => void = () => undefined;
  private readonly ids = new Map<string, { times: number; accepted: boolean }>();
  /** OBR-3 → the latest OBR-22 accepted. */
  private readonly latest = new Map<string, string>();
  private taken = 0;
  private frames = 0;
  private unreadable = 0;
  private overtaken = 0;
  private again = 0;

  constructor(private readonly say: (line: string) => void) {}

  /** Different messages accepted. */
  get accepted(): number {
    return this.taken;
  }

  get isGood(): boolean {
    return this.unreadable === 0 && this.overtaken === 0;
  }

  take(bytes: Buffer): Came {
    this.frames += 1;
    const controlId = readHeader(bytes)?.field(10) ?? '';
    const known = this.ids.get(controlId);
    this.ids.set(controlId, { times: (known?.times ?? 0) + 1, accepted: known?.accepted ?? false });
    if (known !== undefined) this.again += 1;
    const message = tryRead(bytes);
    if (message === null) this.unreadable += 1;
    const words = message === null ? 'unreadable' : this.describe(message, known?.accepted !== true);
    return {
      controlId,
      readable: message !== null,
      words: `${words}, ${bytes.length} B`,
      repeated: known !== undefined,
      at: performance.now(),
    };
  }

  /** `answer`: `AA`, `AE`, or the fault that was played. */
  answered(came: Came, answer: string): void {
    const known = this.ids.get(came.controlId);
    if (known && answer === 'AA' && !known.accepted) {
      this.taken += 1;
      this.ids.set(came.controlId, { ...known, accepted: true });
    }
    const ms = (performance.now() - came.at).toFixed(1);
    const again = came.repeated ? ' again' : '';
    const time = new Date().toISOString().slice(11, 23);
    this.say(`${time} #${this.frames} ${came.controlId}${again}: ${came.words} -> ${answer} (${ms} ms)`);
    this.onMessage();
  }

  note(what: string): void {
    this.say(`${new Date().toISOString().slice(11, 23)} note: ${what}`);
  }

  summary(): string {
    return `${this.frames} frames, ${this.ids.size} different messages, ${this.accepted} accepted, ${this.again} came again, ${this.overtaken} out of order, ${this.unreadable} unreadable`;
  }

  private describe(message: Hl7Message, counts: boolean): string {
    const type = [message.get('MSH', 1, 9, 1), message.get('MSH', 1, 9, 2)].join('^');
    const status = message.get('OBR', 1, 25);
    const report = message.get('OBR', 1, 3);
    const time = message.get('OBR', 1, 22);
    const before = this.latest.get(report) ?? '';
    const late = counts && report !== '' && time !== '' && time < before;
    if (late) this.overtaken += 1;
    else if (report !== '') this.latest.set(report, time);
    const parts = [
      type,
      ...(report === '' ? [] : [`report ${report}`]),
      ...(status === '' ? [] : [`status ${status}`]),
      `${message.all('OBX').length} OBX`,
      ...(late ? ['OUT OF ORDER: an earlier OBR-22 than before'] : []),
    ];
    return parts.join(', ');
  }
}

function tryRead(bytes: Buffer): Hl7Message | null {
  try {
    return readMessage(bytes);
  } catch {
    return null;
  }
}
