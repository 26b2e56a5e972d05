import { Failure, type FailureCode } from '../kernel/errors.ts';
import { type MessageHeader, readHeader } from './message-header.ts';

/** MSA-1: original mode (A·) and enhanced mode (C·); table 0008. */
export type AckCode = 'AA' | 'AE' | 'AR' | 'CA' | 'CE' | 'CR';

export interface Acknowledgement {
  readonly code: AckCode;
  /** MSA-2: MSH-10 of the message answered. */
  readonly controlId: string;
  /** MSA-3. May hold patient data: never logged. */
  readonly text: string;
  /** ERR-3.1, table 0357; '' when absent. */
  readonly errorCode: string;
  readonly raw: Buffer;
}

/** What is wrong with a message, as an ERR segment says it. */
export interface AckError {
  /** Table 0357. */
  readonly code: string;
  /** ERR-2: `PID^1^3`; '' for the whole message. */
  readonly location: string;
}

/** How a message ended: stored (accept), try again (error), never try again (reject). */
export interface AckOutcome {
  readonly kind: 'accept' | 'error' | 'reject';
  /** MSA-3: ASCII, cut at 80 characters; no patient data. */
  readonly text?: string;
  readonly error?: AckError;
}

export interface AckContext {
  /** MSH-7. */
  readonly now: Date;
  /** Own MSH-10, unique; a second answer to the same message gets `.2` added. */
  readonly controlId: string;
  /** The header of the message, where it has been read already; null where it has none. */
  readonly header?: MessageHeader | null;
}

/**
 * The answers a message asks for (chapter 2.9). MSH-15 and MSH-16 both empty: one AA, AE or AR. Else an accept
 * acknowledgement (CA, CE, CR) by MSH-15 and an application acknowledgement by MSH-16, each AL, NE, ER or SU (table 0155). A field that
 * holds none of these says nothing: read as "never", it would leave a sender waiting for an answer that it did not mean to do without.
 */
export function acknowledgements(message: Buffer, outcome: AckOutcome, context: AckContext): Buffer[] {
  const header = context.header === undefined ? readHeader(message) : context.header;
  const accept = conditionOf(header, 15);
  const application = conditionOf(header, 16);
  if (accept === '' && application === '')
    return [buildAck(header, `A${LETTERS[outcome.kind]}`, outcome, context)];
  const answers: Buffer[] = [];
  if (isWanted(accept, outcome.kind))
    answers.push(buildAck(header, `C${LETTERS[outcome.kind]}`, outcome, context));
  if (isWanted(application, outcome.kind)) {
    const controlId = answers.length === 0 ? context.controlId : `${context.controlId}.2`;
    answers.push(buildAck(header, `A${LETTERS[outcome.kind]}`, outcome, { ...context, controlId }));
  }
  return answers;
}

/** The CA that an application acknowledgement asks for by its MSH-15; null when it asks for none. Its MSH-16 asks for nothing: that would never end. */
export function commitAck(answer: Buffer, context: AckContext): Buffer | null {
  const header = readHeader(answer);
  return isWanted(conditionOf(header, 15), 'accept')
    ? buildAck(header, 'CA', { kind: 'accept' }, context)
    : null;
}

/** What to answer when a message was refused: AR for what will never pass, AE + 207 for what may pass later. */
export function outcomeOfFailure(error: unknown): AckOutcome {
  if (!(error instanceof Failure) || error.retry) {
    return {
      kind: 'error',
      text: 'Not stored now; send it again later.',
      error: { code: '207', location: '' },
    };
  }
  const location = error.issues.find((issue) => issue.at !== undefined)?.at ?? '';
  return { kind: 'reject', text: error.message, error: { code: ERROR_CODES[error.code] ?? '207', location } };
}

/** Reads an acknowledgement; null when it has no usable MSA segment. Never throws. */
export function readAck(raw: Buffer): Acknowledgement | null {
  const header = readHeader(raw);
  if (header === null) return null;
  const lines = raw.toString('latin1', header.start).split(/[\r\n]+/);
  const fieldsOf = (name: string) =>
    lines.find((line) => line.startsWith(name + header.fieldSeparator))?.split(header.fieldSeparator) ?? [];
  const msa = fieldsOf('MSA');
  const code = CODES.find((one) => one === msa[1]);
  if (code === undefined) return null;
  const errorCode = fieldsOf('ERR')[3]?.split(header.encodingCharacters[0] ?? '^')[0] ?? '';
  return { code, controlId: msa[2] ?? '', text: msa[3] ?? '', errorCode, raw };
}

