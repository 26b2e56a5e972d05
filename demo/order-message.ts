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
  const time = now.toISOString().replace(/[-:T]/g, '').slice(0, 14);
  const placer = `P${exam.accession}^DEMO_OE`;
  const filler = `F${exam.accession}^DEMO_RIS`;
  return [
    `MSH|^~\\&|DEMO_RIS|DEMO|PRELIM|RADIOLOGY|${time}||OMI^O23^OMI_O23|${controlId}|P|2.5.1||||||UNICODE UTF-8`,
    `PID|1||${exam.patientId}^^^${exam.patientIdIssuer}^MR||${exam.patientName}||${exam.birthDate}|${exam.sex}`,
    `PV1|1|O|RAD^^^DEMO||||1234^HOUSE^GREGORY|||||||||||V${exam.accession}^^^DEMO^VN`,
    `ORC|NW|${placer}|${filler}||SC||||${time}|||1234^HOUSE^GREGORY`,
    `TQ1|1||||||${time}||R`,
    `OBR|1|${placer}|${filler}|${exam.procedure}|||||||||||||1234^HOUSE^GREGORY||${exam.accession}||||||${exam.modality}|||||||`,
    `IPC|${exam.accession}|RP${exam.accession}|${exam.studyInstanceUid}|SPS${exam.accession}|${exam.modality}`,
    '',
  ].join('\r');
}
