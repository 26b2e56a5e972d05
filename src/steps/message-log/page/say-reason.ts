/**
 * What a code of the log means, in a few words, for who does not know it by heart: MSA-1 with an error code of HL7 table 0357, or a code of ours. '' for one
 * that says enough by itself or is not known.
 */
export function sayReason(reason: string | null): string {
  if (reason === null) return '';
  const [code = '', place] = reason.split(' ');
  const own = OWN[code];
  if (own !== undefined) return place === undefined ? own : `${own}: ${place}`;
  const [, answer = '', number = ''] = /^(AE|AR|CE|CR)(?: (\d{3}))?$/.exec(reason) ?? [];
  const words = [ANSWERS[answer], TABLE_0357[number]].filter((one) => one !== undefined);
  return words.join(': ');
}

const ANSWERS: Readonly<Record<string, string>> = {
  AE: 'the receiver could not take it',
  CE: 'the receiver could not store it',
  AR: 'the receiver rejected it',
  CR: 'the receiver rejected it',
};

const TABLE_0357: Readonly<Record<string, string>> = {
  '100': 'segments in a wrong order',
  '101': 'a required field is missing',
  '102': 'a value of a wrong type',
  '103': 'a code that is in no table of the receiver',
  '200': 'message type not taken',
  '201': 'event not taken',
  '202': 'processing ID not taken',
  '203': 'version not taken',
  '204': 'patient, order or visit unknown there',
  '205': 'it exists there already',
  '206': 'the record there is locked',
  '207': 'an error inside the receiver',
};

const OWN: Readonly<Record<string, string>> = {
  'hl7.connection': 'the receiver cannot be reached',
  'hl7.ack-timeout': 'the receiver does not answer',
  'hl7.ack-unreadable': 'the answer is no acknowledgement',
  'hl7.ack-foreign': 'the answer names another message',
  'hl7.missing': 'a needed field or segment is empty',
  'hl7.value': 'a value that cannot be used',
  'hl7.too-large': 'too many segments or fields',
  'hl7.unreadable': 'no HL7 message',
  'hl7.charset': 'bytes not of the character set that MSH-18 names',
  'hl7.unsupported-type': 'message type not taken here',
  'hl7.unsupported-event': 'event not taken here',
  'ris.not-sendable': 'the record makes no message; missing there, or of no use',
  'ris.final-seen': 'the radiologist was faster: nothing to do',
  'ris.bytes-dropped': 'what is to be taken back is kept no more: tell the receiver yourself',
  'fhir.multiple-matches': 'its numbers fit more than one record',
  'order.other-patient': 'the number is of another patient',
  internal: 'a fault of this server: see its log',
};
