/** What the RIS of the demo orders. */
export interface OrderedExam {
  readonly accession: string;
  readonly studyInstanceUid: string;
  readonly patientId: string;
  /** Who gave the patient id: CX.4, IssuerOfPatientID. Order and study must agree on it, or they are not matched. */
  readonly patientIdIssuer: string;
  /** HL7 name: `PHANTOM^CHEST`. */
  readonly patientName: string;
  readonly birthDate: string;
  readonly sex: string;
  readonly modality: string;
  /** `24627-2^CT Chest^LN` */
  readonly procedure: string;
}

/** OMI^O23 (HL7 v2.5.1 chapter 4, IHE RAD-4): one imaging order with its IPC segment. */
export function orderMessage(exam: OrderedExam, controlId: string, now: Date): string {
  const time = `${now.toISOString().replace(/[-:T]/g, '').slice(0, 14)}+0000`;
  const { accession, procedure, modality } = exam;
  const [placer, filler] = [`P${accession}^DEMO_OE`, `F${accession}^DEMO_RIS`];
  const physician = '1234^HOUSE^GREGORY';
  const patientId = `${exam.patientId}^^^${exam.patientIdIssuer}^MR`;
  return [
    `MSH|^~\\&|DEMO_RIS|DEMO|PRELIM|RADIOLOGY|${time}||OMI^O23^OMI_O23|${controlId}|P|2.5.1||||||UNICODE UTF-8`,
    segment('PID', { 1: '1', 3: patientId, 5: exam.patientName, 7: exam.birthDate, 8: exam.sex }),
    segment('PV1', { 1: '1', 2: 'O', 3: 'RAD^^^DEMO', 7: physician, 19: `V${accession}^^^DEMO^VN` }),
    segment('ORC', { 1: 'NW', 2: placer, 3: filler, 5: 'SC', 9: time, 12: physician }),
    segment('TQ1', { 1: '1', 7: time, 9: 'R' }),
    segment('OBR', {
      1: '1',
      2: placer,
      3: filler,
      4: procedure,
      16: physician,
      18: accession,
      24: modality,
    }),
    segment('IPC', {
      1: accession,
      2: `RP${accession}`,
      3: exam.studyInstanceUid,
      4: `SPS${accession}`,
      5: modality,
    }),
    '',
  ].join('\r');
}

/** Fields by their number in the standard, so that nobody has to count separators. */
function segment(name: string, fields: Readonly<Record<number, string>>): string {
  const last = Math.max(...Object.keys(fields).map(Number));
  return [name, ...Array.from({ length: last }, (_, at) => fields[at + 1] ?? '')].join('|');
}