const CODES: readonly AckCode[] = ['AA', 'AE', 'AR', 'CA', 'CE', 'CR'];
const LETTERS = { accept: 'A', error: 'E', reject: 'R' } as const;
const MSA_TEXT_MAX = 80;

/** Table 0357 for our own refusals. */
const ERROR_CODES: Partial<Record<FailureCode, string>> = {
  'hl7.unreadable': '100',
  'hl7.segment-name': '100',
  'hl7.several-messages': '100',
  'hl7.delimiters': '102',
  'hl7.charset': '102',
  'hl7.too-large': '102',
  'hl7.missing': '101',
  'hl7.value': '103',
  'hl7.unsupported-type': '200',
  'hl7.unsupported-event': '201',
  'hl7.unsupported-version': '203',
  'fhir.multiple-matches': '204',
  'order.other-patient': '204',
};

const ERROR_NAMES: Readonly<Record<string, string>> = {
  '100': 'Segment sequence error',
  '101': 'Required field missing',
  '102': 'Data type error',
  '103': 'Table value not found',
  '200': 'Unsupported message type',
  '201': 'Unsupported event code',
  '203': 'Unsupported version id',
  '204': 'Unknown key identifier',
  '207': 'Application internal error',
};

const CONDITIONS = ['AL', 'NE', 'ER', 'SU'] as const;

/** MSH-15 or MSH-16 as table 0155 has it; '' for anything else. */
function conditionOf(header: MessageHeader | null, field: 15 | 16): (typeof CONDITIONS)[number] | '' {
  const said = header?.component(field, 1).trim().toUpperCase();
  return CONDITIONS.find((one) => one === said) ?? '';
}

function isWanted(condition: string, kind: AckOutcome['kind']): boolean {
  if (condition === 'AL') return true;
  if (condition === 'SU') return kind === 'accept';
  if (condition === 'ER') return kind !== 'accept';
  return false;
}

/**
 * One ACK in the sender's own delimiters. Its header fields are copied byte for byte (Latin-1 in, Latin-1 out), which also
 * keeps their character set and their escapes: MSA-2 must equal MSH-10 exactly, whatever is in it.
 */
function buildAck(
  header: MessageHeader | null,
  code: string,
  outcome: AckOutcome,
  context: AckContext,
): Buffer {
  const sep = header?.fieldSeparator ?? '|';
  const encoding = header?.encodingCharacters || '^~\\&';
  const comp = encoding[0] ?? '^';
  const of = (n: number) => header?.field(n) ?? '';
  const type = ['ACK', header?.component(9, 2) ?? '', 'ACK'].join(comp);
  const now = context.now.toISOString().replace(/[-:T]|\.\d+Z/g, '');
  const line = (...fields: string[]) =>
    fields.slice(0, fields.findLastIndex((one) => one !== '') + 1).join(sep);
  const msh = ['MSH', encoding, of(5), of(6), of(3), of(4), `${now}+0000`, '', type, context.controlId];
  msh.push(of(11) || 'P', of(12) || '2.5.1', '', '', '', '', '', of(18));
  const text = safeText(outcome.text ?? '', sep + encoding);
  const lines = [line(...msh), line('MSA', code, of(10), text)];
  if (outcome.error) {
    const { code: number, location } = outcome.error;
    const names = [number, ERROR_NAMES[number] ?? '', 'HL70357'].join(comp);
    lines.push(line('ERR', '', location.split('^').join(comp), names, 'E'));
  }
  return Buffer.from(`${lines.join('\r')}\r`, 'latin1');
}

/** Without the delimiters and what is not printable ASCII. */
function safeText(text: string, delimiters: string): string {
  const safe = [...text.slice(0, MSA_TEXT_MAX)].map((one) =>
    one >= ' ' && one <= '~' && !delimiters.includes(one) ? one : ' ',
  );
  return safe.join('');
}
